//! A pool of connections to the addresses that one guard admits.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use hyper::body::Incoming;
use rustls::ClientConfig;
use url::Url;

use super::dialer::{EgressRoute, TcpDialer};
use super::error::{AddressRefusal, EgressError, EgressSetupError, classify, classify_dial};
use super::guard::Guard;
use super::message::{EgressLimits, EgressRequest};
use super::resolver::{GuardedResolver, Lookup};
use super::streaming::{StreamBody, StreamState, StreamingClient};
use super::tunnel::EgressProxy;

/// An HTTP client with its guard. Two guards never share a connection: one may admit an address
/// that the other rejects.
#[derive(Clone)]
pub(super) struct Connector {
    direct: reqwest::Client,
    /// The client for what leaves through the egress proxy.
    proxied: Option<reqwest::Client>,
    /// Decides between the two.
    dialer: TcpDialer,
    connect: Duration,
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
        proxy: Option<&Arc<EgressProxy>>,
    ) -> Result<Self, EgressSetupError> {
        let guard = Arc::new(guard);
        let streaming =
            StreamingClient::new(&guard, Arc::clone(&lookup), tls.clone(), limits.stream_connect, state, proxy);
        // These requests may go to this server itself, for example to the sandbox.
        let dialer = TcpDialer::new(&guard, Arc::clone(&lookup), proxy.cloned(), Arc::default());
        let resolver = GuardedResolver::new(Arc::clone(&guard), lookup);
        let direct = builder(tls.clone(), limits).no_proxy().dns_resolver(resolver);
        let direct = direct.build().map_err(|_| EgressSetupError::Client)?;
        let proxied = match proxy {
            // It resolves the name of the proxy alone. Plain http would not be a tunnel.
            Some(proxy) => Some(builder(tls, limits).proxy(proxy.for_reqwest()?).https_only(true)),
            None => None,
        };
        let proxied = proxied.map(reqwest::ClientBuilder::build).transpose().map_err(|_| EgressSetupError::Client)?;
        Ok(Self { direct, proxied, dialer, connect: limits.connect, guard, streaming })
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
        let client = self.client(&request.url).await?;
        let mut outgoing = reqwest::Request::new(request.method, request.url);
        *outgoing.headers_mut() = request.headers;
        *outgoing.body_mut() = request.body.map(|body| Bytes::from_owner(body).into());
        client.execute(outgoing).await.map_err(|error| classify(&error))
    }

    /// Returns the client for the way to this URL.
    async fn client(&self, url: &Url) -> Result<&reqwest::Client, EgressError> {
        let Some(proxied) = &self.proxied else { return Ok(&self.direct) };
        let (host, port) = url.host_str().zip(url.port_or_known_default()).ok_or(AddressRefusal::NoHost)?;
        let route = tokio::time::timeout(self.connect, Box::pin(self.dialer.route(host, port))).await;
        match route.map_err(|_| EgressError::TooSlow { sent: false })?.map_err(|error| classify_dial(&*error))? {
            EgressRoute::Direct => Ok(&self.direct),
            EgressRoute::Proxy(_) => Ok(proxied),
        }
    }
}

fn builder(tls: ClientConfig, limits: &EgressLimits) -> reqwest::ClientBuilder {
    #[expect(clippy::disallowed_methods, reason = "all outbound requests go through this client")]
    reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .referer(false)
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
}
