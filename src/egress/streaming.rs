//! Streaming requests, for the proxy: bodies and trailers pass unchanged in both directions, and
//! nothing is held in memory.
//!
//! Connections are pooled for each credential, so that no connection that one credential opened
//! carries a request with another one. The same holds for TLS sessions.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderMap, Request, Response, Uri};
use http_body_util::combinators::UnsyncBoxBody;
use hyper::body::Incoming;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_rustls::builderstates::WantsProtocols1;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder, MaybeHttpsStream};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls::ClientConfig;
use rustls::client::Resumption;
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tower_service::Service;
use url::Url;

use super::dialer::TcpDialer;
use super::error::{AddressRefusal, EgressError, classify_dial, classify_streaming};
use super::guard::Guard;
use super::message::BoxError;
use super::resolver::Lookup;
use super::tunnel::EgressProxy;

/// The body of a streaming request.
pub type StreamBody = UnsyncBoxBody<Bytes, BoxError>;

/// Maximum number of sockets for streaming requests. One that needs another waits for it as long as
/// it waits for a connection.
pub const MAX_SOCKETS: usize = 2_048;

/// State that the streaming clients of a server share.
#[derive(Debug)]
pub(super) struct StreamState {
    /// Addresses at which this server itself listens. A request to one of them would loop.
    pub(super) own_listeners: Arc<OnceLock<Vec<SocketAddr>>>,
    sockets: Arc<Semaphore>,
}

impl StreamState {
    fn new(sockets: usize) -> Self {
        Self { own_listeners: Arc::default(), sockets: Arc::new(Semaphore::new(sockets)) }
    }
}

impl Default for StreamState {
    fn default() -> Self {
        Self::new(MAX_SOCKETS)
    }
}

/// Maximum number of credentials with connections of their own.
const MAX_POOLS: usize = 1_024;

/// TLS sessions that are kept for each credential: those of two hosts.
const SESSIONS: usize = 16;

/// Time after which an idle connection is closed.
const IDLE: Duration = Duration::from_secs(30);

/// Idle connections that are kept for each credential and host. With fewer, callers that wait for
/// the disk at the same time would open a connection for each request.
const MAX_IDLE: usize = 64;

/// Maximum size of the headers of a response, in bytes.
const MAX_HEADERS: usize = 64 * 1024;

type PooledClient = Client<Dialer, StreamBody>;

/// Pools of connections to the addresses that one guard admits.
#[derive(Clone)]
pub(super) struct StreamingClient {
    tcp: TcpDialer,
    /// TLS without sessions of earlier connections.
    tls: Arc<ClientConfig>,
    /// Opens connections that speak HTTP/1.1 alone.
    upgrades: Dialer,
    pools: Arc<Mutex<HashMap<String, (PooledClient, Instant)>>>,
    state: Arc<StreamState>,
}

impl StreamingClient {
    pub(super) fn new(
        guard: &Arc<Guard>,
        lookup: Lookup,
        mut tls: ClientConfig,
        connect: Duration,
        state: &Arc<StreamState>,
        proxy: Option<&Arc<EgressProxy>>,
    ) -> Self {
        tls.resumption = Resumption::disabled();
        let tcp = TcpDialer::new(guard, lookup, proxy.cloned(), Arc::clone(&state.own_listeners));
        let upgrades = Dialer::new(guard, tcp.clone(), tls.clone(), connect, state);
        // The connector sets the protocols itself.
        tls.alpn_protocols = Vec::new();
        Self { tcp, tls: Arc::new(tls), upgrades, pools: Arc::default(), state: Arc::clone(state) }
    }

    /// Opens the connections of one pool. TLS sessions are resumed in this pool alone: an origin could
    /// take one for the same caller.
    fn dialer_of_pool(&self) -> Dialer {
        let mut tls = ClientConfig::clone(&self.tls);
        tls.resumption = Resumption::in_memory_sessions(SESSIONS);
        let https = connector(tls).enable_http1().enable_http2().wrap_connector(self.tcp.clone());
        Dialer { https, ..self.upgrades.clone() }
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
        let mut response = client.request(request).await.map_err(|error| classify_streaming(&error))?;
        settle_framing(response.headers_mut())?;
        Ok(response)
    }

    /// Opens a connection for a tunnel. It counts as none of the sockets for requests: the caller
    /// limits the number of tunnels.
    pub(super) async fn dial(&self, host: &str, port: u16) -> Result<TcpStream, EgressError> {
        let mut dialer = self.upgrades.clone();
        let dialing = async {
            let authority = format!("{host}:{port}");
            let uri = Uri::builder().scheme("http").authority(authority.as_str()).path_and_query("/").build()?;
            match tokio::time::timeout(dialer.connect, dialer.open(uri)).await?? {
                MaybeHttpsStream::Http(stream) => Ok(stream.into_inner()),
                MaybeHttpsStream::Https(_) => Err(BoxError::from(AddressRefusal::Scheme)),
            }
        };
        dialing.await.map_err(|error| classify_dial(&*error))
    }

    fn client(&self, pool: &str) -> PooledClient {
        let mut pools = self.pools.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if self.state.sockets.available_permits() == 0 {
            // Those in use go on; the idle ones close.
            pools.clear();
        }
        if let Some((client, used)) = pools.get_mut(pool) {
            *used = now;
            return client.clone();
        }
        if pools.len() >= MAX_POOLS {
            pools.retain(|_, (_, used)| now.duration_since(*used) < IDLE);
        }
        let client = client_of(self.dialer_of_pool());
        // Under load a pool that is not kept costs its requests a connection each.
        if pools.len() < MAX_POOLS {
            pools.insert(pool.to_owned(), (client.clone(), now));
        }
        client
    }
}

fn connector(tls: ClientConfig) -> HttpsConnectorBuilder<WantsProtocols1> {
    HttpsConnector::<TcpDialer>::builder().with_tls_config(tls).https_or_http()
}

/// Requires a response whose end is clear (RFC 9112 §6.3): hyper takes one with an unknown transfer
/// coding as it is. A length beside chunks does not count, and is removed.
fn settle_framing(headers: &mut HeaderMap) -> Result<(), EgressError> {
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    match (codings.next(), codings.next()) {
        (None, _) => return Ok(()),
        (Some(coding), None) if coding.as_bytes().trim_ascii().eq_ignore_ascii_case(b"chunked") => {}
        _ => return Err(EgressError::Garbled),
    }
    headers.remove(CONTENT_LENGTH);
    Ok(())
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
        .http1_title_case_headers(true)
        .http2_max_header_list_size(u32::try_from(MAX_HEADERS).unwrap_or(u32::MAX))
        .set_host(false)
        .build(dialer)
}

/// Opens connections within the guard's rules, with TLS for `https`.
#[derive(Clone)]
struct Dialer {
    https: HttpsConnector<TcpDialer>,
    guard: Arc<Guard>,
    connect: Duration,
    state: Arc<StreamState>,
}

impl Dialer {
    /// Opens connections that speak HTTP/1.1 alone.
    fn new(
        guard: &Arc<Guard>,
        tcp: TcpDialer,
        mut tls: ClientConfig,
        connect: Duration,
        state: &Arc<StreamState>,
    ) -> Self {
        tls.alpn_protocols = Vec::new();
        let https = connector(tls).enable_http1().wrap_connector(tcp);
        Self { https, guard: Arc::clone(guard), connect, state: Arc::clone(state) }
    }

    /// Opens a connection. Every connection for a request or a tunnel is opened here.
    async fn open(&mut self, uri: Uri) -> Result<MaybeHttpsStream<TokioIo<TcpStream>>, BoxError> {
        // An address in the URL does not go through the resolver.
        let url = Url::parse(&uri.to_string()).map_err(|_| AddressRefusal::NoHost)?;
        self.guard.check(&url, &http::HeaderMap::new())?;
        self.https.call(uri).await
    }
}

impl Service<Uri> for Dialer {
    type Response = CountedStream;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let mut dialer = self.clone();
        Box::pin(async move {
            let sockets = Arc::clone(&dialer.state.sockets);
            let limit = dialer.connect;
            let opening = async { Ok::<_, BoxError>((sockets.acquire_owned().await?, dialer.open(uri).await?)) };
            let (permit, stream) = tokio::time::timeout(limit, opening).await??;
            Ok(CountedStream { stream, _permit: permit })
        })
    }
}

/// A connection, with its permit.
struct CountedStream {
    stream: MaybeHttpsStream<TokioIo<TcpStream>>,
    _permit: OwnedSemaphorePermit,
}

impl Connection for CountedStream {
    fn connected(&self) -> Connected {
        self.stream.connected()
    }
}

impl Read for CountedStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, to: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, to)
    }
}

impl Write for CountedStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, parts)
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::{BodyExt as _, Empty};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;
    use crate::egress::{resolver, tls};

    #[tokio::test]
    async fn idle_sockets_give_way_to_other_credentials() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let uri: Uri = format!("http://{}/", listener.local_addr().unwrap()).parse().unwrap();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let mut buffer = [0; 1024];
                    while stream.read(&mut buffer).await.is_ok_and(|read| read > 0) {
                        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await.unwrap();
                    }
                });
            }
        });
        let guard = Arc::new(Guard::new(&["127.0.0.0/8".parse().unwrap()], AddressRefusal::Address));
        let (tls, wait) = (tls::client_config(tls::roots([]).unwrap()).unwrap(), Duration::from_secs(20));
        let state = Arc::new(StreamState::new(1));
        let client = StreamingClient::new(&guard, resolver::system(), tls, wait, &state, None);
        for pool in ["a", "a", "b", "a"] {
            let body = Empty::new().map_err(|never| match never {}).boxed_unsync();
            let mut request = Request::new(body);
            *request.uri_mut() = uri.clone();
            let response = client.send(request, pool).await.unwrap();
            response.into_body().collect().await.unwrap();
        }
    }
}
