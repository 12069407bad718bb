//! The one table, and the same as JSON under `target/bench`.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;

use serde::{Deserialize, Serialize};
use strongroom::clock::Clock;

use super::load::Outcome;
use super::options::Options;
use super::stats::{median, millis};

/// A run.
#[derive(Serialize, Deserialize)]
pub struct Report {
    pub at: String,
    pub machine: String,
    pub options: String,
    pub figures: Vec<Figure>,
    pub facts: Vec<Fact>,
}

/// Something that was done again and again.
#[derive(Serialize, Deserialize)]
pub struct Figure {
    pub name: String,
    pub connections: Option<usize>,
    pub per_second: f64,
    pub p50_ms: Option<f64>,
    pub p99_ms: Option<f64>,
    /// The limit's name, and the median of the ratios to it in each round.
    pub limit: Option<(String, f64)>,
    pub goal: Option<f64>,
    pub cpu_us: Option<f64>,
    pub failed: u64,
    /// Requests a second in each round.
    pub rounds: Vec<f64>,
}

/// Something that is so, and how it should be at most (or, with `at_least`, at least).
#[derive(Serialize, Deserialize)]
pub struct Fact {
    pub name: String,
    pub value: f64,
    pub unit: String,
    pub bound: Option<f64>,
    pub at_least: bool,
}

/// One round of a figure.
pub struct Round {
    pub outcome: Outcome,
    /// Seconds of CPU time that the server took.
    pub cpu: f64,
    /// Result of the limit in this round.
    pub limit: Option<f64>,
}

impl Report {
    pub fn begin(options: &Options) -> Self {
        let at = Clock::system().now().to_string();
        let report =
            Self { at, machine: machine(), options: options.name().into(), figures: Vec::new(), facts: Vec::new() };
        say(&format!("{} · {} · {}\n", report.at, report.machine, report.options));
        say(&format!(
            "{:<50} {:>5} {:>9} {:>8} {:>8} {:>8} {:>7} {:>6}  to",
            "", "conns", "a second", "p50 ms", "p99 ms", "cpu µs", "ratio", "goal"
        ));
        report
    }

    /// A limit: how many a second, in each round.
    pub fn limit(&mut self, name: &str, rounds: &[f64]) {
        self.add(Figure {
            name: name.into(),
            connections: None,
            per_second: median(rounds.iter().copied()),
            p50_ms: None,
            p99_ms: None,
            limit: None,
            goal: None,
            cpu_us: None,
            failed: 0,
            rounds: rounds.to_vec(),
        });
    }

    /// Something that was asked under load, its limit's name, and which ratio to that is wanted (0 for none).
    pub fn figure(&mut self, name: &str, connections: usize, limit: Option<(&str, f64)>, rounds: &[Round]) {
        let of = |each: &dyn Fn(&Round) -> f64| median(rounds.iter().map(each));
        let ratio = of(&|round| round.limit.map_or(f64::NAN, |limit| round.outcome.rate() / limit));
        self.add(Figure {
            name: name.into(),
            connections: Some(connections),
            per_second: of(&|round| round.outcome.rate()),
            p50_ms: Some(of(&|round| millis(round.outcome.percentile(0.5)))),
            p99_ms: Some(of(&|round| millis(round.outcome.percentile(0.99)))),
            limit: limit.map(|(name, _)| (name.to_owned(), ratio)),
            goal: limit.map(|(_, goal)| goal).filter(|goal| *goal > 0.0),
            cpu_us: Some(of(&|round| round.cpu * 1e6 / round.outcome.done as f64)),
            failed: rounds.iter().map(|round| round.outcome.failed).sum(),
            rounds: rounds.iter().map(|round| round.outcome.rate()).collect(),
        });
    }

    pub fn at_most(&mut self, name: &str, value: f64, unit: &str, bound: Option<f64>) {
        self.fact(Fact { name: name.into(), value, unit: unit.into(), bound, at_least: false });
    }

    pub fn at_least(&mut self, name: &str, value: f64, unit: &str, bound: f64) {
        self.fact(Fact { name: name.into(), value, unit: unit.into(), bound: Some(bound), at_least: true });
    }

    pub fn title(text: &str) {
        say(&format!("\n{text}"));
    }

    fn add(&mut self, figure: Figure) {
        say(&figure.line());
        self.figures.push(figure);
    }

    fn fact(&mut self, fact: Fact) {
        say(&fact.line());
        self.facts.push(fact);
    }

    /// Keeps it as JSON and says where.
    pub fn end(&self) {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("it is in target").join("bench");
        std::fs::create_dir_all(&folder).expect("target can be written");
        let file = folder.join(format!("{}-{}.json", self.at.replace(':', ""), self.options));
        let text = serde_json::to_vec_pretty(self).expect("it is plain data");
        std::fs::write(&file, text).expect("target can be written");
        say(&format!("\nkept in {}; two runs: cargo bench -- --compare A.json B.json", file.display()));
    }
}

impl Figure {
    fn line(&self) -> String {
        let connections = self.connections.map_or(String::new(), |number| number.to_string());
        let number = |value: Option<f64>| value.map_or(String::new(), |value| format!("{value:.2}"));
        let (ratio, to) = self.limit.as_ref().map_or((None, ""), |(name, ratio)| (Some(*ratio), name.as_str()));
        let mut line = format!(
            "{:<50} {connections:>5} {:>9.0} {:>8} {:>8} {:>8} {:>7} {:>6}  {to}",
            self.name,
            self.per_second,
            number(self.p50_ms),
            number(self.p99_ms),
            self.cpu_us.map_or(String::new(), |cpu| format!("{cpu:.0}")),
            number(ratio),
            self.goal.map_or(String::new(), |goal| format!("{goal}")),
        );
        if self.failed > 0 {
            write!(line, "  ({} FAILED)", self.failed).expect("a string takes it");
        }
        line.trim_end().to_owned()
    }
}

impl Fact {
    fn line(&self) -> String {
        let sign = if self.at_least { "≥" } else { "≤" };
        let bound = self.bound.map_or(String::new(), |bound| {
            let holds = if self.at_least { self.value >= bound } else { self.value <= bound };
            format!("goal {sign} {bound}{}", if holds { "" } else { "  MISSED" })
        });
        format!("{:<64} {:>12.2} {:<10} {bound}", self.name, self.value, self.unit).trim_end().to_owned()
    }
}

fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}").expect("stdout takes a line");
}

fn machine() -> String {
    let model = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = model.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().unwrap_or_default();
    format!("{cores} × {}, Linux {}, load before {load}", model.map_or("?", |(_, name)| name), kernel.trim())
}
