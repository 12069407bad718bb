//! The server with slow, huge, ambiguous and too many requests, and its graceful stop.

use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::support::raw::{Raw, get};
use crate::support::{Server, Setup, eventually};
use rustls::pki_types::ServerName;
use strongroom::http::{Limits, Listener, Settings, Tls};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;

const CREATE: &str = "/v1/integrations/smtp/credentials";

fn hurried() -> Limits {
    let short = Duration::from_millis(150);
    Limits { header_time: short, body_time: short, discard_time: short, ..Limits::default() }
}

#[tokio::test]
async fn slow_head_ends_the_connection() {
    let server = Server::with(Setup::limits(hurried())).await;
    let began = Instant::now();
    let mut stalled = server.raw().await;
    stalled.send("GET /healthz HTTP/1.1\r\nHost: x\r\nX-Dri").await;
    assert_eq!(stalled.end().await, "");
    let mut silent = server.raw().await;
    assert_eq!(silent.end().await, "");
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
}

#[tokio::test]
async fn dripping_head_wins_no_time() {
    let server = Server::with(Setup::limits(hurried())).await;
    let mut dripping = server.raw().await;
    let began = Instant::now();
    for byte in b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Long: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" {
        dripping.try_send([*byte]).await;
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(dripping.answer().await.is_none());
    assert!(began.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn slow_body_is_408_and_idle_connection_is_closed() {
    let server = Server::with(Setup::limits(hurried())).await;
    let mut slow = server.raw().await;
    let key = &server.key;
    let head = format!("POST {CREATE} HTTP/1.1\r\nHost: x\r\nX-API-Key: {key}\r\nContent-Length: 100\r\n\r\n{{");
    assert_eq!(slow.ask(head).await.status, 408);
    let mut kept = server.raw().await;
    assert_eq!(kept.ask(get("/healthz")).await.status, 200);
    assert_eq!(kept.ask(get("/healthz")).await.status, 200, "a connection is kept");
    let began = Instant::now();
    assert_eq!(kept.end().await, "");
    assert!(began.elapsed() >= Duration::from_millis(100), "not before its time");
}

#[tokio::test]
async fn huge_heads_are_431() {
    let server = Server::start().await;
    for head in [
        format!("GET /healthz HTTP/1.1\r\nHost: x\r\nX-Huge: {}\r\n\r\n", "a".repeat(20_000)),
        format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "a".repeat(20_000)),
        format!("GET /healthz HTTP/1.1\r\nHost: x\r\nX-Endless: {}", "a".repeat(400_000)),
    ] {
        let mut socket = server.raw().await;
        socket.try_send(head).await;
        let answer = socket.answer().await.expect("an answer");
        assert_eq!(answer.status, 431);
        assert_eq!(answer.body, "", "hyper writes this response alone");
    }
    let fits = format!("GET /healthz HTTP/1.1\r\nHost: x\r\nX-Long: {}\r\n\r\n", "a".repeat(15_000));
    assert_eq!(server.raw().await.ask(fits).await.status, 200);
}

#[tokio::test]
async fn malformed_requests_are_400_and_end_the_connection() {
    let server = Server::start().await;
    for (request, ours) in [
        ("GET /healthz HTTP/1.1\r\n\r\n", true),
        ("GET http://x/healthz HTTP/1.1\r\n\r\n", true),
        ("GET /healthz HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", true),
        ("GET /healthz HTTP/1.1\r\nHost: \r\n\r\n", true),
        ("GET /healthz HTTP/1.1\r\nHost: a b\r\n\r\n", true),
        ("GET /healthz HTTP/1.1\r\nHost: u@x\r\n\r\n", true),
        ("GET /healthz HTTP/1.1\r\nHost: x:port\r\n\r\n", true),
        ("GET /healthz HTTP/1.1\r\nHost: x/y\r\n\r\n", true),
        ("POST /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n", false),
        ("POST /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n", false),
        ("POST /healthz HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n", false),
        ("GET /healthz HTTP/1.1\r\nHost: x\r\nBad Name: y\r\n\r\n", false),
        ("GET /healthz HTTP/1.1\r\nHost: x\r\nX: a\0b\r\n\r\n", false),
        ("nonsense\r\n\r\n", false),
    ] {
        let mut socket = server.raw().await;
        socket.send(request).await;
        let answer = socket.answer().await.unwrap_or_else(|| panic!("no answer to {request:?}"));
        assert_eq!(answer.status, 400, "{request:?}");
        if ours {
            assert!(answer.head.contains("x-request-id: "), "{request:?}: {}", answer.head);
            assert!(answer.body.contains("/problems/malformed-request"), "{request:?}: {}", answer.body);
        } else {
            assert_eq!(answer.body, "", "{request:?}: hyper writes this response alone");
        }
        assert_eq!(socket.end().await, "", "{request:?}");
    }
    let old = server.raw().await.ask("GET /healthz HTTP/1.0\r\n\r\n").await;
    assert_eq!(old.status, 200, "HTTP/1.0 has no Host");
}

/// RFC 9112 §6.1. A hidden second request would be answered if the length counted.
#[tokio::test]
async fn transfer_encoding_wins_over_content_length_and_closes() {
    let server = Server::start().await;
    for headers in
        ["Content-Length: 5\r\nTransfer-Encoding: chunked", "Transfer-Encoding: chunked\r\nContent-Length: 5"]
    {
        let mut socket = server.raw().await;
        let request = format!("POST /healthz HTTP/1.1\r\nHost: x\r\n{headers}\r\n\r\n0\r\n\r\n");
        socket.send([request.as_str(), &get("/healthz")].concat()).await;
        let answer = socket.answer().await.expect("an answer");
        assert_eq!(answer.status, 405);
        assert!(answer.head.contains("connection: close"), "{}", answer.head);
        assert_eq!(socket.end().await, "", "nothing behind it is answered");
    }
}

#[tokio::test]
async fn transfer_coding_other_than_chunked_is_501() {
    let server = Server::start().await;
    for coding in ["gzip, chunked", "chunked, chunked", "identity, chunked", "gzip\r\nTransfer-Encoding: chunked"] {
        let mut socket = server.raw().await;
        let request = format!("POST /healthz HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: {coding}\r\n\r\n0\r\n\r\n");
        socket.send([request.as_str(), &get("/healthz")].concat()).await;
        let answer = socket.answer().await.expect("an answer");
        assert_eq!(answer.status, 501, "{coding}: {}", answer.head);
        assert!(answer.body.contains("/problems/transfer-coding-not-supported"), "{}", answer.body);
        assert_eq!(socket.end().await, "", "nothing behind it is answered");
    }
}

#[tokio::test]
async fn pipelined_requests_are_checked_one_by_one() {
    let server = Server::start().await;
    let mut socket = server.raw().await;
    let post = "POST /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nHost:";
    socket.send([post, &get("/healthz"), "GET /healthz HTTP/1.1\r\n\r\n"].concat()).await;
    let statuses: Vec<u16> = [socket.answer().await, socket.answer().await, socket.answer().await]
        .into_iter()
        .map(|answer| answer.expect("an answer").status)
        .collect();
    assert_eq!(statuses, [405, 200, 400], "the third one has no Host");
}

#[tokio::test]
async fn body_over_the_limit_is_413() {
    let server = Server::start().await;
    let head = format!("POST {CREATE} HTTP/1.1\r\nHost: x\r\nX-API-Key: {}\r\n", server.key);
    let mut announced = server.raw().await;
    announced.try_send(format!("{head}Content-Length: 2000000\r\n\r\n{}", " ".repeat(2_000_000))).await;
    let answer = announced.answer().await.expect("the answer is not lost to a reset");
    assert_eq!(answer.status, 413);
    assert!(answer.body.contains("1048576"), "{}", answer.body);

    let mut chunked = server.raw().await;
    chunked.try_send(format!("{head}Transfer-Encoding: chunked\r\n\r\n")).await;
    for _ in 0..200 {
        chunked.try_send(format!("2710\r\n{}\r\n", " ".repeat(10_000))).await;
    }
    assert_eq!(chunked.answer().await.expect("the answer is not lost to a reset").status, 413);
}

#[tokio::test]
async fn missing_key_is_401_before_the_body() {
    let server = Server::start().await;
    let head = format!("POST {CREATE} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n");
    assert_eq!(server.raw().await.ask(head).await.status, 401);
}

#[tokio::test]
async fn caller_that_reads_no_response_is_disconnected() {
    let limits = Limits { write_time: Duration::from_millis(150), ..Limits::default() };
    let server = Server::with(Setup::limits(limits)).await;
    let mut socket = server.raw().await;
    let asked = 5_000;
    socket.try_send(get("/openapi.json").repeat(asked)).await;
    eventually("the connection has ended", async || !socket.try_send("\r\n").await).await;
    let answered = socket.end().await.matches("HTTP/1.1 200").count();
    assert!(answered < asked, "all {answered} were written");
}

#[tokio::test(flavor = "multi_thread")]
async fn idle_connections_below_the_cap_keep_nobody_out() {
    // They do not end by themselves: if another connection waited for that, the test would fail.
    let limits = Limits { header_time: Duration::from_secs(3600), ..Limits::default() };
    let server = Server::with(Setup::limits(limits)).await;
    let mut held = Vec::new();
    for number in 0..1000 {
        let mut socket = server.raw().await;
        if number % 2 == 0 {
            socket.try_send("POST /healthz HTTP/1.1\r\nHos").await;
        }
        held.push(socket);
    }
    for _ in 0..20 {
        assert_eq!(server.raw().await.ask(get("/healthz")).await.status, 200);
    }
}

async fn connect_from(source: &str, server: &Server) -> Raw<TcpStream> {
    let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
    socket.bind(format!("{source}:0").parse().expect("an address")).expect("an address of the loopback network");
    Raw::new(socket.connect(server.address).await.expect("the server listens"))
}

#[tokio::test]
async fn connection_over_the_cap_of_its_address_is_closed() {
    let server = Server::with(Setup::limits(Limits::default().with_connections(8))).await;
    let mut first = connect_from("127.0.0.1", &server).await;
    assert_eq!(first.ask(get("/healthz")).await.status, 200);
    let mut second = connect_from("127.0.0.1", &server).await;
    assert_eq!(second.ask(get("/healthz")).await.status, 200);
    assert_eq!(connect_from("127.0.0.1", &server).await.end().await, "", "the address has its two");
    assert_eq!(connect_from("127.0.0.2", &server).await.ask(get("/healthz")).await.status, 200);
    drop(first);
    eventually("a connection that ends makes room", async || {
        let mut third = connect_from("127.0.0.1", &server).await;
        third.try_send(get("/healthz")).await;
        third.answer().await.is_some()
    })
    .await;
}

#[tokio::test]
async fn connection_over_the_total_cap_is_closed() {
    let limits = Limits { connections: 2, connections_per_address: 2, ..Limits::default() };
    let server = Server::with(Setup::limits(limits)).await;
    let (mut first, mut second) = (server.raw().await, server.raw().await);
    assert_eq!(first.ask(get("/healthz")).await.status, 200);
    assert_eq!(second.ask(get("/healthz")).await.status, 200);
    assert_eq!(connect_from("127.0.0.2", &server).await.end().await, "");
}

#[tokio::test]
async fn responses_carry_an_id_and_the_standard_headers() {
    let server = Server::start().await;
    let mut ids = Vec::new();
    for (path, status) in
        [("/healthz", 200), ("/readyz", 200), ("/openapi.json", 200), ("/v1/integrations/providers", 401), ("/x", 404)]
    {
        let reply = server.get(path).send().await.is(status);
        assert_eq!(reply.header("Cache-Control"), Some("no-store"), "{path}");
        assert_eq!(reply.header("X-Content-Type-Options"), Some("nosniff"));
        assert_eq!(reply.header("Referrer-Policy"), Some("no-referrer"));
        assert_eq!(reply.header("Content-Security-Policy"), Some("default-src 'none'; frame-ancestors 'none'"));
        let id = reply.header("X-Request-Id").expect("a request id").to_owned();
        assert!(status < 400 || reply.json()["request_id"] == id.as_str());
        ids.push(id);
    }
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 5, "no two requests have the same id");
}

#[tokio::test]
async fn unknown_path_is_404_and_wrong_method_405() {
    let server = Server::start().await;
    server.get("/v1/integrations").send().await.is(404);
    server.get("/v1/integrations/providers/x/y").send().await.is(404);
    let wrong = server.delete("/v1/integrations/github/credentials/").send().await.is(405);
    assert_eq!(wrong.header("Allow"), Some("GET, HEAD, POST"));
    assert_eq!(wrong.detail(), "Method Not Allowed");
    server.get("/v1/integrations/providers/").key(&server.key).send().await.is(200);
    server.get("/v1/integrations/providers//").key(&server.key).send().await.is(404);
    server.get("/v1/integrations//credentials").key(&server.key).send().await.is(404);
    server.get("/v1/integrations/%70roviders").key(&server.key).send().await.is(404);
    let mut socket = server.raw().await;
    let head = socket.ask("HEAD /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await;
    assert_eq!((head.status, head.body.as_str()), (200, ""), "HEAD is GET without its body");
}

#[tokio::test]
async fn path_parameters_are_percent_decoded() {
    let server = Server::start().await;
    server.create_api_key_credential("openai").await;
    for path in ["openai/credentials", "open%61i/credentials/", "%6F%70enai/credentials"] {
        let listed = server.get(&format!("/v1/integrations/{path}")).key(&server.key).send().await.is(200).json();
        let id = listed[0]["id"].as_str().expect("one credential").to_owned();
        let encoded = id.replace('-', "%2D");
        let path = path.trim_end_matches('/');
        server.get(&format!("/v1/integrations/{path}/{encoded}/")).key(&server.key).send().await.is(200);
    }
}

#[tokio::test]
async fn early_401_asks_for_no_body() {
    // If the body was waited for, no answer would come.
    let hour = Duration::from_secs(3600);
    let limits = Limits { body_time: hour, discard_time: hour, ..Limits::default() };
    let server = Server::with(Setup::limits(limits)).await;
    let head = format!("POST {CREATE} HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 10\r\n\r\n");
    let mut socket = server.raw().await;
    assert_eq!(socket.ask(head).await.status, 401, "and not 100");
    assert_eq!(socket.end().await, "");
}

#[tokio::test]
async fn base_path_prefixes_routes_but_probes_answer_at_both() {
    let settings = Settings { base_path: "/external-api".to_owned(), ..Settings::default() };
    let server = Server::with(Setup { settings, ..Setup::default() }).await;
    server.get("/external-api/v1/integrations/providers").key(&server.key).send().await.is(200);
    server.get("/v1/integrations/providers").key(&server.key).send().await.is(404);
    for path in ["/healthz", "/external-api/healthz", "/readyz", "/external-api/openapi.json"] {
        server.get(path).send().await.is(200);
    }
}

#[tokio::test]
async fn wrong_keys_are_limited_and_a_right_one_always_passes() {
    let limits = Limits { failed_attempts_burst: 5, ..Limits::default() };
    let server = Server::with(Setup::limits(limits)).await;
    let guess = || server.get("/v1/integrations/providers").key("guess").send();
    for _ in 0..5 {
        guess().await.is(401);
    }
    let refused = guess().await.is(429);
    let wait: u64 = refused.header("Retry-After").expect("when to come back").parse().expect("seconds");
    assert!((1..=60).contains(&wait));
    server.get("/v1/integrations/providers").key(&server.key).send().await.is(200);
    server.get("/v1/integrations/providers").send().await.is(401);
    server.clock.advance(Duration::from_secs(wait));
    guess().await.is(401);
}

#[tokio::test]
async fn unix_socket_is_private_and_replaces_a_stale_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("strongroom.sock");
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let listener = Listener::unix(&path).expect("nobody answers on the stale socket");
    assert!(Listener::unix(&path).is_err(), "a live one is not taken over");
    let mut server = Server::with(Setup { listener: Some(listener), ..Setup::default() }).await;
    let file = std::fs::metadata(&path).unwrap();
    assert!(file.file_type().is_socket());
    assert_eq!(file.permissions().mode() & 0o777, 0o600);
    let mut socket = Raw::new(UnixStream::connect(&path).await.unwrap());
    assert_eq!(socket.ask(get("/healthz")).await.status, 200);
    server.stop().await.unwrap();
    assert!(!path.exists(), "the file goes with the server");
    std::fs::write(&path, "data").unwrap();
    assert!(Listener::unix(&path).is_err(), "a file that is no socket stays");
}

/// A new self-signed certificate for `localhost` in these files; in DER too.
fn write_certificate(certificate: &Path, key: &Path) -> rustls::pki_types::CertificateDer<'static> {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).expect("a certificate");
    std::fs::write(certificate, made.cert.pem()).expect("a file");
    std::fs::write(key, made.signing_key.serialize_pem()).expect("a file");
    made.cert.der().clone()
}

async fn over_tls(
    server: &Server,
    trusted: &rustls::pki_types::CertificateDer<'static>,
) -> std::io::Result<crate::support::raw::Answer> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(trusted.clone()).expect("a root");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = TcpStream::connect(server.address).await?;
    let name = ServerName::try_from("localhost").expect("a name");
    let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await?;
    Ok(Raw::new(stream).ask(get("/healthz")).await)
}

#[tokio::test]
async fn new_certificate_is_served_and_a_broken_one_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let (certificate, key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
    let first = write_certificate(&certificate, &key);
    let tls = Tls::load(&certificate, &key).unwrap();
    let listener = Listener::tcp("127.0.0.1:0").await.unwrap().with_tls(tls);
    let limits = Limits { tls_check: Duration::ZERO, ..Limits::default() };
    let server = Server::with(Setup { listener: Some(listener), ..Setup::limits(limits) }).await;
    let answer = over_tls(&server, &first).await.unwrap();
    assert_eq!(answer.status, 200);
    assert!(answer.head.contains("strict-transport-security: max-age="));

    std::fs::write(&certificate, "broken").unwrap();
    assert!(over_tls(&server, &first).await.is_ok(), "the old one stays in service");
    let second = write_certificate(&certificate, &key);
    assert_eq!(over_tls(&server, &second).await.unwrap().status, 200);
    assert!(over_tls(&server, &first).await.is_err(), "the first one is gone");
}

#[tokio::test]
async fn missing_handshake_ends_the_connection() {
    let folder = tempfile::tempdir().unwrap();
    let (certificate, key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
    write_certificate(&certificate, &key);
    let listener = Listener::tcp("127.0.0.1:0").await.unwrap().with_tls(Tls::load(&certificate, &key).unwrap());
    let limits = Limits { handshake_time: Duration::from_millis(100), ..Limits::default() };
    let server = Server::with(Setup { listener: Some(listener), ..Setup::limits(limits) }).await;
    let began = Instant::now();
    assert_eq!(server.raw().await.end().await, "");
    assert!(began.elapsed() < Duration::from_secs(2));
}

#[tokio::test]
async fn graceful_stop_finishes_requests_and_accepts_no_more() {
    let mut server = Server::start().await;
    let body = r#"{"type": "api_key", "api_key": "k", "title": "t"}"#;
    let head = format!(
        "POST {CREATE} HTTP/1.1\r\nHost: x\r\nX-API-Key: {}\r\nContent-Length: {}\r\n\r\n{{",
        server.key,
        body.len()
    );
    let mut busy = server.raw().await;
    busy.send(head).await;
    let mut idle = server.raw().await;
    assert_eq!(idle.ask(get("/healthz")).await.status, 200);
    let mut fresh = server.raw().await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    server.stop();
    assert_eq!(idle.end().await, "", "an idle connection is closed at once");
    assert_eq!(fresh.end().await, "", "and so is one that has said nothing");
    assert!(TcpStream::connect(server.address).await.is_err(), "nothing new is taken");
    let answer = busy.ask(&body[1..]).await;
    assert_eq!(answer.status, 201, "{}", answer.body);
    assert!(answer.head.contains("connection: close"));
    server.stop().await.unwrap();
}

#[tokio::test]
async fn graceful_stop_ends_after_its_grace_period() {
    let limits = Limits { shutdown_grace: Duration::from_millis(100), ..Limits::default() };
    let mut server = Server::with(Setup::limits(limits)).await;
    let mut busy = server.raw().await;
    let head = format!("POST {CREATE} HTTP/1.1\r\nHost: x\r\nX-API-Key: {}\r\nContent-Length: 9\r\n\r\n{{", server.key);
    busy.send(head).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    let began = Instant::now();
    server.stop().await.unwrap();
    assert!(began.elapsed() < Duration::from_secs(2));
    assert_eq!(busy.end().await, "");
}
