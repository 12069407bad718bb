//! A mixed load for as long as is asked for: what the server needs of memory must not grow with it.
//!
//! Its vault keeps its size: what is made is deleted again. Only the audit log grows, on disk.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::client::Client;
use super::installation::Provider;
use super::load::{Load, Outcome, Requests};
use super::prepare::{Stage, on_a_runtime};
use super::report::Report;

/// Callers who read, begin logins, and are refused; each pauses after every answer, so that the machine is left to others too.
const CALLERS: usize = 16;
const PAUSE: Duration = Duration::from_millis(10);

/// Logins completed, credentials refreshed and API keys stored in a turn; all of them are deleted at its end.
const IN_A_TURN: usize = 40;

/// Measures it for so many minutes.
pub fn measure(minutes: u64, report: &mut Report) {
    let provider = Provider::start();
    let stage = Stage::new(&provider, 1_000, 100);
    let (over, asked) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let callers = call(&stage, &over, &asked);

    let (began, whole) = (Instant::now(), Duration::from_secs(minutes * 60));
    let (mut samples, mut written) = (Vec::new(), 0);
    while began.elapsed() < whole {
        written += turn(&stage, &provider);
        samples.push((began.elapsed(), stage.server.memory("VmRSS")));
    }
    over.store(true, Ordering::Relaxed);
    let failed = callers.join().expect("no panic");

    Report::title(&format!("a mixed load for {minutes} minutes"));
    let at = |part: f64| {
        let moment = whole.mul_f64(part);
        samples.iter().find(|(at, _)| *at >= moment).or(samples.last()).expect("there was a turn").1
    };
    report.at_most("reads, logins begun, refusals", asked.load(Ordering::Relaxed) as f64, "requests", None);
    report.at_most("logins completed, refreshes, creates, deletes", written as f64, "requests", None);
    report.at_most("answers that were not right", failed as f64, "", Some(0.0));
    report.at_most("resident after a tenth of the time", at(0.1), "MB", None);
    report.at_most("resident after half of the time", at(0.5), "MB", None);
    report.at_most("resident at the end", at(1.0), "MB", Some(60.0));
    report.at_most("resident at the end, of that after a tenth", at(1.0) / at(0.1), "times", Some(1.1));
}

/// One of everything that writes, through four connections; how many requests that were.
fn turn(stage: &Stage, provider: &Provider) -> u64 {
    let run = |requests: Vec<Vec<u8>>, right: &'static [u16]| {
        let (count, address) = (requests.len() as u64, stage.address());
        let time = Duration::from_secs(60);
        let outcome = Load { address, connections: 4, time, requests: Requests::Once(Arc::new(requests)), right }.run();
        assert_eq!((outcome.done, outcome.failed), (count, 0), "all is answered as it should be");
        let Outcome { done, .. } = outcome;
        done
    };
    let most = 10 * IN_A_TURN;
    run(stage.completes(provider, IN_A_TURN), &[200])
        + run(stage.refreshes(provider, IN_A_TURN), &[200])
        + run(vec![stage.create(); IN_A_TURN], &[201])
        + run(stage.deletes(most), &[200])
        + run(stage.disconnects(most), &[200])
}

/// Callers on a thread of their own until it is over; how many answers were not right.
fn call(stage: &Stage, over: &Arc<AtomicBool>, asked: &Arc<AtomicU64>) -> std::thread::JoinHandle<u64> {
    const WRONG: &str = "srk_0000000000000000000000000000000000000000000000000";
    let mut requests: Vec<(Vec<u8>, &[u16])> = Vec::new();
    requests.extend(stage.lists_in_turn().into_iter().map(|list| (list, &[200][..])));
    for suffix in ["", "/token"] {
        requests.extend(stage.each_of_alice(suffix).into_iter().map(|one| (one, &[200][..])));
    }
    requests.push((Stage::get(&stage.hundred, "/credentials"), &[200]));
    requests.push((Stage::get(&stage.alice, "/providers"), &[200]));
    requests.push((Stage::initiate(&stage.alice), &[200]));
    requests.push((Stage::get(WRONG, "/credentials"), &[401, 429]));
    requests.push((Stage::get(&stage.alice, "/no-such-provider/credentials/none"), &[404, 422]));
    let (address, over, asked, requests) = (stage.address(), over.clone(), asked.clone(), Arc::new(requests));
    std::thread::spawn(move || {
        on_a_runtime(async {
            let callers = (0..CALLERS).map(|first| {
                let (over, asked, requests) = (over.clone(), asked.clone(), requests.clone());
                tokio::spawn(async move {
                    let mut client = Client::connect(address).await.expect("the server takes connections");
                    let mut failed = 0;
                    for (request, right) in requests.iter().cycle().skip(first * 7) {
                        if over.load(Ordering::Relaxed) {
                            break;
                        }
                        match client.ask(request).await {
                            Ok(reply) if right.contains(&reply.status) => {}
                            Ok(_) => failed += 1,
                            Err(_) => {
                                failed += 1;
                                client = Client::connect(address).await.expect("the server takes connections");
                            }
                        }
                        asked.fetch_add(1, Ordering::Relaxed);
                        tokio::time::sleep(PAUSE).await;
                    }
                    failed
                })
            });
            let mut failed = 0;
            for caller in callers.collect::<Vec<_>>() {
                failed += caller.await.expect("no task panics");
            }
            failed
        })
    })
}
