//! Tests of the egress client with hostile servers.

mod addresses;
pub(crate) mod hostile;
mod tls;
mod tunnel;

use std::time::{Duration, Instant};

use hostile::{Hostile, ServerStep, hasty, limited, patient, response};
use http::{HeaderMap, Method, StatusCode};
use url::Url;
use zeroize::Zeroizing;

use super::message::LIMITS;
use super::*;

fn get(url: Url) -> EgressRequest {
    EgressRequest { method: Method::GET, url, headers: HeaderMap::new(), body: None, chosen: false }
}

async fn failure(egress: &Egress, url: Url) -> EgressError {
    match egress.send(get(url)).await {
        Ok(response) => panic!("answered with {}", response.status),
        Err(error) => error,
    }
}

#[tokio::test]
async fn request_and_response_are_transferred_unchanged() {
    let server = Hostile::saying(response("201 Created", "text/plain", "hello")).await;
    let mut headers = HeaderMap::new();
    headers.insert("X-Test", "1".parse().unwrap());
    let body = Some(Zeroizing::new(b"a=b".to_vec()));
    let request =
        EgressRequest { method: Method::POST, url: server.url("/token?x=1#part"), headers, body, chosen: false };
    let response = patient().send(request).await.unwrap();
    assert_eq!((response.status, &response.body[..]), (StatusCode::CREATED, &b"hello"[..]));
    let seen = server.seen().join("").to_ascii_lowercase();
    assert!(seen.starts_with("post /token?x=1 http/1.1\r\n"), "{seen}");
    assert!(seen.contains("x-test: 1\r\n") && seen.ends_with("\r\n\r\na=b"), "{seen}");
    assert!(seen.contains(concat!("user-agent: strongroom/", env!("CARGO_PKG_VERSION"), "\r\n")), "{seen}");
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let trap = Hostile::saying(response("200 OK", "text/plain", "followed")).await;
    let egress = patient();
    for status in ["300 M", "301 P", "302 F", "303 S", "304 N", "305 U", "307 T", "308 P"] {
        let location = trap.url("/stolen");
        let redirect =
            format!("HTTP/1.1 {status}\r\nLocation: {location}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        let server = Hostile::saying(redirect).await;
        let response = egress.send(get(server.url("/"))).await.unwrap();
        assert_eq!(response.status.as_str(), &status[..3]);
    }
    assert!(trap.seen().is_empty());
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    use std::io::Write as _;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn encoded(encoding: &str, body: &[u8]) -> Vec<u8> {
    let head = format!("HTTP/1.1 200 OK\r\nContent-Encoding: {encoding}\r\nContent-Length: {}\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

#[tokio::test]
async fn the_body_limit_counts_decoded_bytes() {
    let egress = patient();
    let server = Hostile::saying(encoded("gzip", &gzip(&vec![b'x'; 1024 * 1024]))).await;
    assert_eq!(egress.send(get(server.url("/"))).await.unwrap().body.len(), 1024 * 1024);
    let server = Hostile::saying(encoded("gzip", &gzip(&vec![b'x'; 1024 * 1024 + 1]))).await;
    assert_eq!(failure(&egress, server.url("/")).await, EgressError::TooLarge);
    let bomb = gzip(&vec![0; 8 * 1024 * 1024]);
    assert!(bomb.len() < 100_000, "small on the wire");
    let server = Hostile::saying(encoded("gzip", &bomb)).await;
    assert_eq!(failure(&egress, server.url("/")).await, EgressError::TooLarge);
}

#[tokio::test]
async fn an_endless_response_stops_at_the_limit() {
    let egress = patient();
    let head = |framing: &str| ServerStep::Say(format!("HTTP/1.1 200 OK\r\n{framing}\r\n\r\n").into_bytes());
    for steps in [
        vec![head("X: y"), ServerStep::Repeat(vec![b'x'; 16_384])],
        vec![head("Content-Length: 99999999999"), ServerStep::Repeat(vec![b'x'; 16_384])],
        vec![
            head("Transfer-Encoding: chunked"),
            ServerStep::Repeat([b"1000\r\n", &[b'x'; 0x1000][..], b"\r\n"].concat()),
        ],
        vec![
            ServerStep::Say(b"HTTP/1.1 200 OK\r\n".to_vec()),
            ServerStep::Repeat(format!("A: {}\r\n", "x".repeat(8_000)).into_bytes()),
        ],
        vec![ServerStep::Say(b"HTTP/1.1 200 OK\r\nA: ".to_vec()), ServerStep::Repeat(vec![b'x'; 16_384])],
        vec![ServerStep::Say(format!("HTTP/1.1 200 OK\r\nA: {}\r\n\r\n", "x".repeat(70_000)).into_bytes())],
    ] {
        let server = Hostile::new(steps).await;
        let error = failure(&egress, server.url("/")).await;
        assert_eq!(error, EgressError::TooLarge);
    }
}

#[tokio::test]
async fn a_slow_server_times_out_in_doubt() {
    let egress = hasty();
    let head = b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n".to_vec();
    for steps in [
        vec![ServerStep::Hang],
        vec![ServerStep::Say(head[..20].to_vec()), ServerStep::Hang],
        vec![ServerStep::Say(head.clone()), ServerStep::Hang],
        vec![ServerStep::Drip(head.clone())],
        vec![ServerStep::Say(head.clone()), ServerStep::Drip(b"x".to_vec())],
        vec![ServerStep::Repeat(b"HTTP/1.1 100 Continue\r\n\r\n".to_vec())],
    ] {
        let server = Hostile::new(steps).await;
        let started = Instant::now();
        let error = failure(&egress, server.url("/")).await;
        assert_eq!(error, EgressError::TooSlow { sent: true });
        assert!(error.in_doubt() && error.timed_out());
        assert!(started.elapsed() < Duration::from_secs(5), "the test clients have short limits");
    }
}

#[tokio::test]
async fn a_failed_connection_leaves_no_doubt() {
    let server = Hostile::new(vec![ServerStep::Hang]).await;
    let mut url = server.url("/");
    url.set_scheme("https").unwrap();
    let egress = limited(EgressLimits { connect: Duration::from_millis(30), ..LIMITS });
    let error = failure(&egress, url.clone()).await;
    assert_eq!(error, EgressError::TooSlow { sent: false }, "a TLS handshake that hangs");
    assert!(!error.in_doubt());

    drop(server);
    let closed = Hostile::saying("").await.address();
    tokio::task::yield_now().await;
    let error = failure(&patient(), Url::parse(&format!("http://{closed}/")).unwrap()).await;
    assert_eq!(error, EgressError::NotSent(NotSent::Connect));

    let plain = Hostile::saying("HTTP/1.1 400 Bad Request\r\n\r\n").await;
    url.set_port(Some(plain.address().port())).unwrap();
    assert_eq!(failure(&patient(), url).await, EgressError::NotSent(NotSent::Tls), "no TLS");
}

#[tokio::test]
async fn a_broken_response_is_in_doubt_and_garbage_is_not() {
    let egress = patient();
    let broken = [
        "",
        "HTTP/1.1 200 OK\r\nContent-Len",
        "HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nshort",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nZZ\r\n",
    ];
    for bytes in broken {
        let server = Hostile::saying(bytes).await;
        let error = failure(&egress, server.url("/")).await;
        assert_eq!(error, EgressError::InDoubt, "{bytes:?}");
        assert!(error.in_doubt());
    }
    let server = Hostile::new(vec![ServerStep::Reset]).await;
    assert_eq!(failure(&egress, server.url("/")).await, EgressError::InDoubt, "reset");

    let garbage = [
        "hello, world\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        "HTTP/1.1 99999 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nna me: x\r\n\r\n",
    ];
    for bytes in garbage {
        let server = Hostile::saying(bytes).await;
        let error = failure(&egress, server.url("/")).await;
        assert_eq!(error, EgressError::Garbled, "{bytes:?}");
        assert!(!error.in_doubt());
    }
    let server = Hostile::saying(encoded("gzip", b"this is not gzip")).await;
    assert_eq!(failure(&egress, server.url("/")).await, EgressError::Garbled);
}

#[tokio::test]
async fn framing_headers_are_rejected() {
    let server = Hostile::saying(response("200 OK", "text/plain", "")).await;
    for name in ["host", "content-length", "transfer-encoding", "connection", "upgrade", "expect"] {
        let mut request = get(server.url("/"));
        request.headers.insert(http::HeaderName::from_static(name), "1".parse().unwrap());
        assert_eq!(patient().send(request).await.err(), Some(EgressError::Refused(AddressRefusal::Header)), "{name}");
    }
    assert!(server.seen().is_empty());
}

#[tokio::test]
async fn errors_contain_nothing_of_the_url() {
    let secret = "s3cr3t";
    let server = Hostile::saying("garbage\r\n\r\n").await;
    let path = format!("/{secret}?{secret}={secret}#{secret}");
    let mut urls = vec![server.url(&path)];
    urls.extend(
        ["https://10.0.0.1", "http://8.8.8.8", "https://127.0.0.1:1"]
            .map(|at| Url::parse(&format!("{at}{path}")).unwrap()),
    );
    urls.push(Url::parse(&format!("https://{secret}:{secret}@8.8.8.8/")).unwrap());
    for url in urls {
        let error = failure(&patient(), url).await;
        assert!(!format!("{error} {error:?}").contains(secret));
    }
}

#[test]
fn the_limits_are_the_documented_ones() {
    assert_eq!((LIMITS.connect, LIMITS.total), (Duration::from_secs(5), Duration::from_secs(15)));
    assert_eq!(LIMITS.body, 1_048_576);
}
