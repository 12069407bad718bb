//! The egress client: all outbound requests go through it, within limits and the address guard.
//!
//! A provider may be hostile, and its URLs may come from a customer. Redirects, proxies and cookies
//! are off. The limits are 5 s to connect, 15 s in total and 1 MiB of decoded response. Only
//! `https` is allowed, and `http` to loopback addresses that the configuration allows. A connection
//! is made only to an address that the guard has checked.

mod address;
mod error;
mod guard;
mod message;
mod resolver;
mod response;
mod tls;

#[cfg(test)]
pub(crate) mod tests;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use ipnet::IpNet;

pub use error::{AddressRefusal, EgressError, EgressSetupError, NotSent};
pub use message::{EgressLimits, EgressRequest, EgressResponse};
pub use resolver::{Addresses, Lookup, system as system_resolver};

use guard::Guard;
use message::LIMITS;
use resolver::GuardedResolver;

/// The outbound client. Cheap to clone; clones share connections and limits.
#[derive(Clone)]
pub struct Egress {
    client: reqwest::Client,
    guard: Arc<Guard>,
    limits: EgressLimits,
}

impl Egress {
    /// Creates a client that may reach public addresses and those in `allow`. It trusts
    /// Mozilla's roots and the certificates in the PEM files `ca_certificates`.
    ///
    /// Takes less than a millisecond and uses no network.
    pub fn new(allow: &[IpNet], ca_certificates: &[PathBuf]) -> Result<Self, EgressSetupError> {
        Self::assemble(allow, ca_certificates, LIMITS, resolver::system())
    }

    /// Creates a client with other limits and another resolver, for tests. The guard stays.
    pub fn assemble(
        allow: &[IpNet],
        ca_certificates: &[PathBuf],
        limits: EgressLimits,
        lookup: resolver::Lookup,
    ) -> Result<Self, EgressSetupError> {
        let guard = Arc::new(Guard::new(allow));
        #[expect(clippy::disallowed_methods, reason = "all outbound requests go through this client")]
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(tls::client_config(ca_certificates)?)
            .dns_resolver(GuardedResolver::new(Arc::clone(&guard), lookup))
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            .no_proxy()
            .http1_only()
            .http1_max_headers(100)
            .connect_timeout(limits.connect)
            // gzip is enough: brotli lets the server choose a window of 16 MiB in our memory.
            .no_brotli()
            .no_deflate()
            // Long enough for the requests of one use case. The server may close an
            // older idle connection just while a code is being sent, and a code can be
            // sent only once.
            .pool_max_idle_per_host(2)
            .pool_idle_timeout(Duration::from_secs(5))
            .user_agent(concat!("strongroom/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|_| EgressSetupError::Client)?;
        Ok(Self { client, guard, limits })
    }

    /// Sends the request and reads the complete response.
    ///
    /// # Errors
    /// A rejection of the guard, or the failure to get a complete response. Any status is `Ok`.
    pub async fn send(&self, request: EgressRequest) -> Result<EgressResponse, EgressError> {
        let exchange = async { response::read(self.execute(request).await?, &self.limits).await };
        // Connecting has its own, shorter limit, so at this limit the request has been
        // sent.
        tokio::time::timeout(self.limits.total, exchange).await.unwrap_or(Err(EgressError::TooSlow { sent: true }))
    }

    /// Sends the request and returns the response without its body, which may have no end: the
    /// connection is closed after the head.
    ///
    /// # Errors
    /// As for [`Egress::send`]; also if there is no head within `limit`.
    pub async fn send_for_head(&self, request: EgressRequest, limit: Duration) -> Result<EgressResponse, EgressError> {
        let exchange = async { response::head(self.execute(request).await?, &self.limits) };
        tokio::time::timeout(limit, exchange).await.unwrap_or(Err(EgressError::TooSlow { sent: true }))
    }

    async fn execute(&self, request: EgressRequest) -> Result<reqwest::Response, EgressError> {
        self.guard.check(&request.url, &request.headers)?;
        let mut outgoing = reqwest::Request::new(request.method, request.url);
        *outgoing.headers_mut() = request.headers;
        *outgoing.body_mut() = request.body.map(|body| Bytes::from_owner(body).into());
        self.client.execute(outgoing).await.map_err(|error| error::classify(&error))
    }
}
