//! A small, real authorization server on a loopback port, so that the whole loop runs offline: `strongroom dev` has it
//! as the provider `sandbox`, and tests drive it.
//!
//! It is an authorization server by the letter (RFC 6749, 7636, 7009, 7662, 8414, 9207, 9700): PKCE with S256 is
//! enforced, codes work once and for a minute, refresh tokens rotate and a reused one ends its grant. Only its accounts
//! are make-believe: whoever opens the page says who they are. That is why it listens on loopback addresses alone.
//!
//! **Without a browser.** The page is a plain form, so a test can read and post it. Or add `sandbox_decision=approve`
//! (or `deny`) to the login URL, and `sandbox_user=alice` if `dev` will not do: the answer is then the redirect itself.
//! No other server understands these two; `GET /sandbox/requests` tells how often each endpoint was asked.

mod afterwards;
mod answer;
mod authorize;
mod client;
mod device;
mod dialect;
mod endpoint;
mod entry;
mod expiring;
mod form;
mod grants;
mod metadata;
mod options;
mod page;
mod server;
mod token;

#[cfg(test)]
mod tests;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::clock::Clock;
use crate::random::Random;
use crate::secret::Secret;
pub use dialect::Dialect;
pub use endpoint::Endpoint;
pub use options::{Behaviour, Conduct, RedirectUris, RefreshTokens, SandboxClient, SandboxOptions};
use server::AuthorizationServer;

/// A running authorization server; it stops, and forgets everything, when this is dropped.
pub struct Sandbox {
    server: Arc<AuthorizationServer>,
    accepting: JoinHandle<()>,
}

impl Sandbox {
    /// Starts it on `address`, whose port may be 0 for any free one. It answers as soon as this returns.
    ///
    /// # Errors
    /// [`io::ErrorKind::InvalidInput`] where the address is not a loopback one or `options` has no client, and what
    /// binding it gives.
    pub async fn start(address: SocketAddr, clock: Clock, random: Random, options: SandboxOptions) -> io::Result<Self> {
        if !address.ip().is_loopback() {
            let why = format!("the sandbox gives tokens to anybody, so it listens on loopback only, not on {address}");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
        }
        if options.clients.is_empty() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "the sandbox needs at least one client"));
        }
        let listener = TcpListener::bind(address).await?;
        let base_url = format!("http://{}", listener.local_addr()?);
        let server = Arc::new(AuthorizationServer::new(base_url, clock, random, options));
        let accepting = tokio::spawn(server::accept(listener, Arc::clone(&server)));
        Ok(Self { server, accepting })
    }

    /// Where it is, which is also its issuer identifier: `http://127.0.0.1:40123`, without a slash at the end.
    pub fn base_url(&self) -> &str {
        &self.server.base_url
    }

    /// The id of the first client of the options, which is the one that [`Self::entry_toml`] is about.
    pub fn client_id(&self) -> &str {
        &self.server.first_client().id
    }

    /// The secret of that client; `None` where it is a public one.
    pub fn client_secret(&self) -> Option<&Secret> {
        self.server.first_client().secret.as_ref()
    }

    /// The catalogue entry of this server, as TOML in the vocabulary of [`crate::catalog::entry`]. Client id and secret
    /// are not part of an entry: they are [`Self::client_id`] and [`Self::client_secret`].
    pub fn entry_toml(&self) -> String {
        entry::toml(&self.server)
    }

    /// Changes how it behaves, from the next request on. What was issued before stays as it is.
    pub fn adjust(&self, change: impl FnOnce(&mut Behaviour)) {
        self.server.adjust(change);
    }

    /// Makes one endpoint fail, or hold its answers back, or behave again.
    pub fn conduct(&self, endpoint: Endpoint, conduct: Conduct) {
        self.server.conducts.set(endpoint, conduct);
    }

    /// How many grants are alive: have not been revoked, and have a token that is good for something.
    pub fn live_grants(&self) -> usize {
        self.server.grants().alive()
    }

    /// The same of one user alone.
    pub fn live_grants_of(&self, user: &str) -> usize {
        self.server.grants().alive_of(user)
    }

    /// How many requests this endpoint has had, the refused ones included.
    pub fn requests(&self, endpoint: Endpoint) -> u64 {
        self.server.requests.of(endpoint)
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}
