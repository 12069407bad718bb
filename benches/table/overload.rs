//! More than it can do: two thousand connections that ask again at once, slow ones among them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::io::AsyncWriteExt as _;

use super::client::{Client, request};
use super::installation::Provider;
use super::load::{Load, Requests};
use super::prepare::{Stage, on_a_runtime};
use super::report::Report;
use super::stats::millis;

const CONNECTIONS: usize = 1_800;
const SLOW: usize = 200;
const TIME: Duration = Duration::from_secs(8);

/// Results.
#[derive(Default)]
struct Seen {
    good: AtomicU64,
    shed: AtomicU64,
    other: AtomicU64,
    acknowledged: AtomicU64,
}

pub fn measure(report: &mut Report) {
    let provider = Provider::start();
    let stage = Stage::new(&provider, 1_000, 1);
    let (list, create) = (Stage::get(&stage.alice, "/credentials"), stage.create());
    let mix: Arc<Vec<_>> =
        Arc::new((0..10).map(|number| if number == 0 { create.clone() } else { list.clone() }).collect());
    let requests = Requests::Again(mix.clone());
    let time = Duration::from_secs(3);
    let best = Load { address: stage.address(), connections: 64, time, requests, right: &[200, 201] }.run();
    let before = stage.count(&stage.writer);

    let (seen, over) = (Arc::new(Seen::default()), Arc::new(AtomicBool::new(false)));
    let health = watch_health(stage.address(), over.clone());
    let goodput = storm(stage.address(), &mix, &seen);
    over.store(true, Ordering::Relaxed);
    let longest = health.join().expect("no panic");
    let recovered = recovery(stage.address(), &list, millis(best.percentile(0.99)));
    let there = stage.count(&stage.writer) - before;

    Report::title("overload: 1,800 connections that ask without a pause, 200 that send a byte a second, for 8 s");
    report.at_most("best at 64 connections, nine lists and a create", best.rate(), "/s", None);
    report.at_least("right answers a second under overload, of the best", goodput / best.rate(), "", 0.8);
    let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    report.at_most("shed with 503 or 429 and Retry-After", of(&seen.shed) as f64, "answers", None);
    report.at_most("other answers, and broken connections", of(&seen.other) as f64, "", Some(0.0));
    report.at_most("health meanwhile, the longest", millis(longest), "ms", Some(250.0));
    report.at_most("until a list is as quick as before", recovered.as_secs_f64(), "s", Some(5.0));
    let missing = of(&seen.acknowledged).saturating_sub(there);
    report.at_most("acknowledged and lost", missing as f64, "", Some(0.0));
}

/// Two thousand at once; right answers a second.
fn storm(address: SocketAddr, mix: &Arc<Vec<Vec<u8>>>, seen: &Arc<Seen>) -> f64 {
    let began = Instant::now();
    on_a_runtime(async {
        let until = tokio::time::Instant::now() + TIME;
        let mut tasks = Vec::new();
        for number in 0..SLOW {
            tasks.push(tokio::spawn(until_then(until, slow(address, number))));
        }
        for number in 0..CONNECTIONS {
            tasks.push(tokio::spawn(until_then(until, hammer(address, number, mix.clone(), seen.clone()))));
        }
        for task in tasks {
            task.await.expect("no task panics");
        }
    });
    seen.good.load(Ordering::Relaxed) as f64 / began.elapsed().as_secs_f64()
}

async fn until_then(until: tokio::time::Instant, work: impl Future) {
    let _ = tokio::time::timeout_at(until, work).await;
}

async fn hammer(address: SocketAddr, mut next: usize, mix: Arc<Vec<Vec<u8>>>, seen: Arc<Seen>) {
    let add = |counter: &AtomicU64| counter.fetch_add(1, Ordering::Relaxed);
    loop {
        let Ok(mut client) = Client::connect(address).await else {
            add(&seen.other);
            continue;
        };
        loop {
            next += 1;
            match client.ask(&mix[next % mix.len()]).await {
                Ok(reply) if reply.status == 200 => add(&seen.good),
                Ok(reply) if reply.status == 201 => {
                    add(&seen.acknowledged);
                    add(&seen.good)
                }
                Ok(reply) if matches!(reply.status, 503 | 429) && reply.header("retry-after").is_some() => {
                    add(&seen.shed)
                }
                _ => {
                    add(&seen.other);
                    break;
                }
            };
        }
    }
}

/// Sends a head a byte a second.
async fn slow(address: SocketAddr, number: usize) -> std::io::Result<()> {
    let mut stream = tokio::net::TcpStream::connect(address).await?;
    for byte in request("GET", &format!("/slow/{number}"), &[], "") {
        stream.write_all(&[byte]).await?;
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    Ok(())
}

/// Asks `/healthz` on a connection of its own, from a thread of its own; the longest wait.
fn watch_health(address: SocketAddr, over: Arc<AtomicBool>) -> std::thread::JoinHandle<u64> {
    std::thread::spawn(move || {
        on_a_runtime(async {
            let mut client = Client::connect(address).await.expect("it takes connections");
            let ask = request("GET", "/healthz", &[], "");
            let mut longest = 0;
            while !over.load(Ordering::Relaxed) {
                let began = Instant::now();
                assert_eq!(client.ask(&ask).await.expect("an answer").status, 200);
                longest = longest.max(u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX));
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            longest
        })
    })
}

/// Time after the storm until a list takes at most `usual` milliseconds.
fn recovery(address: SocketAddr, list: &[u8], usual: f64) -> Duration {
    let began = Instant::now();
    on_a_runtime(async {
        let mut client = Client::connect(address).await.expect("it takes connections");
        loop {
            let asked = Instant::now();
            let status = client.ask(list).await.expect("an answer").status;
            if status == 200 && asked.elapsed().as_secs_f64() * 1000.0 <= usual {
                return began.elapsed();
            }
        }
    })
}
