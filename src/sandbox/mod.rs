//! A small authorization server on a loopback port, so that every flow runs offline: `strongroom
//! dev` offers it as the provider `sandbox`, and tests use it.
//!
//! It follows the RFCs (6749, 7636, 7009, 8414, 8628, 9207, 9700): PKCE with S256 is required, codes work
//! once, refresh tokens rotate, and reuse of one ends its grant. Only its accounts are invented: the
//! user types any name. For that reason it listens on loopback only.
//!
//! **Without a browser.** The page is a plain form that a test can read and post. Or a test adds
//! `sandbox_decision=approve` (or `deny`) to the login URL, and `sandbox_user=alice` for a user
//! other than `dev`: the response is then the redirect itself. No other server understands these
//! two parameters.

mod behaviour;
mod client;
mod endpoint;
mod endpoints;
mod entry;
mod listener;
mod message;
mod state;

#[cfg(test)]
mod tests;

use std::io;
use std::net::Ipv4Addr;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::clock::Clock;
use crate::random::Random;
use crate::secret::Secret;
pub use behaviour::{Behaviour, RefreshTokens};
pub use endpoint::{Conduct, SandboxEndpoint};
use state::authorization_server::AuthorizationServer;

/// A running authorization server. It stops and forgets everything when dropped.
pub struct Sandbox {
    server: Arc<AuthorizationServer>,
    accepting: JoinHandle<()>,
}

impl Sandbox {
    /// Starts the server on a free port of 127.0.0.1. It accepts connections when this returns.
    ///
    /// # Errors
    /// The error of the bind.
    pub async fn start(clock: Clock, random: Random) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let base_url = format!("http://{}", listener.local_addr()?);
        let server = Arc::new(AuthorizationServer::new(base_url, clock, random));
        let accepting = tokio::spawn(listener::accept(listener, Arc::clone(&server)));
        Ok(Self { server, accepting })
    }

    /// Returns the base URL and issuer identifier, such as `http://127.0.0.1:40123`, without a
    /// slash at the end.
    pub fn base_url(&self) -> &str {
        &self.server.base_url
    }

    /// Returns the id of the only client.
    pub fn client_id(&self) -> &'static str {
        client::CLIENT_ID
    }

    /// Returns the secret of the client.
    pub fn client_secret(&self) -> &Secret {
        &self.server.client_secret
    }

    /// Returns the catalogue entry of this server as TOML (see [`crate::catalog::entry`]). Client
    /// id and secret are not part of an entry.
    pub fn entry_toml(&self) -> String {
        entry::toml(&self.server.base_url, &self.server.grants().behaviour)
    }

    /// Changes the behaviour from the next request on. Issued codes and tokens stay as they are.
    pub fn adjust(&self, change: impl FnOnce(&mut Behaviour)) {
        change(&mut self.server.grants().behaviour);
    }

    /// Makes one endpoint fail, delay its responses, or work again.
    pub fn conduct(&self, endpoint: SandboxEndpoint, conduct: Conduct) {
        self.server.endpoints.change(endpoint, |state| state.conduct = conduct);
    }

    /// Returns the number of grants that are not revoked and have a valid token.
    pub fn live_grants(&self) -> usize {
        self.server.grants().live()
    }

    /// Returns the number of requests that this endpoint received, rejected ones included.
    pub fn requests(&self, endpoint: SandboxEndpoint) -> u64 {
        self.server.endpoints.of(endpoint).requests
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}
