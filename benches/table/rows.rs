//! The main table: every row at 64 connections, the main ones at 1, 16 and 512 too, each beside its limit.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use super::client::request;
use super::installation::Provider;
use super::limits::raw_vault::{RawVault, Written};
use super::limits::{BareWarp, aead, fdatasync, plain_sqlite};
use super::load::{Load, Requests};
use super::options::Options;
use super::prepare::Stage;
use super::report::{Report, Round};
use super::stats::median;

/// Logins completed and credentials refreshed in a round, unless all is to be measured at length.
const PREPARED: usize = 400;

/// Limit with which a row is compared.
#[derive(Clone, Copy)]
enum Limit {
    Warp,
    Rows(Written),
    None,
}

/// A row of the table.
struct Row {
    name: &'static str,
    limit: Limit,
    /// The ratio that is wanted; 0 where none is.
    goal: f64,
    connections: usize,
    right: &'static [u16],
    ask: fn(&Stage, &Provider, usize) -> Requests,
    rounds: Vec<Round>,
}

/// Measures everything, round by round, and puts it into the report.
pub fn measure(options: &Options, report: &mut Report) {
    let (warp, mut raw) = (BareWarp::start(), RawVault::new());
    let provider = Provider::start();
    let stage = Stage::new(&provider, 1_000, 1);
    let mut rows = rows(options);
    let mut limits: Vec<(String, Vec<f64>)> = Vec::new();
    for _ in 0..options.rounds {
        let now = measure_limits(options, &warp, &mut raw, &stage);
        for (name, rate) in &now {
            match limits.iter_mut().find(|(known, _)| known == name) {
                Some((_, rates)) => rates.push(*rate),
                None => limits.push((name.clone(), vec![*rate])),
            }
        }
        let now: HashMap<_, _> = now.into_iter().collect();
        for row in &mut rows {
            row.measure(options, &stage, &provider, &now);
        }
    }
    Report::title("limits");
    for (name, rates) in &limits {
        report.limit(name, rates);
    }
    Report::title("Strongroom, 1,000 credentials");
    for row in &rows {
        let limit = row.limit_name().map(|name| (name, row.goal));
        let limit = limit.as_ref().map(|(name, goal)| (name.as_str(), *goal));
        report.figure(row.name, row.connections, limit, &row.rounds);
    }
    let spreads = rows.iter().filter(|row| row.connections == 64).map(|row| (row.spread(), row.name));
    if let Some((spread, name)) = spreads.max_by(|one, other| one.0.total_cmp(&other.0)) {
        report.at_most(&format!("p99 of p50 at 64 connections, at its most: {name}"), spread, "times", Some(10.0));
    }
    report.at_most("resident under this load, at its most", stage.server.memory("VmHWM"), "MB", Some(60.0));
}

fn measure_limits(options: &Options, warp: &BareWarp, raw: &mut RawVault, stage: &Stage) -> Vec<(String, f64)> {
    let (folder, short) = (stage.installation.folder(), options.time / 2);
    let warps = sweep(options)
        .iter()
        .map(|connections| (warp_name(*connections), warp.measure(*connections, options.time).rate()));
    let mut limits: Vec<(String, f64)> = warps.collect();
    limits.extend(Written::ALL.map(|what| (what.name().into(), raw.measure(what, short))));
    limits.push(("SQLite FULL, one row a commit".into(), plain_sqlite(folder, 1, short)));
    limits.push(("SQLite FULL, 64 rows a commit".into(), plain_sqlite(folder, 64, short)));
    limits.push(("fdatasync of 4 KiB".into(), fdatasync(folder, short)));
    limits.push(("XChaCha20-Poly1305 of 1 KiB".into(), aead(short / 2)));
    limits
}

fn warp_name(connections: usize) -> String {
    format!("bare warp at {connections}")
}

/// Numbers of connections; the first is that of the main table.
fn sweep(options: &Options) -> &'static [usize] {
    if options.quick { &[64] } else { &[64, 1, 16, 512] }
}

impl Row {
    fn limit_name(&self) -> Option<String> {
        match self.limit {
            Limit::Warp => Some(warp_name(self.connections)),
            Limit::Rows(what) => Some(what.name().into()),
            Limit::None => None,
        }
    }

    fn measure(&mut self, options: &Options, stage: &Stage, provider: &Provider, limits: &HashMap<String, f64>) {
        let limit = self.limit_name().and_then(|name| limits.get(&name).copied());
        let requests = (self.ask)(stage, provider, if options.full { 10_000 } else { PREPARED });
        // What is prepared in numbers is done to its end.
        let time = if matches!(requests, Requests::Once(_)) { Duration::from_secs(600) } else { options.time };
        let load = Load { address: stage.address(), connections: self.connections, time, requests, right: self.right };
        let before = stage.server.cpu();
        let outcome = load.run();
        self.rounds.push(Round { outcome, cpu: stage.server.cpu() - before, limit });
    }

    /// Ratio of the 99th percentile to the median.
    fn spread(&self) -> f64 {
        let of = |part| median(self.rounds.iter().map(|round| round.outcome.percentile(part) as f64));
        of(0.99) / of(0.5)
    }

    /// The same at another number of connections. A limit of 64 rows a commit says nothing of a few callers.
    fn at(&self, connections: usize) -> Self {
        let few = connections < 64;
        let limit = if few && matches!(self.limit, Limit::Rows(_)) { Limit::None } else { self.limit };
        let goal = if few { 0.0 } else { self.goal };
        Self { limit, goal, connections, rounds: Vec::new(), ..*self }
    }
}

/// Every row there is.
fn rows(options: &Options) -> Vec<Row> {
    let mut rows = reads();
    rows.extend(writes());
    // With `--full` every row, else those that say most; what is prepared in numbers is asked at 64 alone.
    let few = ["list of 5", "live token, audited", "create api_key"];
    let numbered = ["delete", "complete, against the sandbox", "refresh, against the sandbox"];
    let is_swept = |name| if options.full { !numbered.contains(&name) } else { few.contains(&name) };
    for connections in &sweep(options)[1..] {
        let again: Vec<Row> = rows
            .iter()
            .filter(|row| row.connections == 64 && is_swept(row.name))
            .map(|row| row.at(*connections))
            .collect();
        rows.extend(again);
    }
    rows
}

fn row(
    name: &'static str,
    limit: Limit,
    goal: f64,
    right: &'static [u16],
    ask: fn(&Stage, &Provider, usize) -> Requests,
) -> Row {
    Row { name, limit, goal, connections: 64, right, ask, rounds: Vec::new() }
}

fn reads() -> Vec<Row> {
    const WRONG: &str = "srk_0000000000000000000000000000000000000000000000000";
    vec![
        row("GET /healthz", Limit::Warp, 0.0, &[200], |_, _, _| Requests::same(request("GET", "/healthz", &[], ""))),
        row("GET /providers", Limit::Warp, 0.0, &[200], |s, _, _| Requests::same(Stage::get(&s.alice, "/providers"))),
        row("list of 5", Limit::Warp, 0.5, &[200], |s, _, _| Requests::same(Stage::get(&s.alice, "/credentials"))),
        row("list of 5, of 50 users in turn", Limit::Warp, 0.5, &[200], |s, _, _| {
            Requests::Again(Arc::new(s.lists_in_turn()))
        }),
        row("list of 100", Limit::Warp, 0.0, &[200], |s, _, _| Requests::same(Stage::get(&s.hundred, "/credentials"))),
        row("single GET", Limit::Warp, 0.0, &[200], |s, _, _| Requests::Again(Arc::new(s.each_of_alice("")))),
        row("wrong API key (401, then 429)", Limit::Warp, 0.0, &[401, 429], |_, _, _| {
            Requests::same(Stage::get(WRONG, "/credentials"))
        }),
    ]
}

fn writes() -> Vec<Row> {
    use Written::{Create, Delete, Initiate, Read};
    vec![
        row("live token, audited", Limit::Rows(Read), 0.5, &[200], |s, _, _| {
            Requests::Again(Arc::new(s.each_of_alice("/token")))
        }),
        row("initiate", Limit::Rows(Initiate), 0.5, &[200], |s, _, _| Requests::same(Stage::initiate(&s.alice))),
        row("create api_key", Limit::Rows(Create), 0.5, &[201], |s, _, _| Requests::same(s.create())),
        row("create user_password", Limit::Rows(Create), 0.5, &[201], |s, _, _| {
            let body = json!({"type": "user_password", "username": "u", "password": "p", "title": "t"});
            Requests::same(Stage::post(&s.writer, "/smtp/credentials", &body))
        }),
        row("create host_scoped", Limit::Rows(Create), 0.5, &[201], |s, _, _| {
            let headers = json!({"X-Key": "k"});
            let body = json!({"type": "host_scoped", "host": "api.example.com", "headers": headers, "title": "t"});
            Requests::same(Stage::post(&s.writer, "/http/credentials", &body))
        }),
        row("delete", Limit::Rows(Delete), 0.5, &[200], |s, _, n| Requests::Once(Arc::new(s.deletes(10 * n)))),
        row("complete, against the sandbox", Limit::None, 0.0, &[200], |s, p, n| {
            Requests::Once(Arc::new(s.completes(p, n)))
        }),
        row("refresh, against the sandbox", Limit::None, 0.0, &[200], |s, p, n| {
            Requests::Once(Arc::new(s.refreshes(p, n)))
        }),
    ]
}
