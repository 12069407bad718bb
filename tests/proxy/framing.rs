//! Requests that two programs could cut in different places, and connections that would become another protocol.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::entry_points::{ENTRY_POINTS, EntryPoint, EntryPoints};
use crate::origin::{audited, values};
use crate::support::http2;

/// The entry points of HTTP/1.1.
fn wired() -> impl Iterator<Item = EntryPoint> {
    ENTRY_POINTS.into_iter().filter(|point| *point != EntryPoint::TlsHttp2)
}

/// Headers with which the end of a request is unclear.
const UNCLEAR: [&str; 25] = [
    "Content-Length: 4\r\nContent-Length: 5",
    "Content-Length: 4, 5",
    "Content-Length: +4",
    "Content-Length: -4",
    "Content-Length: 0x4",
    "Content-Length: 4 4",
    "Content-Length:",
    "Content-Length: 99999999999999999999",
    "Content-Length : 4",
    "Content-Length\t: 4",
    "Transfer-Encoding: chunked, identity",
    "Transfer-Encoding: identity",
    "Transfer-Encoding: gzip, chunked",
    "Transfer-Encoding: chunked, chunked",
    "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
    "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
    "Transfer-Encoding: xchunked",
    "Transfer-Encoding: \x0bchunked",
    "Transfer-Encoding: \"chunked\"",
    "Transfer-Encoding : chunked",
    "Transfer-Encoding:\r\n chunked",
    "X: a\r\n folded: b",
    "X: a\rTransfer-Encoding: chunked",
    "X: a\0b",
    "no colon",
];

/// Bodies of chunks that do not end where they say.
const CHUNKS: [&str; 17] = [
    "0\n\n",
    "1\na\n0\n\n",
    "1\na\r\n0\r\n\r\n",
    "1\r\na\n0\r\n\r\n",
    "1\r\naXX0\r\n\r\n",
    "1\r\nab\r\n0\r\n\r\n",
    "0x1\r\na\r\n0\r\n\r\n",
    "+1\r\na\r\n0\r\n\r\n",
    "-1\r\na\r\n0\r\n\r\n",
    "\r\n0\r\n\r\n",
    "g\r\n\r\n0\r\n\r\n",
    ";\r\n\r\n0\r\n\r\n",
    "fffffffffffffffff1\r\na\r\n0\r\n\r\n",
    "1;a\nb\r\na\r\n0\r\n\r\n",
    "1;a\rb\r\na\r\n0\r\n\r\n",
    "0\r\n bad\r\n\r\n",
    "0\rX\r\n\r\n",
];

/// Sends a request, and a second one that a reader of another framing would take for a part of the first. Returns the
/// answers, once the connection has ended.
async fn followed(points: &EntryPoints, point: EntryPoint, framing: &str, body: &str) -> String {
    let mut wire = points.wire(point).await.unwrap();
    let head = |method: &str, path: &str, lines: &str| {
        let (target, host, key) = (wire.target(path), &wire.host, &wire.key);
        format!("{method} {target} HTTP/1.1\r\nHost: {host}\r\n{key}{lines}\r\n\r\n")
    };
    let request = head("POST", "/a", framing) + body + &head("GET", "/hidden", "Connection: close");
    wire.raw.try_send(request).await;
    wire.raw.end().await
}

fn is_refused_once(answers: &str, about: &str) {
    let is_refusal = ["HTTP/1.1 400 ", "HTTP/1.1 501 "].iter().any(|status| answers.starts_with(status));
    assert!(is_refusal && answers.matches("HTTP/1.1 ").count() == 1, "{about}: {answers}");
}

#[tokio::test]
async fn unclear_framing_ends_the_connection_everywhere() {
    let points = EntryPoints::fine().await;
    for point in wired() {
        for framing in UNCLEAR {
            let answers = followed(&points, point, framing, "0\r\n\r\n").await;
            is_refused_once(&answers, &format!("{point:?} {framing:?}"));
        }
        for change in [
            |request: &str| request.replacen("\r\n", "\r\n X: a\r\n", 1),
            |request: &str| request.replacen(" HTTP/1.1", "", 1),
            |request: &str| request.replacen(" HTTP/1.1", " HTTP/1.0", 1),
            |request: &str| request.replacen(" HTTP/1.1", " HTTP/2.0", 1),
            |request: &str| request.replacen("POST ", "POST  ", 1),
        ] {
            let mut wire = points.wire(point).await.unwrap();
            let (target, host, key) = (wire.target("/a"), &wire.host, &wire.key);
            let lines = format!("Host: {host}\r\n{key}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n");
            let request = change(&format!("POST {target} HTTP/1.1\r\n{lines}"));
            wire.raw.try_send(&request).await;
            is_refused_once(&wire.raw.end().await, &format!("{point:?} {request:?}"));
        }
        assert!(points.received(point).is_empty(), "{point:?}: {:#?}", points.received(point));
    }
}

#[tokio::test]
async fn malformed_chunks_end_the_connection_everywhere() {
    let points = EntryPoints::fine().await;
    for point in wired() {
        for body in CHUNKS {
            let answers = followed(&points, point, "Transfer-Encoding: chunked", body).await;
            is_refused_once(&answers, &format!("{point:?} {body:?}"));
        }
        // What came before the fault may have been sent on, and was cut off.
        for request in points.received(point) {
            assert!(!request.contains("hidden") && !request.ends_with("0\r\n\r\n"), "{point:?}: {request}");
        }
    }
}

/// RFC 9112 §6.3: the length does not count, and the connection ends.
#[tokio::test]
async fn length_beside_chunks_reaches_no_origin() {
    let points = EntryPoints::fine().await;
    let lengths =
        ["Content-Length: 5\r\nTransfer-Encoding: chunked", "Transfer-Encoding: chunked\r\nContent-Length: 5"];
    for point in wired().filter(|point| *point != EntryPoint::Mcp) {
        let before = points.received(point).len();
        for framing in lengths {
            let answers = followed(&points, point, framing, "1\r\na\r\n0\r\n\r\n").await;
            assert_eq!(answers.matches("HTTP/1.1 ").count(), 1, "{point:?} {framing:?}: {answers}");
        }
        let received = points.received(point).split_off(before);
        assert_eq!(received.len(), lengths.len(), "{point:?}: {received:#?}");
        for request in received {
            assert!(values(&request, "Content-Length").is_empty(), "{point:?}: {request}");
            assert_eq!(values(&request, "Transfer-Encoding"), ["chunked"], "{point:?}: {request}");
        }
    }
}

/// A line may end without a carriage return (RFC 9112 §2.2). Each request is judged, and is sent with whole line ends.
#[tokio::test]
async fn bare_line_feeds_hide_no_request() {
    let points = EntryPoints::fine().await;
    for point in wired().filter(|point| *point != EntryPoint::Mcp) {
        let (requests, rows) = (points.received(point).len(), audited(points.server(point), "proxy.request").len());
        let mut wire = points.wire(point).await.unwrap();
        let head = |path: &str, more: &str| {
            let (target, host, key) = (wire.target(path), &wire.host, &wire.key);
            format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n{key}{more}\r\n").replace("\r\n", "\n")
        };
        let both = head("/a", "") + &head("/b", "Connection: close\r\n");
        wire.raw.send(both).await;
        let answers = wire.raw.end().await;
        assert_eq!(answers.matches("HTTP/1.1 200 ").count(), 2, "{point:?}: {answers}");
        let received = points.received(point).split_off(requests);
        assert_eq!(received.len(), 2, "{point:?}: {received:#?}");
        assert!(received.iter().all(|request| !request.replace("\r\n", "").contains('\n')), "{received:#?}");
        assert_eq!(audited(points.server(point), "proxy.request").len(), rows + 2, "{point:?}");
    }
}

/// Headers that ask for another protocol than a WebSocket, or do not ask.
const NO_WEBSOCKETS: [(&str, &str); 8] = [
    ("Upgrade, HTTP2-Settings", "h2c"),
    ("upgrade", "h2c"),
    ("upgrade", "TLS/1.0, HTTP/2.0"),
    ("upgrade", "xwebsocket"),
    ("upgrade", "h2c;websocket"),
    ("notupgrade", "websocket"),
    ("keep-alive", "h2c, websocket"),
    ("close", "websocket"),
];

#[tokio::test]
async fn other_protocols_are_asked_for_nowhere() {
    let points = EntryPoints::fine().await;
    for point in ENTRY_POINTS {
        for (connection, upgrade) in NO_WEBSOCKETS {
            let headers =
                [("Connection", connection), ("Upgrade", upgrade), ("HTTP2-Settings", "AAMAAABkAAQCAAAAAAIAAAAA")];
            let got = points.send(point, "GET", "/a", &headers, "").await;
            assert_eq!((got.status, &got.problem), (200, &None), "{point:?} {connection} {upgrade}: {got:?}");
            let sent = points.received(point).pop().unwrap();
            for name in ["Upgrade", "HTTP2-Settings", "Connection", "Sec-WebSocket-Key"] {
                assert!(values(&sent, name).is_empty(), "{point:?} {connection} {upgrade}: {sent}");
            }
        }
    }
}

const WEBSOCKET: &str =
    "Connection: upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nUpgrade: ";

#[tokio::test]
async fn only_a_websocket_is_switched_to_anywhere() {
    for answer in [
        "Upgrade: h2c\r\n",
        "Upgrade: h2c\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n",
        "Upgrade: websocket\r\nSec-WebSocket-Accept: AAAALMBiTxaQ9kYGzzhZRbK+xOo=\r\n",
        "Upgrade: websocket\r\n",
    ] {
        // The function has no environment: the answer that is wanted is in the path of the request.
        let points = EntryPoints::open(|request| {
            let wanted = values(request, "X-Answer").join("").replace('|', "\r\n");
            format!("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\n{wanted}\r\nraw bytes of the origin")
        })
        .await;
        for point in wired().filter(|point| *point != EntryPoint::Mcp) {
            for asked in ["websocket", "h2c, websocket", "WebSocket, h2c"] {
                let mut wire = points.wire(point).await.unwrap();
                let (target, host, key) = (wire.target("/a"), &wire.host, &wire.key);
                let wanted = answer.replace("\r\n", "|");
                let lines = format!("{key}{WEBSOCKET}{asked}\r\nX-Answer: {wanted}");
                let hidden = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nGET /hidden HTTP/1.1\r\nHost: x\r\n\r\n";
                let request = format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n{lines}\r\n\r\n{hidden}");
                wire.raw.try_send(request).await;
                let answers = wire.raw.end().await;
                assert!(answers.starts_with("HTTP/1.1 502 "), "{point:?} {asked} {answer:?}: {answers}");
                assert!(!answers.contains("raw bytes"), "{point:?} {asked} {answer:?}: {answers}");
                let sent = points.received(point).pop().unwrap();
                assert_eq!(values(&sent, "Upgrade"), ["websocket"], "{point:?} {asked}: {sent}");
                assert!(!sent.contains("hidden") && !sent.contains("PRI"), "{point:?} {asked}: {sent}");
            }
        }
    }
}

#[tokio::test]
async fn http2_without_tls_is_not_spoken() {
    let points = EntryPoints::fine().await;
    for point in wired() {
        let mut wire = points.wire(point).await.unwrap();
        let settings = [0, 0, 0, 4, 0, 0, 0, 0, 0];
        wire.raw.try_send([b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".as_slice(), &settings].concat()).await;
        let answers = wire.raw.end().await;
        assert!(answers.is_empty() || answers.starts_with("HTTP/1.1 400 "), "{point:?}: {answers}");
        assert!(points.received(point).is_empty(), "{point:?}");
    }
}

/// A request of HTTP/2 becomes one of HTTP/1.1: its frames, and not its headers, say where it ends.
#[tokio::test]
async fn framing_of_http2_hides_no_request() {
    let points = EntryPoints::fine().await;
    let hidden = "0\r\n\r\nGET /hidden HTTP/1.1\r\nHost: x\r\n\r\n";
    for (lines, body) in [
        (vec![("content-length", "1")], hidden),
        (vec![("content-length", "100")], hidden),
        (vec![("content-length", "0")], hidden),
        (vec![("content-length", "1"), ("content-length", "2")], hidden),
        (vec![("content-length", "x")], hidden),
        (vec![("transfer-encoding", "chunked")], hidden),
        (vec![("connection", "keep-alive")], hidden),
        (vec![("upgrade", "websocket")], hidden),
        (vec![("x-a", "b\r\nTransfer-Encoding: chunked")], hidden),
        (vec![("x-a\r\nhost", "b")], hidden),
        (vec![("Content-Length", "1")], hidden),
    ] {
        let mut stream = points.secure.tunnel("localhost", &[b"h2"]).await.unwrap();
        let head = http2::head("POST", &points.secure.authority, "/v1/a", &lines);
        let request = [
            http2::opening(),
            http2::frame(http2::HEADERS, http2::END_HEADERS, 1, &head),
            http2::frame(http2::DATA, http2::END_STREAM, 1, body.as_bytes()),
            // The server ends the connection after its answer.
            http2::frame(http2::GOAWAY, 0, 0, &[0; 8]),
        ];
        stream.write_all(&request.concat()).await.unwrap();
        let mut answer = Vec::new();
        let reading = tokio::time::timeout(std::time::Duration::from_secs(20), stream.read_to_end(&mut answer));
        reading.await.expect("the connection ends").ok();
        let is_refused = http2::frames(&answer).iter().any(|(kind, payload)| match *kind {
            http2::RST_STREAM => true,
            http2::GOAWAY => payload[7] != 0,
            _ => false,
        });
        assert!(is_refused, "{lines:?}: {answer:?}");
        assert!(points.secure.received().iter().all(|request| !request.contains("hidden")), "{lines:?}");
    }
    assert!(points.secure.received().is_empty(), "{:#?}", points.secure.received());
}

/// Heads of answers whose end is unclear, or that are no HTTP.
const UNCLEAR_ANSWERS: [&str; 18] = [
    "HTTP/1.1 200 OK\r\nContent-Length: 4\r\nContent-Length: 5",
    "HTTP/1.1 200 OK\r\nContent-Length: 4, 5",
    "HTTP/1.1 200 OK\r\nContent-Length: -4",
    "HTTP/1.1 200 OK\r\nContent-Length: +4",
    "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999",
    "HTTP/1.1 200 OK\r\nContent-Length : 4",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, identity",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: xchunked",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: identity",
    "HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 4",
    "HTTP/1.1 200 OK\r\nX: a\rLocation: b\r\nContent-Length: 4",
    "HTTP/1.1 200 OK\r\nX: a\0b\r\nContent-Length: 4",
    "HTTP/1.1 200 OK\r\nno colon\r\nContent-Length: 4",
    "HTTP/1.1 1000 OK\r\nContent-Length: 4",
    "HTTP/3.0 200 OK\r\nContent-Length: 4",
    "HTTP/1.1 103 Early Hints",
];

/// Returns the answers to one request at this entry point, once its connection has ended.
async fn answers_to(points: &EntryPoints, point: EntryPoint, wanted: &str) -> String {
    let mut wire = points.wire(point).await.unwrap();
    let (target, host, key) = (wire.target("/a"), &wire.host, &wire.key);
    // The origin writes the bytes that the request names.
    let wanted = STANDARD.encode(wanted);
    let lines = format!("Host: {host}\r\n{key}X-Answer: {wanted}\r\nConnection: close\r\n");
    wire.raw.send(format!("GET {target} HTTP/1.1\r\n{lines}\r\n")).await;
    wire.raw.end().await
}

async fn obedient() -> EntryPoints {
    EntryPoints::open(|request| STANDARD.decode(values(request, "X-Answer").join("")).unwrap()).await
}

#[tokio::test]
async fn unclear_answers_are_refused_everywhere() {
    let points = obedient().await;
    for point in wired().filter(|point| *point != EntryPoint::Mcp) {
        for head in UNCLEAR_ANSWERS {
            let answers = answers_to(&points, point, &format!("{head}\r\n\r\nfine")).await;
            assert!(answers.starts_with("HTTP/1.1 502 "), "{point:?} {head:?}: {answers}");
            assert_eq!(answers.matches("HTTP/1.1 ").count(), 1, "{point:?} {head:?}: {answers}");
        }
        let interim = "HTTP/1.1 103 Early Hints\r\n\r\n".repeat(200);
        assert!(answers_to(&points, point, &interim).await.starts_with("HTTP/1.1 502 "), "{point:?}");
    }
}

#[tokio::test]
async fn one_answer_of_an_origin_is_passed_on_everywhere() {
    let points = obedient().await;
    for point in wired().filter(|point| *point != EntryPoint::Mcp) {
        for length in ["", "Content-Length: 1\r\n", "Content-Length: 100\r\n"] {
            for head in
                [format!("{length}Transfer-Encoding: chunked"), format!("Transfer-Encoding: chunked\r\n{length}")]
            {
                let wanted = format!("HTTP/1.1 200 OK\r\n{}\r\n\r\n4\r\nfine\r\n0\r\n\r\n", head.trim_end());
                let answers = answers_to(&points, point, &wanted).await.to_lowercase();
                assert!(answers.contains("transfer-encoding: chunked\r\n"), "{point:?} {head:?}: {answers}");
                assert!(!answers.contains("content-length"), "{point:?} {head:?}: {answers}");
                assert!(answers.ends_with("\r\n\r\n4\r\nfine\r\n0\r\n\r\n"), "{point:?} {head:?}: {answers}");
            }
        }
        let two = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfineHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhidden";
        let answers = answers_to(&points, point, two).await;
        assert!(answers.ends_with("\r\n\r\nfine"), "{point:?}: {answers}");
        // The end of an answer that is cut off is not made up.
        for cut in [
            "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfi",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nfi\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nfi\r\nzz\r\n0\r\n\r\n",
        ] {
            let answers = answers_to(&points, point, cut).await;
            assert!(
                !answers.ends_with("0\r\n\r\n") && !answers.to_lowercase().contains("content-length: 2"),
                "{answers}"
            );
        }
    }
}
