//! Growth: the same requests in vaults of a thousand, a hundred thousand and (with `--full`) a million credentials,
//! of one user and of ten thousand, in turns.

use std::sync::Arc;

use super::installation::Provider;
use super::load::{Load, Requests};
use super::options::Options;
use super::prepare::Stage;
use super::report::{Report, Round};

type Row = (&'static str, &'static [u16], fn(&Stage) -> Requests);

const ROWS: [Row; 5] = [
    ("list of 5", &[200], |s| Requests::Again(Arc::new(s.lists_in_turn()))),
    ("single GET", &[200], |s| Requests::Again(Arc::new(s.each_of_alice("")))),
    ("live token, audited", &[200], |s| Requests::Again(Arc::new(s.each_of_alice("/token")))),
    ("initiate", &[200], |s| Requests::same(Stage::initiate(&s.alice))),
    ("create api_key", &[201], |s| Requests::same(s.create())),
];

/// Measures the rows in all vaults; the ratios are to the smallest.
pub fn measure(options: &Options, report: &mut Report) {
    let mut sizes = vec![(1_000, 1), (if options.quick { 20_000 } else { 100_000 }, 1)];
    if !options.quick {
        sizes.push((100_000, 10_000));
    }
    if options.full {
        sizes.extend([(1_000_000, 1), (1_000_000, 10_000)]);
    }
    let provider = Provider::start();
    let stages: Vec<Stage> =
        sizes.iter().map(|(credentials, users)| Stage::new(&provider, *credentials, *users)).collect();
    Report::title("growth: the ratio is to 1,000 credentials; 0.77 is 1.3 times slower");
    for (name, right, ask) in ROWS {
        let mut rounds: Vec<Vec<Round>> = stages.iter().map(|_| Vec::new()).collect();
        for _ in 0..options.rounds {
            let mut smallest = None;
            for (stage, rounds) in stages.iter().zip(&mut rounds) {
                let before = stage.server.cpu();
                let (address, requests) = (stage.address(), ask(stage));
                let outcome = Load { address, connections: 64, time: options.time, requests, right }.run();
                let limit = *smallest.get_or_insert(outcome.rate());
                rounds.push(Round { outcome, cpu: stage.server.cpu() - before, limit: Some(limit) });
            }
        }
        for ((credentials, users), rounds) in sizes.iter().zip(&rounds) {
            let name = format!("{name}; {credentials} of {users} user{}", if *users == 1 { "" } else { "s" });
            report.figure(&name, 64, Some(("1,000", 0.77)), rounds);
        }
    }
}
