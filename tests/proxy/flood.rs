//! Clients that are slow, or send too much: they lose their connections, and the server answers all others.

use std::io::Write as _;
use std::sync::LazyLock;
use std::time::Duration;

use http::Method;
use serde_json::json;
use strongroom::http::{Limits, Listener, Tls};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::client::TlsStream;

use crate::entry_points::{ENTRY_POINTS, EntryPoint, EntryPoints};
use crate::forward::{basic, connect, forward, over_tls};
use crate::origin::response;
use crate::support::http2::{
    CONTINUATION, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, RST_STREAM, field, frame, frames, head, opening,
};
use crate::support::process::Installation;
use crate::support::raw::{Raw, get};
use crate::support::{Server, Setup, campaign};

/// Asserts that every entry point of the server still answers.
async fn all_answer(points: &EntryPoints) {
    for point in ENTRY_POINTS {
        let got = points.send(point, "GET", "/a", &[], "").await;
        assert_eq!((got.status, &got.problem), (200, &None), "{point:?}: {got:?}");
    }
    points.plain.server.get("/healthz").send().await.is(200);
}

#[tokio::test]
async fn slow_clients_lose_their_connections() {
    let time = Duration::from_secs(2);
    let limits = Limits { header_time: time, handshake_time: time, h2_idle_time: time, ..Limits::default() };
    let points = EntryPoints::within(limits, |_| response("200 OK", "", "fine")).await;
    let plain = points.origin.base.trim_start_matches("http://").to_owned();
    let (key, secure_key) = (basic(&points.plain.agent), basic(&points.secure.agent));
    let mut slow: Vec<(&str, Raw<Box<dyn crate::entry_points::Stream>>)> = Vec::new();
    for (about, sent) in [
        ("nothing", ""),
        ("half a CONNECT", "CONNECT a.example:443 HTTP/1.1\r\nHost: a.exa"),
        ("half a request in absolute form", "GET http://a.example/ HTTP/1.1\r\nHost: a.exa"),
    ] {
        let mut stream = TcpStream::connect(points.plain.server.forward).await.unwrap();
        stream.write_all(sent.as_bytes()).await.unwrap();
        slow.push((about, Raw::new(Box::new(stream))));
    }
    for (about, sent) in [
        ("a tunnel, and nothing", b"".as_slice()),
        ("half a head in a tunnel", b"GET /v1/a HTTP/1.1\r\nHost: a.exa"),
        ("half a ClientHello", b"\x16\x03\x01\x02\x00\x01\x00\x01"),
        ("a record of TLS without an end", b"\x16\x03\x01"),
    ] {
        for (server, authority, key) in
            [(&points.plain.server, &plain, &key), (&points.secure.server, &points.secure.authority, &secure_key)]
        {
            let mut raw = forward(server).await;
            assert_eq!(raw.ask(connect(authority, key)).await.status, 200);
            let mut stream = raw.into_stream();
            stream.write_all(sent).await.unwrap();
            slow.push((about, Raw::new(Box::new(stream))));
        }
    }
    for (about, alpn, sent) in [
        ("TLS, and nothing", b"http/1.1".as_slice(), b"".as_slice()),
        ("half a head in TLS", b"http/1.1", b"GET /v1/a HTTP/1.1\r\nHost: a.exa"),
        ("HTTP/2, and nothing", b"h2", b""),
        ("half a preface of HTTP/2", b"h2", b"PRI * HTTP/2.0\r\n\r\n"),
        ("HTTP/2 without a request", b"h2", &opening()),
    ] {
        let mut stream = points.secure.tunnel("localhost", &[alpn]).await.unwrap();
        stream.write_all(sent).await.unwrap();
        slow.push((about, Raw::new(Box::new(stream))));
    }
    all_answer(&points).await;
    for (about, mut raw) in slow {
        println!("{about}");
        // Fails if the connection does not end.
        raw.end().await;
    }
    let before = points.origin.received().len() + points.secure.received().len();
    assert_eq!(before, ENTRY_POINTS.len(), "nothing of it reached an origin");
}

/// Frames that cost their sender little and the server much (CVE-2023-44487, CVE-2024-27316, RUSTSEC-2026-0258).
fn floods(authority: &str, path: &str) -> Vec<(&'static str, Vec<u8>)> {
    let get = head("GET", authority, path, &[]);
    let resets = (0..1_000).flat_map(|number| {
        let stream = 2 * number + 1;
        let begun = frame(HEADERS, END_HEADERS | END_STREAM, stream, &get);
        [begun, frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes())].concat()
    });
    let post = frame(HEADERS, END_HEADERS, 1, &head("POST", authority, path, &[]));
    let open = frame(HEADERS, 0, 1, &get);
    let more = frame(CONTINUATION, 0, 1, &field("x-more", &"a".repeat(120)));
    vec![
        ("rapid reset", resets.collect()),
        ("empty DATA", [post, frame(DATA, 0, 1, b"").repeat(2_000)].concat()),
        ("CONTINUATION", [open.clone(), more.repeat(2_000)].concat()),
        ("empty CONTINUATION", [open, frame(CONTINUATION, 0, 1, b"").repeat(2_000)].concat()),
    ]
}

/// Sends a flood, and returns true if the server ends the connection with an error.
async fn is_ended(mut stream: TlsStream<TcpStream>, flood: &[u8]) -> bool {
    // The server may end the connection before it has read all.
    stream.write_all(&[&opening(), flood].concat()).await.ok();
    stream.flush().await.ok();
    let mut answer = Vec::new();
    let reading = tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut answer));
    reading.await.expect("the connection ends").ok();
    frames(&answer).iter().any(|(kind, payload)| *kind == GOAWAY && payload[7] != 0)
}

#[tokio::test]
async fn floods_of_http2_end_their_connection() {
    let points = EntryPoints::fine().await;
    let folder = tempfile::tempdir().unwrap();
    let (certificate, key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    std::fs::write(&certificate, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let listener = Listener::tcp("127.0.0.1:0").await.unwrap().with_tls(Tls::load(&certificate, &key).unwrap());
    let server = Server::with(Setup { listener: Some(listener), ..Setup::default() }).await;
    let api = async || {
        let stream = TcpStream::connect(server.address).await.unwrap();
        over_tls(stream, made.cert.der().clone(), "localhost", &[b"h2"]).await.unwrap()
    };
    for (name, flood) in floods(&points.secure.authority, "/v1/a") {
        let tunnel = points.secure.tunnel("localhost", &[b"h2"]).await.unwrap();
        assert!(is_ended(tunnel, &flood).await, "{name} in a tunnel");
        all_answer(&points).await;
    }
    for (name, flood) in floods("localhost", "/healthz") {
        assert!(is_ended(api().await, &flood).await, "{name} at the API");
        let stream = TcpStream::connect(server.address).await.unwrap();
        let stream = over_tls(stream, made.cert.der().clone(), "localhost", &[]).await.unwrap();
        assert_eq!(Raw::new(stream).ask(get("/healthz")).await.status, 200, "{name}");
    }
    assert!(points.secure.received().len() < 100, "{}", points.secure.received().len());
}

#[tokio::test]
async fn flood_of_connect_is_limited_by_key_and_address() {
    let limits = Limits { secrets_burst: 3, secrets_per_second: 1, ..Limits::default() };
    let points = EntryPoints::within(limits, |_| response("200 OK", "", "fine")).await;
    let (authority, key) = (points.secure.authority.clone(), basic(&points.secure.agent));
    let mut statuses = Vec::new();
    for _ in 0..20 {
        statuses.push(forward(&points.secure.server).await.ask(connect(&authority, &key)).await.status);
    }
    assert!(statuses[..3].iter().all(|status| *status == 200) && statuses.contains(&429), "{statuses:?}");

    // A tunnel is a connection of its address.
    let limits = Limits::default().with_connections(8);
    let points = EntryPoints::within(limits, |_| response("200 OK", "", "fine")).await;
    let server = &points.plain.server;
    let (authority, key) = (points.origin.base.trim_start_matches("http://"), basic(&points.plain.agent));
    let mut tunnels = Vec::new();
    for _ in 0..2 {
        let mut raw = forward(server).await;
        assert_eq!(raw.ask(connect(authority, &key)).await.status, 200);
        tunnels.push(raw);
    }
    assert_eq!(forward(server).await.end().await, "", "the address has its two");
    assert_eq!(server.raw().await.end().await, "", "at the other listener too");
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.2:0".parse().unwrap()).unwrap();
    let mut other = Raw::new(socket.connect(server.forward).await.unwrap());
    assert_eq!(other.ask(connect(authority, &key)).await.status, 200);
    let request = format!("GET /v1/a HTTP/1.1\r\nHost: {authority}\r\n\r\n");
    assert_eq!(tunnels[0].ask(request).await.status, 200);
}

#[tokio::test]
async fn huge_heads_are_refused_everywhere() {
    let points = EntryPoints::fine().await;
    for point in ENTRY_POINTS.into_iter().filter(|point| *point != EntryPoint::TlsHttp2) {
        for length in [20_000, 400_000] {
            let mut wire = points.wire(point).await.unwrap();
            let (target, host, key) = (wire.target("/a"), &wire.host, &wire.key);
            let request = format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n{key}X: {}\r\n\r\n", "a".repeat(length));
            wire.raw.try_send(request).await;
            let answer = wire.raw.answer().await.expect("an answer");
            assert_eq!(answer.status, 431, "{point:?}: {answer:?}");
        }
        assert!(points.received(point).is_empty(), "{point:?}");
    }
}

/// An answer of 16 KB whose decoded body has 16 MiB.
static BOMB: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    packed.write_all(&vec![b' '; 16 << 20]).unwrap();
    let body = packed.finish().unwrap();
    let head = response("200 OK", "Content-Encoding: gzip\r\n", "");
    let head = head.replace("Content-Length: 0", &format!("Content-Length: {}", body.len()));
    [head.into_bytes(), body].concat()
});

fn bomb(_: &str) -> Vec<u8> {
    BOMB.clone()
}

#[tokio::test]
async fn compressed_answers_stay_packed_everywhere() {
    let points = EntryPoints::open(bomb).await;
    for point in ENTRY_POINTS {
        let got = points.send(point, "GET", "/a", &[], "").await;
        assert_eq!((got.status, &got.problem), (200, &None), "{point:?}: {:.200}", got.text);
        assert!(got.text.len() < 1024 * 1024, "{point:?}: {}", got.text.len());
    }
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn memory_stays_flat_under_floods() {
    let origin = crate::origin::Origin::start(bomb).await;
    let port = crate::support::provider::peers::free_port().await;
    let settings = format!(
        "[proxy]\nlisten = \"127.0.0.1:{port}\"\n[egress]\nallow = [\"127.0.0.0/8\"]\n[providers.acme]\n\
         display_name = \"Acme\"\n[providers.acme.api_key]\nbase_url = \"{}\"\nin = \"header\"\nname = \"X-Key\"\n",
        origin.base
    );
    let installation = Installation::new(&settings).await;
    let key = installation.key("alice");
    let mut server = installation.launch(&[]);
    server.ready().await.unwrap();
    let body = json!({"type": "api_key", "api_key": "secret", "title": "t"});
    server.ask(Method::POST, "/v1/integrations/acme/credentials").key(&key).json(&body).send().await.is(201);
    let (authority, key) = (origin.base.trim_start_matches("http://").to_owned(), basic(&key));
    let round = async || {
        let mut open = Vec::new();
        for number in 0..300 {
            let mut raw = Raw::new(TcpStream::connect(("127.0.0.1", port)).await.unwrap());
            match number % 6 {
                0 => _ = raw.try_send("CONNECT a.example:443 HTTP/1.1\r\nHost: a.exa").await,
                1 => _ = raw.ask(connect("unbound.example:443", &key)).await,
                2 => _ = raw.ask(connect(&authority, "Proxy-Authorization: Bearer srk_wrong\r\n")).await,
                3 => {
                    let request = format!("GET {}/a HTTP/1.1\r\nHost: {authority}\r\n{key}\r\n", origin.base);
                    raw.ask(request).await;
                }
                kind => {
                    raw.ask(connect(&authority, &key)).await;
                    let half: &[u8] = if kind == 4 { b"\x16\x03\x01\x02\x00\x01" } else { b"GET /a HTTP/1.1\r\nHo" };
                    raw.try_send(half).await;
                }
            }
            open.push(raw);
        }
        let most = server.resident_kib();
        drop(open);
        server.ask(Method::GET, "/healthz").send().await.is(200);
        most
    };
    let idle = server.resident_kib();
    round().await;
    let first = round().await;
    let mut last = first;
    for _ in 0..campaign(3, 5, 50) {
        last = round().await;
    }
    println!("resident: {idle} KiB idle, {first} KiB in the second round, {last} KiB in the last");
    assert!(last < idle + 64 * 1024, "{idle} KiB at rest, {last} KiB under attack");
    assert!(last < first + 16 * 1024, "{first} KiB in the second round, {last} KiB in the last");
}
