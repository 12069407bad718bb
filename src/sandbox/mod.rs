//! A small authorization server on a loopback port, so that every flow runs offline: `strongroom
//! dev` offers it as the provider `sandbox`, and tests use it.
//!
//! It follows the RFCs (6749, 7636, 7009, 7662, 8414, 8628, 9207, 9700): PKCE with S256 is
//! required, codes work once and for a minute, refresh tokens rotate, and reuse of one ends its
//! grant. Only its accounts are invented: the user types any name. For that reason it listens on
//! loopback only.
//!
//! **Without a browser.** The page is a plain form that a test can read and post. Or a test adds
//! `sandbox_decision=approve` (or `deny`) to the login URL, and `sandbox_user=alice` for a user
//! other than `dev`: the response is then the redirect itself. No other server understands these
//! two parameters. `GET /sandbox/requests` returns the number of requests of each endpoint.

mod endpoint;
mod endpoints;
mod entry;
mod listener;
mod message;
mod options;
mod state;

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
pub use endpoint::SandboxEndpoint;
pub use options::{Behaviour, Conduct, RedirectUris, RefreshTokens, SandboxClient, SandboxOptions};
use state::authorization_server::AuthorizationServer;

/// A running authorization server. It stops and forgets everything when dropped.
pub struct Sandbox {
    server: Arc<AuthorizationServer>,
    accepting: JoinHandle<()>,
}

impl Sandbox {
    /// Starts the server on `address`; port 0 picks a free one. It accepts connections when this
    /// returns.
    ///
    /// # Errors
    /// [`io::ErrorKind::InvalidInput`] if the address is not a loopback one or `options` has no
    /// client, and the error of the bind.
    pub async fn start(address: SocketAddr, clock: Clock, random: Random, options: SandboxOptions) -> io::Result<Self> {
        let invalid = |why: String| Err(io::Error::new(io::ErrorKind::InvalidInput, why));
        if !address.ip().is_loopback() {
            return invalid(format!(
                "the sandbox issues tokens to anyone, so it listens on loopback only, not {address}"
            ));
        }
        if options.clients.is_empty() {
            return invalid("the sandbox needs at least one client".to_owned());
        }
        let listener = TcpListener::bind(address).await?;
        let base_url = format!("http://{}", listener.local_addr()?);
        let server = Arc::new(AuthorizationServer::new(base_url, clock, random, options));
        let accepting = tokio::spawn(listener::accept(listener, Arc::clone(&server)));
        Ok(Self { server, accepting })
    }

    /// Returns the base URL and issuer identifier, such as `http://127.0.0.1:40123`, without a
    /// slash at the end.
    pub fn base_url(&self) -> &str {
        &self.server.base_url
    }

    /// Returns the id of the first client of the options, which [`Self::entry_toml`] describes.
    pub fn client_id(&self) -> &str {
        &self.server.first_client().id
    }

    /// Returns the secret of that client; `None` for a public one.
    pub fn client_secret(&self) -> Option<&Secret> {
        self.server.first_client().secret.as_ref()
    }

    /// Returns the catalogue entry of this server as TOML (see [`crate::catalog::entry`]). Client
    /// id and secret are not part of an entry.
    pub fn entry_toml(&self) -> String {
        entry::toml(&self.server)
    }

    /// Changes the behaviour from the next request on. Issued codes and tokens stay as they are.
    pub fn adjust(&self, change: impl FnOnce(&mut Behaviour)) {
        self.server.adjust(change);
    }

    /// Makes one endpoint fail, delay its responses, or work again.
    pub fn conduct(&self, endpoint: SandboxEndpoint, conduct: Conduct) {
        self.server.conducts.set(endpoint, conduct);
    }

    /// Returns the number of grants that are not revoked and have a valid token.
    pub fn live_grants(&self) -> usize {
        self.server.grants().live()
    }

    /// Returns the number of requests that this endpoint received, rejected ones included.
    pub fn requests(&self, endpoint: SandboxEndpoint) -> u64 {
        self.server.requests.of(endpoint)
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}
