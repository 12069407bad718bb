//! The server with routes made for its tests: panics, hang-ups, streams, upgrades, HTTP/2.

use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use futures_util::{SinkExt as _, Stream, StreamExt as _, stream};
use http::{Request, StatusCode, Version};
use http_body_util::{BodyExt as _, Empty, StreamBody};
use hyper::body::Frame;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, oneshot};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::tungstenite::Message;
use warp::{Buf, Filter as _, Reply as _};

use super::*;
use crate::http::limits::Limits;

/// Chunks of the streamed download and upload: more than every buffer on the way.
const CHUNKS: usize = 256;
const CHUNK: &[u8] = &[7; 16 * 1024];

/// A server with test routes; dropped, it stops.
struct Testbed {
    address: std::net::SocketAddr,
    certificate: Option<CertificateDer<'static>>,
    held: Arc<Held>,
    stop: Option<oneshot::Sender<()>>,
    served: tokio::task::JoinHandle<()>,
    _files: tempfile::TempDir,
}

/// Requests of `/held`, which wait until the test releases them.
struct Held {
    release: Semaphore,
    begun: AtomicUsize,
    /// Those whose handler was dropped, at its end or before.
    dropped: AtomicUsize,
    finished: AtomicUsize,
}

impl Held {
    async fn run(self: Arc<Self>) -> Response {
        struct OnDrop(Arc<Held>);
        impl Drop for OnDrop {
            fn drop(&mut self) {
                self.0.dropped.fetch_add(1, Ordering::SeqCst);
            }
        }
        let on_drop = OnDrop(self);
        on_drop.0.begun.fetch_add(1, Ordering::SeqCst);
        drop(on_drop.0.release.acquire().await);
        on_drop.0.finished.fetch_add(1, Ordering::SeqCst);
        "done".into_response()
    }

    fn release(&self) {
        self.release.add_permits(1);
    }
}

/// Waits until a counter has this value.
async fn reaches(counter: &AtomicUsize, value: usize) {
    while counter.load(Ordering::SeqCst) != value {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// The test routes.
fn routes(held: Arc<Held>) -> BoxedFilter<(Response,)> {
    let fine = warp::path!("fine").map(|| "fine".into_response());
    let panics = warp::path!("panic").map(|| -> Response { panic!("a secret") });
    let held = warp::path!("held").then(move || held.clone().run());
    let download = warp::path!("download").map(|| {
        let chunks = stream::iter((0..CHUNKS).map(|_| Ok::<_, std::io::Error>(CHUNK)));
        warp::reply::stream(chunks).into_response()
    });
    let upload = warp::path!("upload" / ..)
        .and(warp::path::tail())
        .and(warp::body::stream())
        .then(async |tail: warp::path::Tail, body| format!("{} {}", tail.as_str(), length(body).await).into_response());
    let facts = warp::path!("facts").and(warp::ext::get::<RequestContext>()).map(|context: RequestContext| {
        format!("{:?} tls={} length={:?}", context.version, context.tls, context.body_length).into_response()
    });
    let echo = warp::path!("echo").and(warp::ws()).map(|socket: warp::ws::Ws| {
        let echo = async |socket: warp::ws::WebSocket| {
            let (to, from) = socket.split();
            from.forward(to).await.ok();
        };
        socket.on_upgrade(echo).into_response()
    });
    let routes = fine.or(panics).unify().or(held).unify().or(download).unify().or(upload).unify();
    routes.or(facts).unify().or(echo).unify().boxed()
}

async fn length(body: impl Stream<Item = Result<impl Buf, warp::Error>>) -> usize {
    body.fold(0, async |length, chunk| length + chunk.map_or(0, |chunk| chunk.remaining())).await
}

impl Testbed {
    async fn start(tls: bool, limits: Limits) -> Self {
        let files = tempfile::tempdir().unwrap();
        let (certificate, key) = (files.path().join("cert.pem"), files.path().join("key.pem"));
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        std::fs::write(&certificate, made.cert.pem()).unwrap();
        std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
        let mut listener = Listener::tcp("127.0.0.1:0").await.unwrap();
        if tls {
            listener = listener.with_tls(tls::Tls::load(&certificate, &key).unwrap());
        }
        let address = listener.address().unwrap();
        let count = || AtomicUsize::new(0);
        let held = Held { release: Semaphore::new(0), begun: count(), dropped: count(), finished: count() };
        let held = Arc::new(held);
        let unused = |_| -> DirectApi { Box::new(|_, _| unreachable!("the test has no forward proxy")) };
        let api = api(routes(held.clone()), |context| {
            let mut extensions = http::Extensions::new();
            extensions.insert(context);
            extensions
        });
        let api = Services::Api { api, direct: Vec::new() };
        let (stop, stopped) = oneshot::channel();
        let settings = Settings { limits, ..Settings::default() };
        let served = tokio::spawn(serve_all(vec![listener], (api, Box::new(unused)), settings, Random, async {
            stopped.await.ok();
        }));
        let certificate = tls.then(|| made.cert.der().clone());
        Self { address, certificate, held, stop: Some(stop), served, _files: files }
    }

    async fn plain() -> Self {
        Self::start(false, Limits::default()).await
    }

    async fn tcp(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    async fn tls(&self, alpn: &[&[u8]]) -> TlsStream<TcpStream> {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(self.certificate.clone().expect("the server has TLS")).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
        let name = ServerName::try_from("localhost").unwrap();
        TlsConnector::from(Arc::new(config)).connect(name, self.tcp().await).await.unwrap()
    }

    /// Sends bytes on a connection of their own and reads until the server closes it.
    async fn raw(&self, bytes: &str) -> String {
        let mut socket = self.tcp().await;
        socket.write_all(bytes.as_bytes()).await.unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).await.unwrap();
        answer
    }
}

type Client = http2::SendRequest<http_body_util::combinators::BoxBody<Bytes, std::io::Error>>;

async fn http2(stream: TlsStream<TcpStream>) -> (Client, tokio::task::JoinHandle<hyper::Result<()>>) {
    let (client, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    (client, tokio::spawn(connection))
}

fn request(method: &str, path: &str) -> Request<http_body_util::combinators::BoxBody<Bytes, std::io::Error>> {
    let body = Empty::new().map_err(|never| match never {}).boxed();
    Request::builder().method(method).uri(format!("https://localhost{path}")).body(body).unwrap()
}

#[tokio::test]
async fn panic_is_a_500_without_its_message_and_the_connection_goes_on() {
    let server = Testbed::plain().await;
    let answers = server
        .raw(
            "GET /panic HTTP/1.1\r\nHost: x\r\n\r\nPOST /panic HTTP/1.1\r\nHost: x\r\n\r\n\
             GET /fine HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        )
        .await;
    assert_eq!(answers.matches("HTTP/1.1 500").count(), 2, "{answers}");
    assert_eq!(answers.matches(r#""type":"/problems/internal""#).count(), 2, "{answers}");
    assert!(answers.ends_with("fine") && !answers.contains("a secret"), "{answers}");
}

#[tokio::test]
async fn state_changing_request_outlives_a_hang_up() {
    let server = Testbed::plain().await;
    let mut socket = server.tcp().await;
    socket.write_all(b"POST /held HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    reaches(&server.held.begun, 1).await;
    drop(socket);
    server.held.release();
    reaches(&server.held.finished, 1).await;
}

#[tokio::test]
async fn state_changing_request_outlives_a_stream_reset() {
    let server = Testbed::start(true, Limits::default()).await;
    let (mut client, _connection) = http2(server.tls(&[b"h2"]).await).await;
    for (method, begun) in [("POST", 1), ("GET", 2)] {
        let response = client.send_request(request(method, "/held"));
        // Dropping the response future resets the stream.
        tokio::select! {
            _ = response => panic!("{method} is held"),
            () = reaches(&server.held.begun, begun) => {}
        }
    }
    reaches(&server.held.dropped, 1).await;
    server.held.release();
    reaches(&server.held.dropped, 2).await;
    assert_eq!(server.held.finished.load(Ordering::SeqCst), 1, "the POST, and not the GET");
    let response = client.send_request(request("GET", "/fine")).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK, "the connection goes on");
}

#[tokio::test]
async fn graceful_stop_waits_for_a_request_whose_caller_hung_up() {
    let mut server = Testbed::plain().await;
    let mut socket = server.tcp().await;
    socket.write_all(b"POST /held HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    reaches(&server.held.begun, 1).await;
    drop(socket);
    server.stop.take().unwrap().send(()).unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(!server.served.is_finished());
    server.held.release();
    (&mut server.served).await.unwrap();
    assert_eq!(server.held.finished.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn graceful_stop_finishes_http2_streams() {
    let mut server = Testbed::start(true, Limits::default()).await;
    let (mut client, connection) = http2(server.tls(&[b"h2"]).await).await;
    let response = tokio::spawn(client.send_request(request("POST", "/held")));
    reaches(&server.held.begun, 1).await;
    server.stop.take().unwrap().send(()).unwrap();
    server.held.release();
    assert_eq!(response.await.unwrap().unwrap().status(), StatusCode::OK);
    (&mut server.served).await.unwrap();
    connection.await.unwrap().unwrap();
}

#[tokio::test]
async fn alpn_chooses_the_protocol() {
    let server = Testbed::start(true, Limits::default()).await;
    for (alpn, version) in [
        (vec![b"h2".as_slice(), b"http/1.1"], "HTTP/2.0"),
        (vec![b"http/1.1".as_slice()], "HTTP/1.1"),
        (vec![], "HTTP/1.1"),
    ] {
        let stream = server.tls(&alpn).await;
        let response = if stream.get_ref().1.alpn_protocol() == Some(b"h2") {
            let (mut client, _) = http2(stream).await;
            client.send_request(request("GET", "/facts")).await.unwrap()
        } else {
            let (mut client, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
            tokio::spawn(connection);
            let mut plain = request("GET", "/facts");
            plain.headers_mut().insert(http::header::HOST, "localhost".parse().unwrap());
            client.send_request(plain).await.unwrap()
        };
        assert!(response.headers().contains_key(http::header::STRICT_TRANSPORT_SECURITY));
        let body = response.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(body, format!("{version} tls=true length=Some(0)"), "{alpn:?}");
    }
}

#[tokio::test]
async fn head_over_http2_has_the_length_and_no_body() {
    let server = Testbed::start(true, Limits::default()).await;
    let (mut client, _connection) = http2(server.tls(&[b"h2"]).await).await;
    let response = client.send_request(request("HEAD", "/fine")).await.unwrap();
    assert_eq!((response.version(), response.status()), (Version::HTTP_2, StatusCode::OK));
    assert_eq!(response.headers()[http::header::CONTENT_LENGTH], "4");
    assert!(response.into_body().collect().await.unwrap().to_bytes().is_empty());
}

#[tokio::test]
async fn idle_http2_connection_is_closed() {
    let limits = Limits { h2_idle_time: Duration::from_millis(100), ..Limits::default() };
    let server = Testbed::start(true, limits).await;
    let began = std::time::Instant::now();
    let mut silent = server.tls(&[b"h2"]).await;
    let mut bytes = Vec::new();
    silent.read_to_end(&mut bytes).await.ok();
    let (mut client, connection) = http2(server.tls(&[b"h2"]).await).await;
    assert_eq!(client.send_request(request("GET", "/fine")).await.unwrap().status(), StatusCode::OK);
    connection.await.unwrap().unwrap();
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
}

#[tokio::test]
async fn bodies_are_streamed_both_ways() {
    let server = Testbed::start(true, Limits::default()).await;
    let (mut client, _connection) = http2(server.tls(&[b"h2"]).await).await;
    let chunks = stream::iter((0..CHUNKS).map(|_| Ok(Frame::data(Bytes::from_static(CHUNK)))));
    let upload = request("PUT", "/upload/a/b%2F/c").map(|_| http_body_util::BodyExt::boxed(StreamBody::new(chunks)));
    let response = client.send_request(upload).await.unwrap();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(body, format!("a/b%2F/c {}", CHUNKS * CHUNK.len()));
    let response = client.send_request(request("GET", "/download")).await.unwrap();
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes().len(), CHUNKS * CHUNK.len());

    let plain = Testbed::plain().await;
    let answer = plain.raw("GET /download HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await;
    assert!(answer.to_lowercase().contains("transfer-encoding: chunked") && answer.len() > CHUNKS * CHUNK.len());
    let chunked = "POST /upload/x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n\
                   5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n";
    assert!(plain.raw(chunked).await.contains("x 11"));
}

async fn echo(stream: impl AsyncRead + AsyncWrite + Unpin) {
    let (mut socket, response) = tokio_tungstenite::client_async("ws://localhost/echo", stream).await.unwrap();
    assert_eq!(response.status(), StatusCode::SWITCHING_PROTOCOLS);
    assert!(response.headers().contains_key("x-request-id"));
    for text in ["one", "two"] {
        socket.send(Message::text(text)).await.unwrap();
        assert_eq!(socket.next().await.unwrap().unwrap(), Message::text(text));
    }
    socket.close(None).await.unwrap();
}

#[tokio::test]
async fn websockets_work_over_tcp_and_tls() {
    echo(Testbed::plain().await.tcp().await).await;
    echo(Testbed::start(true, Limits::default()).await.tls(&[b"http/1.1"]).await).await;
}

#[tokio::test]
async fn websocket_counts_against_the_connection_cap() {
    let server = Testbed::start(false, Limits::default().with_connections(1)).await;
    let (socket, _) = tokio_tungstenite::client_async("ws://localhost/echo", server.tcp().await).await.unwrap();
    let mut refused = server.tcp().await;
    let mut bytes = Vec::new();
    refused.read_to_end(&mut bytes).await.ok();
    assert!(bytes.is_empty());
    drop(socket);
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(server.raw("GET /fine HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await.ends_with("fine"));
}
