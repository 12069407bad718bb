//! An authorization server that behaves as a catalogue entry describes a provider, and rejects
//! every request that deviates from the entry.
//!
//! Both sides are written from the entry's words alone. This one shares no code with the client in
//! `src/oauth`, or they would agree on a mistake.

mod authorize;
mod grants;
mod parameters;
mod response;
mod revoke;
mod rules;
mod server;
mod token;
mod violation;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::Value;
use strongroom::catalog::entry::{OAuth, RefreshWith};
use strongroom::catalog::template::Template;
use strongroom::clock::UnixTime;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use grants::{Grants, RefreshMode};
pub use rules::Rules;

/// Clients of an emulated provider: all have the same secret and redirect URI.
pub struct Clients {
    pub ids: Vec<String>,
    pub secret: String,
    pub redirect_uri: String,
}

/// Options of an emulated provider.
pub struct Options {
    pub clients: Clients,
    /// Scopes that are granted when they are requested.
    pub granted_scopes: Vec<String>,
    pub access_token_lifetime: Duration,
    /// The time, which stands still.
    pub now: UnixTime,
}

/// Response to the refreshes of a user whose refresh token is not valid any more.
#[derive(Clone)]
pub struct Refusal {
    pub status: u16,
    /// The JSON body; none for an empty response.
    pub body: Option<Value>,
}

/// A running provider; it stops when dropped.
pub struct Emulator {
    provider: Arc<Provider>,
    accepting: JoinHandle<()>,
}

/// The provider that all connections share.
struct Provider {
    base_url: String,
    rules: Rules,
    clients: Clients,
    lifetime: Duration,
    now: UnixTime,
    grants: Mutex<Grants>,
    /// Refusals by user.
    refusals: Mutex<HashMap<String, Refusal>>,
}

impl Emulator {
    /// Starts a provider on a free loopback port.
    pub async fn start(rules: Rules, options: Options) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
        let address = listener.local_addr().expect("a bound listener has an address");
        let mode = refresh_mode(&rules.entry);
        let provider = Arc::new(Provider {
            base_url: format!("http://{address}"),
            rules,
            clients: options.clients,
            lifetime: options.access_token_lifetime,
            now: options.now,
            grants: Mutex::new(Grants::new(mode, options.granted_scopes)),
            refusals: Mutex::default(),
        });
        let accepting = tokio::spawn(server::accept(listener, Arc::clone(&provider)));
        Self { provider, accepting }
    }

    /// Returns the rules of the provider.
    pub fn rules(&self) -> &Rules {
        &self.provider.rules
    }

    /// Returns the address of one of the entry's URLs here: host, path and query stay.
    pub fn url(&self, url: &Template) -> String {
        format!("{}/{}", self.provider.base_url, rules::without_scheme(url))
    }

    /// Refuses every refresh of `user` from now on.
    pub fn refuse_refreshes(&self, user: &str, refusal: Refusal) {
        let mut refusals = self.provider.refusals.lock().unwrap_or_else(PoisonError::into_inner);
        refusals.insert(user.to_owned(), refusal);
    }

    /// Returns the number of grants of `user` that have not ended.
    pub fn live_grants_of(&self, user: &str) -> usize {
        self.provider.grants().live_of(user)
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Provider {
    fn refusal_of(&self, user: &str) -> Option<Refusal> {
        self.refusals.lock().unwrap_or_else(PoisonError::into_inner).get(user).cloned()
    }

    fn grants(&self) -> MutexGuard<'_, Grants> {
        self.grants.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn refresh_mode(entry: &OAuth) -> RefreshMode {
    match &entry.refresh {
        Some(refresh) if refresh.with == RefreshWith::AccessToken => RefreshMode::Absent,
        Some(refresh) if refresh.rotates => RefreshMode::Rotating,
        _ => RefreshMode::Reusable,
    }
}
