//! A name server of the tests' own, that remembers what it was asked.

use std::net::IpAddr;
use std::sync::{Arc, Mutex};

use strongroom::egress::Lookup;

/// The name server.
#[derive(Clone, Default)]
pub struct Names(Arc<Mutex<Vec<String>>>);

impl Names {
    /// A way to look names up whose answer `answer` gives: it gets the name, and how often anything was asked before.
    pub fn answering(&self, answer: impl Fn(&str, usize) -> Vec<&'static str> + Send + Sync + 'static) -> Lookup {
        let asked = Arc::clone(&self.0);
        Arc::new(move |name| {
            let mut asked = asked.lock().expect("no holder panics");
            let found: Vec<IpAddr> =
                answer(&name, asked.len()).into_iter().map(|ip| ip.parse().expect("an address")).collect();
            asked.push(name);
            Box::pin(async move { Ok(found) })
        })
    }

    /// The names that were asked for so far.
    pub fn asked(&self) -> Vec<String> {
        self.0.lock().expect("no holder panics").clone()
    }
}
