//! Command-line options. `cargo bench` itself adds `--bench`.

use std::path::PathBuf;
use std::time::Duration;

/// Task of this process.
pub enum Task {
    /// Be the bare warp server; started by the measuring process.
    BareWarp,
    /// Hold two runs against each other.
    Compare(PathBuf, PathBuf),
    /// Load it for so many minutes, and watch its memory.
    Soak(u64, Options),
    /// Measure.
    Measure(Options),
}

/// Options of a measurement.
pub struct Options {
    /// A minute instead of six: one round, shorter, neither overload nor abuse.
    pub quick: bool,
    /// Vaults of a million credentials too.
    pub full: bool,
    /// One part alone: `table`, `growth`, `footprint`, `bounds`, `overload` or `abuse`.
    only: Option<String>,
    /// Number of rounds.
    pub rounds: usize,
    /// Duration of one measurement.
    pub time: Duration,
}

impl Options {
    /// Returns true if a part is to be run.
    pub fn wants(&self, part: &str) -> bool {
        self.only.as_deref().is_none_or(|only| only == part)
    }

    /// `quick`, `default` or `full`.
    pub fn name(&self) -> &'static str {
        match (self.quick, self.full) {
            (true, _) => "quick",
            (_, true) => "full",
            _ => "default",
        }
    }
}

/// The program that is measured: the release build, or another one to hold it against (`--binary FILE`).
pub fn binary() -> String {
    let given = std::env::args().skip_while(|argument| argument != "--binary").nth(1);
    given.unwrap_or_else(|| env!("CARGO_BIN_EXE_strongroom").to_owned())
}

/// Reads the arguments; what is unknown ends the program.
pub fn read() -> Task {
    let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
    let (mut quick, mut full, mut only, mut soak) = (false, false, None, None);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--bare-warp" => return Task::BareWarp,
            "--compare" => {
                let mut file = || PathBuf::from(arguments.next().expect("--compare takes two files"));
                return Task::Compare(file(), file());
            }
            "--soak" => {
                let minutes = arguments.next().and_then(|minutes| minutes.parse().ok());
                soak = Some(minutes.expect("--soak takes a number of minutes"));
            }
            "--quick" => quick = true,
            "--full" => full = true,
            "--binary" => drop(arguments.next()), // read by `binary`
            "--only" => only = Some(arguments.next().expect("--only takes a part")),
            other => panic!("unknown option {other}; see the head of benches/table/main.rs"),
        }
    }
    let (rounds, millis) = if quick { (1, 700) } else { (3, 1000) };
    let options = Options { quick, full, only, rounds, time: Duration::from_millis(millis) };
    match soak {
        Some(minutes) => Task::Soak(minutes, options),
        None => Task::Measure(options),
    }
}
