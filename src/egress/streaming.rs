//! Streaming requests, for the proxy: bodies and trailers pass unchanged in both directions, and
//! nothing is held in memory.
//!
//! Connections are pooled for each credential, so that no connection that one credential opened
//! carries a request with another one.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Extensions, Request, Response, Uri};
use http_body_util::combinators::UnsyncBoxBody;
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, MaybeHttpsStream};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::dns::Name;
use hyper_util::client::legacy::connect::{Connection as _, HttpConnector, HttpInfo};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls::ClientConfig;
use tokio::net::TcpStream;
use tower_service::Service;
use url::Url;

use super::error::{AddressRefusal, EgressError, classify_streaming};
use super::guard::Guard;
use super::message::BoxError;
use super::resolver::{Lookup, checked};

/// The body of a streaming request.
pub type StreamBody = UnsyncBoxBody<Bytes, BoxError>;

/// Addresses at which this server itself listens. A request to one of them would loop.
pub(super) type OwnListeners = Arc<OnceLock<Vec<SocketAddr>>>;

/// Maximum number of credentials with connections of their own.
const MAX_POOLS: usize = 1_024;

/// Time after which an idle connection is closed.
const IDLE: Duration = Duration::from_secs(30);

/// Idle connections that are kept for each credential and host.
const MAX_IDLE: usize = 8;

/// Maximum size of the headers of a response, in bytes.
const MAX_HEADERS: usize = 64 * 1024;

type PooledClient = Client<Dialer, StreamBody>;

/// Pools of connections to the addresses that one guard admits.
#[derive(Clone)]
pub(super) struct StreamingClient {
    pooled: Dialer,
    /// Opens connections that speak HTTP/1.1 alone.
    upgrades: Dialer,
    pools: Arc<Mutex<HashMap<String, (PooledClient, Instant)>>>,
}

impl StreamingClient {
    pub(super) fn new(
        guard: &Arc<Guard>,
        lookup: Lookup,
        mut tls: ClientConfig,
        connect: Duration,
        own: &OwnListeners,
    ) -> Self {
        let mut tcp = HttpConnector::new_with_resolver(GuardedNames { guard: Arc::clone(guard), lookup });
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        // The connector sets the protocols itself.
        tls.alpn_protocols = Vec::new();
        let connector = |tls| HttpsConnector::<HttpConnector>::builder().with_tls_config(tls).https_or_http();
        let dialer = |https| Dialer { https, guard: Arc::clone(guard), connect, own: Arc::clone(own) };
        let upgrades = dialer(connector(tls.clone()).enable_http1().wrap_connector(tcp.clone()));
        let pooled = dialer(connector(tls).enable_http1().enable_http2().wrap_connector(tcp));
        Self { pooled, upgrades, pools: Arc::default() }
    }

    /// Sends a request whose URI is absolute, and returns the response with its body to be read. The
    /// connections of `pool` carry it.
    pub(super) async fn send(
        &self,
        request: Request<StreamBody>,
        pool: &str,
    ) -> Result<Response<Incoming>, EgressError> {
        // A connection that becomes a WebSocket serves no other request, and speaks HTTP/1.1.
        let is_upgrade = request.headers().contains_key(http::header::UPGRADE);
        let client = if is_upgrade { client_of(self.upgrades.clone()) } else { self.client(pool) };
        client.request(request).await.map_err(|error| classify_streaming(&error))
    }

    fn client(&self, pool: &str) -> PooledClient {
        let mut pools = self.pools.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if let Some((client, used)) = pools.get_mut(pool) {
            *used = now;
            return client.clone();
        }
        if pools.len() >= MAX_POOLS {
            pools.retain(|_, (_, used)| now.duration_since(*used) < IDLE);
        }
        let client = client_of(self.pooled.clone());
        // Under load a pool that is not kept costs its requests a connection each.
        if pools.len() < MAX_POOLS {
            pools.insert(pool.to_owned(), (client.clone(), now));
        }
        client
    }
}

fn client_of(dialer: Dialer) -> PooledClient {
    Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .timer(TokioTimer::new())
        .pool_idle_timeout(IDLE)
        .pool_max_idle_per_host(MAX_IDLE)
        .http1_max_headers(100)
        .http1_max_buf_size(MAX_HEADERS)
        .http1_preserve_header_case(true)
        .http2_max_header_list_size(u32::try_from(MAX_HEADERS).unwrap_or(u32::MAX))
        .set_host(false)
        .build(dialer)
}

/// Resolves names to addresses that the guard admits.
#[derive(Clone)]
struct GuardedNames {
    guard: Arc<Guard>,
    lookup: Lookup,
}

impl Service<Name> for GuardedNames {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let (guard, lookup) = (Arc::clone(&self.guard), Arc::clone(&self.lookup));
        Box::pin(async move { Ok(checked(&guard, &lookup, name.as_str()).await?.into_iter()) })
    }
}

/// Opens connections within the guard's rules.
#[derive(Clone)]
struct Dialer {
    https: HttpsConnector<HttpConnector<GuardedNames>>,
    guard: Arc<Guard>,
    connect: Duration,
    own: OwnListeners,
}

impl Dialer {
    /// Checks the address that was dialled, before anything is sent to it.
    fn check_peer(&self, stream: &MaybeHttpsStream<TokioIo<TcpStream>>) -> Result<(), BoxError> {
        let mut facts = Extensions::new();
        stream.connected().get_extras(&mut facts);
        let peer = facts.get::<HttpInfo>().map(HttpInfo::remote_addr).ok_or(AddressRefusal::NoHost)?;
        self.guard.check_address(peer.ip())?;
        if self.own.get().is_some_and(|own| own.iter().any(|own| is_at(*own, peer))) {
            return Err(AddressRefusal::Loop.into());
        }
        Ok(())
    }
}

impl Service<Uri> for Dialer {
    type Response = MaybeHttpsStream<TokioIo<TcpStream>>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let mut dialer = self.clone();
        Box::pin(async move {
            // An address in the URL does not go through the resolver.
            let url = Url::parse(&uri.to_string()).map_err(|_| AddressRefusal::NoHost)?;
            dialer.guard.check(&url, &http::HeaderMap::new())?;
            let stream = tokio::time::timeout(dialer.connect, dialer.https.call(uri)).await??;
            dialer.check_peer(&stream)?;
            Ok(stream)
        })
    }
}

/// Returns true if a connection to `peer` arrives at this listener.
fn is_at(own: SocketAddr, peer: SocketAddr) -> bool {
    let (ip, peer_ip) = (own.ip().to_canonical(), peer.ip().to_canonical());
    own.port() == peer.port() && (ip == peer_ip || ip.is_unspecified() && is_of_this_machine(peer_ip))
}

/// Returns true if this machine has the address: only then a socket can be bound to it.
fn is_of_this_machine(ip: IpAddr) -> bool {
    ip.is_loopback() || std::net::UdpSocket::bind((ip, 0)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_listeners_are_recognised() {
        let at = |own: &str, peer: &str| is_at(own.parse().unwrap(), peer.parse().unwrap());
        assert!(at("127.0.0.1:8080", "127.0.0.1:8080") && at("127.0.0.1:8080", "[::ffff:127.0.0.1]:8080"));
        assert!(at("0.0.0.0:8080", "127.0.0.2:8080") && at("[::]:8080", "[::1]:8080"));
        assert!(!at("127.0.0.1:8080", "127.0.0.1:8081") && !at("0.0.0.0:8080", "192.0.2.1:8080"));
    }
}
