//! The only way out to the network: one HTTP client, with every limit and the address guard built in.
//!
//! A provider may be hostile, and its URLs may come from a customer. So there are no redirects, no proxy and no
//! cookies; 5 s to connect, 15 s in all, 1 MiB of decoded answer; `https` alone (`http` to a loopback address that
//! the configuration allows); and a connection is made only to an address that the guard has judged.

mod address;
mod error;
mod guard;
mod resolver;
mod response;
mod tls;

#[cfg(test)]
pub(crate) mod hostile;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};
use ipnet::IpNet;
use url::Url;
use zeroize::Zeroizing;

pub use error::{AddressRefusal, EgressError, EgressSetupError, NotSent};
pub use resolver::{Addresses, Lookup, system as system_resolver};

use guard::Guard;
use resolver::GuardedResolver;

/// The outbound client. Cheap to clone; all clones share connections and limits.
#[derive(Clone)]
pub struct Egress {
    client: reqwest::Client,
    guard: Arc<Guard>,
    limits: Limits,
}

/// A request to a provider. It has no `Debug`: headers and body carry secrets.
pub struct EgressRequest {
    /// The method.
    pub method: Method,
    /// Where to; user info in it is refused, a fragment is not sent.
    pub url: Url,
    /// The headers; those that frame the message (`Host`, `Content-Length`, …) are not the caller's to set.
    pub headers: HeaderMap,
    /// The body, wiped from memory once it is sent.
    pub body: Option<Zeroizing<Vec<u8>>>,
}

/// A whole answer, whatever its status: a redirect is an answer like any other. It has no `Debug`: the body may carry
/// tokens.
pub struct EgressResponse {
    /// The status.
    pub status: StatusCode,
    /// The headers; `Content-Encoding` is gone where the body was decoded.
    pub headers: HeaderMap,
    /// The decoded body, at most 1 MiB; wiped from memory when the last clone is dropped.
    pub body: Bytes,
}

/// The bounds of one request. The default is what this house promises; a test that waits for a bound has shorter ones.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Name resolution, TCP and TLS together.
    pub connect: Duration,
    /// From the call to the last byte of the answer.
    pub total: Duration,
    /// Bytes of the decoded body.
    pub body: usize,
    /// Bytes of all header names and values.
    pub headers: usize,
}

const LIMITS: Limits =
    Limits { connect: Duration::from_secs(5), total: Duration::from_secs(15), body: 1024 * 1024, headers: 64 * 1024 };

impl Default for Limits {
    fn default() -> Self {
        LIMITS
    }
}

impl Egress {
    /// A client that may reach public addresses and those in `allow`, and that trusts Mozilla's roots and the
    /// certificates in the PEM files `ca_certificates`.
    ///
    /// It takes less than a millisecond, and touches no network.
    pub fn new(allow: &[IpNet], ca_certificates: &[PathBuf]) -> Result<Self, EgressSetupError> {
        Self::assemble(allow, ca_certificates, LIMITS, resolver::system())
    }

    /// The same with bounds and a name server of one's own, behind which the guard stands all the same: for tests.
    pub fn assemble(
        allow: &[IpNet],
        ca_certificates: &[PathBuf],
        limits: Limits,
        lookup: resolver::Lookup,
    ) -> Result<Self, EgressSetupError> {
        let guard = Arc::new(Guard::new(allow));
        #[expect(clippy::disallowed_methods, reason = "this is the one home of the outbound client")]
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
            // Long enough for the requests of one use case. A connection that idles longer may be closed by the server
            // just while a code is on its way, and a code can be sent only once.
            .pool_max_idle_per_host(2)
            .pool_idle_timeout(Duration::from_secs(5))
            .user_agent(concat!("strongroom/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|_| EgressSetupError::Client)?;
        Ok(Self { client, guard, limits })
    }

    /// Sends the request and reads the whole answer.
    ///
    /// # Errors
    /// What the guard refuses, and everything short of a whole answer. Any status is `Ok`.
    pub async fn send(&self, request: EgressRequest) -> Result<EgressResponse, EgressError> {
        self.guard.check(&request.url, &request.headers)?;
        let mut outgoing = reqwest::Request::new(request.method, request.url);
        *outgoing.headers_mut() = request.headers;
        *outgoing.body_mut() = request.body.map(|body| Bytes::from_owner(body).into());
        let exchange = async {
            let response = self.client.execute(outgoing).await.map_err(|error| error::classify(&error))?;
            response::read(response, &self.limits).await
        };
        // The time to connect has its own, shorter bound: when this one strikes, the request is under way.
        tokio::time::timeout(self.limits.total, exchange).await.unwrap_or(Err(EgressError::TooSlow { sent: true }))
    }
}
