//! Waiting times of callers who send one request after the other while something else goes on.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::client::Client;
use super::prepare::{Stage, on_a_runtime};
use super::stats::{millis, percentile};

/// Waiting times in milliseconds of three callers: one lists, one creates, one reads a secret.
pub struct Waits {
    pub count: usize,
    pub p99: f64,
    pub longest: f64,
}

impl Waits {
    /// Measures them while `work` runs. Each caller pauses after each answer.
    pub fn during(stage: &Stage, pause: Duration, work: impl FnOnce()) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let token = stage.each_of_alice("/token").swap_remove(0);
        let requests = [(Stage::get(&stage.alice, "/credentials"), 200), (stage.create(), 201), (token, 200)];
        let callers = requests.map(|(request, right)| {
            let (over, address) = (over.clone(), stage.address());
            std::thread::spawn(move || {
                on_a_runtime(async move {
                    let mut client = Client::connect(address).await.expect("it takes connections");
                    let mut waits = Vec::new();
                    while !over.load(Ordering::Relaxed) {
                        let began = Instant::now();
                        let status = client.ask(&request).await.expect("an answer").status;
                        assert_eq!(status, right);
                        waits.push(u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX));
                        tokio::time::sleep(pause).await;
                    }
                    waits
                })
            })
        });
        work();
        over.store(true, Ordering::Relaxed);
        let mut waits: Vec<u64> = callers.into_iter().flat_map(|caller| caller.join().expect("no panic")).collect();
        waits.sort_unstable();
        let longest = waits.last().copied().unwrap_or(0);
        Self { count: waits.len(), p99: millis(percentile(&waits, 0.99)), longest: millis(longest) }
    }
}
