//! The load: so many kept connections, each asking again as soon as it is answered, from one thread of their own.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::client::Client;
use super::stats::percentile;

/// The request.
#[derive(Clone)]
pub enum Requests {
    /// These, over and over.
    Again(Arc<Vec<Vec<u8>>>),
    /// Each of these once.
    Once(Arc<Vec<Vec<u8>>>),
}

impl Requests {
    /// One request, over and over.
    pub fn same(request: Vec<u8>) -> Self {
        Self::Again(Arc::new(vec![request]))
    }

    fn get(&self, number: usize) -> Option<&[u8]> {
        match self {
            Self::Again(all) => Some(&all[number % all.len()]),
            Self::Once(all) => all.get(number).map(Vec::as_slice),
        }
    }
}

/// A measurement to be made.
pub struct Load {
    pub address: SocketAddr,
    pub connections: usize,
    pub time: Duration,
    pub requests: Requests,
    /// Answers that are right; others count as failed.
    pub right: &'static [u16],
}

/// Results of the load.
#[derive(Debug, Default)]
pub struct Outcome {
    pub done: u64,
    pub failed: u64,
    pub seconds: f64,
    /// Nanoseconds, sorted.
    pub latencies: Vec<u64>,
}

impl Outcome {
    /// Right answers a second.
    pub fn rate(&self) -> f64 {
        self.done as f64 / self.seconds
    }

    pub fn percentile(&self, part: f64) -> u64 {
        percentile(&self.latencies, part)
    }
}

impl Load {
    /// Runs it, on a thread of its own.
    pub fn run(self) -> Outcome {
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(self.run_here())
        })
        .join()
        .expect("the load does not panic")
    }

    /// Runs it on the runtime of the caller.
    pub async fn run_here(self) -> Outcome {
        let mut clients = Vec::new();
        for _ in 0..self.connections {
            clients.push(Client::connect(self.address).await.expect("the server takes connections"));
        }
        let (began, until) = (Instant::now(), Instant::now() + self.time);
        let number = Arc::new(AtomicUsize::new(0));
        let asking = clients.into_iter().map(|client| {
            let (requests, right, number) = (self.requests.clone(), self.right, number.clone());
            tokio::spawn(ask_until(client, self.address, requests, right, number, until))
        });
        let mut whole = Outcome::default();
        for one in asking.collect::<Vec<_>>() {
            let one = one.await.expect("no task panics");
            whole.done += one.done;
            whole.failed += one.failed;
            whole.latencies.extend(one.latencies);
        }
        whole.seconds = began.elapsed().as_secs_f64();
        whole.latencies.sort_unstable();
        whole
    }
}

async fn ask_until(
    mut client: Client,
    address: SocketAddr,
    requests: Requests,
    right: &'static [u16],
    number: Arc<AtomicUsize>,
    until: Instant,
) -> Outcome {
    let mut outcome = Outcome::default();
    let mut now = Instant::now();
    while now < until
        && let Some(request) = requests.get(number.fetch_add(1, Ordering::Relaxed))
    {
        let answered = client.ask(request).await.map(|reply| right.contains(&reply.status));
        let then = Instant::now();
        match answered {
            Ok(true) => {
                outcome.done += 1;
                outcome.latencies.push(u64::try_from((then - now).as_nanos()).unwrap_or(u64::MAX));
            }
            Ok(false) => outcome.failed += 1,
            Err(_) => {
                outcome.failed += 1;
                let Ok(again) = Client::connect(address).await else { break };
                client = again;
            }
        }
        now = then;
    }
    outcome
}
