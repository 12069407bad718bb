//! A pool of connections to the addresses that one guard admits.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use hyper::body::Incoming;
use rustls::ClientConfig;

use super::error::{EgressError, EgressSetupError, classify};
use super::guard::Guard;
use super::message::{EgressLimits, EgressRequest};
use super::resolver::{GuardedResolver, Lookup};
use super::streaming::{StreamBody, StreamState, StreamingClient};

/// An HTTP client with its guard. Two guards never share a connection: one may admit an address
/// that the other rejects.
#[derive(Clone)]
pub(super) struct Connector {
    client: reqwest::Client,
    guard: Arc<Guard>,
    streaming: StreamingClient,
}

impl Connector {
    pub(super) fn new(
        guard: Guard,
        tls: ClientConfig,
        limits: &EgressLimits,
        lookup: Lookup,
        state: &Arc<StreamState>,
    ) -> Result<Self, EgressSetupError> {
        let guard = Arc::new(guard);
        let streaming = StreamingClient::new(&guard, Arc::clone(&lookup), tls.clone(), limits.stream_connect, state);
        #[expect(clippy::disallowed_methods, reason = "all outbound requests go through this client")]
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
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
        Ok(Self { client, guard, streaming })
    }

    /// Sends a streaming request over a connection of this pool.
    pub(super) async fn stream(
        &self,
        request: Request<StreamBody>,
        pool: &str,
    ) -> Result<Response<Incoming>, EgressError> {
        self.streaming.send(request, pool).await
    }

    /// Sends the request and returns the response, whose body is still to be read.
    pub(super) async fn execute(&self, request: EgressRequest) -> Result<reqwest::Response, EgressError> {
        self.guard.check(&request.url, &request.headers)?;
        let mut outgoing = reqwest::Request::new(request.method, request.url);
        *outgoing.headers_mut() = request.headers;
        *outgoing.body_mut() = request.body.map(|body| Bytes::from_owner(body).into());
        self.client.execute(outgoing).await.map_err(|error| classify(&error))
    }
}
