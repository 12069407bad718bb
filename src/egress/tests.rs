//! The way out against servers that mean harm, and against URLs that lead where they must not.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rustls::pki_types::PrivateKeyDer;
use tokio_rustls::TlsAcceptor;

use super::hostile::{Hostile, Step, answer, hasty, limited, patient, resolving_to};
use super::*;

fn get(url: Url) -> Outgoing {
    Outgoing { method: Method::GET, url, headers: HeaderMap::new(), body: None }
}

async fn failure(egress: &Egress, url: Url) -> EgressError {
    match egress.send(get(url)).await {
        Ok(answer) => panic!("answered with {}", answer.status),
        Err(error) => error,
    }
}

#[tokio::test]
async fn a_request_arrives_as_it_was_given_and_the_answer_comes_back_whole() {
    let server = Hostile::saying(answer("201 Created", "text/plain", "hello")).await;
    let mut headers = HeaderMap::new();
    headers.insert("X-Test", "1".parse().unwrap());
    let body = Some(Zeroizing::new(b"a=b".to_vec()));
    let request = Outgoing { method: Method::POST, url: server.url("/token?x=1#part"), headers, body };
    let answer = patient().send(request).await.unwrap();
    assert_eq!((answer.status, &answer.body[..]), (StatusCode::CREATED, &b"hello"[..]));
    let seen = server.seen().join("").to_ascii_lowercase();
    assert!(seen.starts_with("post /token?x=1 http/1.1\r\n"), "{seen}");
    assert!(seen.contains("x-test: 1\r\n") && seen.ends_with("\r\n\r\na=b"), "{seen}");
    assert!(seen.contains(concat!("user-agent: strongroom/", env!("CARGO_PKG_VERSION"), "\r\n")), "{seen}");
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_is_never_followed() {
    let trap = Hostile::saying(answer("200 OK", "text/plain", "followed")).await;
    let egress = patient();
    for status in ["300 M", "301 P", "302 F", "303 S", "304 N", "305 U", "307 T", "308 P"] {
        let location = trap.url("/stolen");
        let redirect =
            format!("HTTP/1.1 {status}\r\nLocation: {location}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        let server = Hostile::saying(redirect).await;
        let answer = egress.send(get(server.url("/"))).await.unwrap();
        assert_eq!(answer.status.as_str(), &status[..3]);
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
async fn the_limit_holds_for_the_decoded_body_to_the_byte() {
    let egress = patient();
    let server = Hostile::saying(encoded("gzip", &gzip(&vec![b'x'; 1024 * 1024]))).await;
    assert_eq!(egress.send(get(server.url("/"))).await.unwrap().body.len(), 1024 * 1024);
    let server = Hostile::saying(encoded("gzip", &gzip(&vec![b'x'; 1024 * 1024 + 1]))).await;
    assert_eq!(failure(&egress, server.url("/")).await, EgressError::TooLarge);
    let bomb = gzip(&vec![0; 64 * 1024 * 1024]);
    assert!(bomb.len() < 100_000, "small on the wire");
    let server = Hostile::saying(encoded("gzip", &bomb)).await;
    assert_eq!(failure(&egress, server.url("/")).await, EgressError::TooLarge);
}

#[tokio::test]
async fn an_endless_answer_stops_at_the_limit() {
    let egress = patient();
    let head = |framing: &str| Step::Say(format!("HTTP/1.1 200 OK\r\n{framing}\r\n\r\n").into_bytes());
    for steps in [
        vec![head("X: y"), Step::Repeat(vec![b'x'; 16_384])],
        vec![head("Content-Length: 99999999999"), Step::Repeat(vec![b'x'; 16_384])],
        vec![head("Transfer-Encoding: chunked"), Step::Repeat([b"1000\r\n", &[b'x'; 0x1000][..], b"\r\n"].concat())],
        vec![
            Step::Say(b"HTTP/1.1 200 OK\r\n".to_vec()),
            Step::Repeat(format!("A: {}\r\n", "x".repeat(8_000)).into_bytes()),
        ],
        vec![Step::Say(b"HTTP/1.1 200 OK\r\nA: ".to_vec()), Step::Repeat(vec![b'x'; 16_384])],
        vec![Step::Say(format!("HTTP/1.1 200 OK\r\nA: {}\r\n\r\n", "x".repeat(70_000)).into_bytes())],
    ] {
        let server = Hostile::new(steps).await;
        let error = failure(&egress, server.url("/")).await;
        assert_eq!(error, EgressError::TooLarge);
    }
}

#[tokio::test]
async fn a_server_that_hangs_or_drips_is_given_up_and_in_doubt() {
    let egress = hasty();
    let head = b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n".to_vec();
    for steps in [
        vec![Step::Hang],
        vec![Step::Say(head[..20].to_vec()), Step::Hang],
        vec![Step::Say(head.clone()), Step::Hang],
        vec![Step::Drip(head.clone())],
        vec![Step::Say(head.clone()), Step::Drip(b"x".to_vec())],
        vec![Step::Repeat(b"HTTP/1.1 100 Continue\r\n\r\n".to_vec())],
    ] {
        let server = Hostile::new(steps).await;
        let started = Instant::now();
        let error = failure(&egress, server.url("/")).await;
        assert_eq!(error, EgressError::TooSlow { sent: true });
        assert!(error.in_doubt() && error.timed_out());
        assert!(started.elapsed() < Duration::from_secs(5), "the clients of tests give up early");
    }
}

#[tokio::test]
async fn a_connection_that_does_not_come_about_leaves_no_doubt() {
    let server = Hostile::new(vec![Step::Hang]).await;
    let mut url = server.url("/");
    url.set_scheme("https").unwrap();
    let egress = limited(Limits { connect: Duration::from_millis(30), ..LIMITS });
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
    assert_eq!(failure(&patient(), url).await, EgressError::NotSent(NotSent::Tls), "no TLS at all");
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_in_doubt_and_garbage_is_not() {
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
    let server = Hostile::new(vec![Step::Reset]).await;
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

/// URLs that lead to this machine, to a private network, or out of `https`; `PORT` is a server that must stay unvisited.
const FORBIDDEN: &[&str] = &[
    // this machine, in every notation
    "https://127.0.0.1:PORT/",
    "https://127.1:PORT/",
    "https://127.0.1:PORT/",
    "https://2130706433:PORT/",
    "https://0x7f000001:PORT/",
    "https://0x7f.0.0.1:PORT/",
    "https://0177.0.0.1:PORT/",
    "https://017700000001:PORT/",
    "https://0x7f.1:PORT/",
    "https://127.0.0.1.:PORT/",
    "https://%31%32%37.0.0.1:PORT/",
    "https://①②⑦.⓪.⓪.①:PORT/",
    "https://127。0。0。1:PORT/",
    "https://0:PORT/",
    "https://0.0.0.0:PORT/",
    "https://127.255.255.254:PORT/",
    "https://localhost:PORT/",
    "https://LOCALHOST:PORT/",
    "https://localhost.:PORT/",
    "https://a.localhost:PORT/",
    "https://[::1]:PORT/",
    "https://[0:0:0:0:0:0:0:1]:PORT/",
    "https://[::]:PORT/",
    "https://[::127.0.0.1]:PORT/",
    "https://[::ffff:127.0.0.1]:PORT/",
    "https://[::ffff:7f00:1]:PORT/",
    "https://[0:0:0:0:0:ffff:7f00:0001]:PORT/",
    // private and special networks
    "https://10.0.0.1/",
    "https://10.1/",
    "https://0xa000001/",
    "https://167772161/",
    "https://012.0.0.1/",
    "https://172.16.0.1/",
    "https://172.31.255.255/",
    "https://192.168.1.1/",
    "https://0300.0250.1.1/",
    "https://169.254.169.254/latest/meta-data/",
    "https://2852039166/",
    "https://0xA9FEA9FE/",
    "https://169.254.43518/",
    "https://100.64.0.1/",
    "https://100.100.100.200/",
    "https://192.0.0.192/",
    "https://192.0.2.1/",
    "https://198.18.0.1/",
    "https://198.51.100.1/",
    "https://203.0.113.1/",
    "https://224.0.0.1/",
    "https://240.0.0.1/",
    "https://255.255.255.255/",
    // IPv4 in IPv6, and IPv6 of its own
    "https://[::ffff:10.0.0.1]/",
    "https://[::ffff:169.254.169.254]/",
    "https://[64:ff9b::10.0.0.1]/",
    "https://[64:ff9b::a9fe:a9fe]/",
    "https://[64:ff9b:1::10.0.0.1]/",
    "https://[64:ff9b:1:a00:0:100::]/",
    "https://[2002:a00:1::1]/",
    "https://[2002:7f00:1::]/",
    "https://[2001:0:a00:1::1]/",
    "https://[2001:0:808:808::f5ff:fffe]/",
    "https://[fe80::1]/",
    "https://[fec0::1]/",
    "https://[fc00::1]/",
    "https://[fd00:ec2::254]/",
    "https://[ff02::1]/",
    "https://[2001:db8::1]/",
    "https://[100::1]/",
    // names that resolve to such addresses (the name server of the test says 10.0.0.1 to everything)
    "https://internal.example/",
    "https://10.0.0.1.nip.example/",
    "https://metadata.google.internal/",
    "https://internal.example./",
    "https://xn--bcher-kva.example/",
    "https://1.1.1.1.example/",
    // user info, which hides the host from the eye
    "https://public.example@127.0.0.1:PORT/",
    "https://user:password@8.8.8.8/",
    "https://8.8.8.8%40@127.0.0.1:PORT/",
    "https://127.0.0.1:PORT\\@8.8.8.8/",
    "https:127.0.0.1:PORT",
    "https:\\\\127.0.0.1:PORT/",
    // not https
    "http://8.8.8.8/",
    "http://public.example/",
    "http://127.0.0.1:PORT/",
    "http://localhost:PORT/",
    "http://[::1]:PORT/",
    "ftp://8.8.8.8/",
    "file:///etc/passwd",
    "gopher://127.0.0.1:PORT/_x",
    "data:text/plain,x",
    "ws://8.8.8.8/",
    "unix:/run/x.sock",
    "javascript:1",
];

#[tokio::test]
async fn no_forbidden_url_is_fetched_in_any_of_its_disguises() {
    let trap = Hostile::saying(answer("200 OK", "text/plain", "caught")).await;
    let inside: IpAddr = "10.0.0.1".parse().unwrap();
    let egress = Egress::assemble(&[], &[], LIMITS, resolving_to(&[inside])).unwrap();
    for text in FORBIDDEN {
        let text = text.replace("PORT", &trap.address().port().to_string());
        let url = Url::parse(&text).unwrap_or_else(|error| panic!("{text}: {error}"));
        let error = failure(&egress, url).await;
        assert!(matches!(error, EgressError::Refused(_)), "{text}: {error}");
        assert!(!error.in_doubt() && !error.is_passing());
    }
    assert!(FORBIDDEN.len() >= 60);
    assert!(trap.seen().is_empty(), "{:?}", trap.seen());
}

#[tokio::test]
async fn plain_http_goes_to_loopback_that_is_allowed_and_nowhere_else() {
    let server = Hostile::saying(answer("200 OK", "text/plain", "")).await;
    let port = server.address().port();
    let at = |host: &str| Url::parse(&format!("http://{host}:{port}/")).unwrap();
    let allow: Vec<IpNet> = ["127.0.0.0/8", "10.0.0.0/8"].map(|net| net.parse().unwrap()).into();
    let inside: IpAddr = "127.0.0.1".parse().unwrap();
    let egress = Egress::assemble(&allow, &[], LIMITS, resolving_to(&[inside])).unwrap();
    for host in ["127.0.0.1", "2130706433", "localhost", "localhost.", "app.localhost", "[::ffff:127.0.0.1]"] {
        assert!(egress.send(get(at(host))).await.is_ok(), "{host}");
    }
    for host in ["10.0.0.1", "internal.example", "localhost.example", "notlocalhost"] {
        assert_eq!(failure(&egress, at(host)).await, EgressError::Refused(Refusal::PlainHttp), "{host}");
    }
    assert_eq!(failure(&egress, at("[::1]")).await, EgressError::Refused(Refusal::Address), "not in allow");
    assert_eq!(server.seen().len(), 6);
}

#[tokio::test]
async fn nobody_sets_the_headers_that_frame_a_message() {
    let server = Hostile::saying(answer("200 OK", "text/plain", "")).await;
    for name in ["host", "content-length", "transfer-encoding", "connection", "upgrade", "expect"] {
        let mut request = get(server.url("/"));
        request.headers.insert(http::HeaderName::from_static(name), "1".parse().unwrap());
        assert_eq!(patient().send(request).await.err(), Some(EgressError::Refused(Refusal::Header)), "{name}");
    }
    assert!(server.seen().is_empty());
}

/// A certificate authority and a server certificate of its for `provider.example`.
struct Authority {
    directory: tempfile::TempDir,
    acceptor: TlsAcceptor,
}

impl Authority {
    fn new() -> Self {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut parameters = rcgen::CertificateParams::new(Vec::new()).unwrap();
        parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let certificate = parameters.self_signed(&key).unwrap();
        let issuer = rcgen::Issuer::new(parameters, key);
        let server_key = rcgen::KeyPair::generate().unwrap();
        let server = rcgen::CertificateParams::new(vec!["provider.example".to_owned()]).unwrap();
        let server = server.signed_by(&server_key, &issuer).unwrap();
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("ca.pem"), certificate.pem()).unwrap();
        let key = PrivateKeyDer::try_from(server_key.serialize_der()).unwrap();
        let config = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![server.der().clone()], key)
            .unwrap();
        Self { directory, acceptor: TlsAcceptor::from(Arc::new(config)) }
    }

    fn file(&self) -> PathBuf {
        self.directory.path().join("ca.pem")
    }

    async fn server(&self, at: &str) -> Hostile {
        let steps = vec![Step::Say(answer("200 OK", "text/plain", "hello").into_bytes())];
        Hostile::listening(at.parse().unwrap(), vec![steps], Some(self.acceptor.clone())).await
    }
}

fn https(name: &str, port: u16) -> Url {
    Url::parse(&format!("https://{name}:{port}/")).unwrap()
}

#[tokio::test]
async fn bar_12_tls_is_verified_against_the_roots_and_the_configured_authorities() {
    let authority = Authority::new();
    let server = authority.server("127.0.0.1:0").await;
    let port = server.address().port();
    let allow = ["127.0.0.0/8".parse().unwrap()];
    let lookup = resolving_to(&[Ipv4Addr::LOCALHOST.into()]);
    let trusting = Egress::assemble(&allow, &[authority.file()], LIMITS, lookup.clone()).unwrap();
    assert_eq!(trusting.send(get(https("provider.example", port))).await.unwrap().body, "hello");
    let untrusted = EgressError::NotSent(NotSent::Certificate);
    assert_eq!(failure(&trusting, https("other.example", port)).await, untrusted, "another name");
    assert_eq!(failure(&trusting, https("127.0.0.1", port)).await, untrusted, "an address");
    let strict = Egress::assemble(&allow, &[], LIMITS, lookup).unwrap();
    assert_eq!(failure(&strict, https("provider.example", port)).await, untrusted, "an unknown authority");
}

#[test]
fn a_file_of_authorities_without_one_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let empty = directory.path().join("empty.pem");
    std::fs::write(&empty, "nothing\n").unwrap();
    let error = Egress::new(&[], std::slice::from_ref(&empty)).err().unwrap();
    assert!(matches!(&error, EgressSetupError::NoCertificate(path) if *path == empty), "{error}");
    let absent = directory.path().join("absent.pem");
    let error = Egress::new(&[], std::slice::from_ref(&absent)).err().unwrap();
    assert!(error.to_string().contains("absent.pem"), "{error}");
}

#[tokio::test]
async fn a_name_is_judged_again_for_every_connection_and_only_judged_addresses_are_connected_to() {
    let authority = Authority::new();
    let good = authority.server("127.0.0.2:0").await;
    let port = good.address().port();
    let trap = authority.server(&SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port).to_string()).await;
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    let rebinding: resolver::Lookup = Arc::new(move |_| {
        let answer: &[&str] = match counted.fetch_add(1, Ordering::SeqCst) {
            0 => &["127.0.0.2"],
            1 => &["127.0.0.1", "10.0.0.1", "127.0.0.2", "::1"],
            2 => &["127.0.0.1"],
            3 => &["::ffff:127.0.0.1", "::1"],
            _ => &[],
        };
        let answer = answer.iter().map(|ip| ip.parse().unwrap()).collect();
        Box::pin(async move { Ok(answer) })
    });
    let allow = ["127.0.0.2/32".parse().unwrap()];
    let egress = Egress::assemble(&allow, &[authority.file()], LIMITS, rebinding).unwrap();
    let url = || https("provider.example", port);
    assert!(egress.send(get(url())).await.is_ok());
    assert!(egress.send(get(url())).await.is_ok(), "the good one of several");
    assert_eq!(failure(&egress, url()).await, EgressError::Refused(Refusal::Address), "rebound to loopback");
    assert_eq!(failure(&egress, url()).await, EgressError::Refused(Refusal::Address));
    assert_eq!(failure(&egress, url()).await, EgressError::NotSent(NotSent::Dns), "no address at all");
    assert_eq!((good.seen().len(), trap.seen().len(), calls.load(Ordering::SeqCst)), (2, 0, 5));
}

#[tokio::test]
async fn no_error_shows_anything_of_the_url() {
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
fn the_limits_are_the_promised_ones() {
    assert_eq!((LIMITS.connect, LIMITS.total), (Duration::from_secs(5), Duration::from_secs(15)));
    assert_eq!(LIMITS.body, 1_048_576);
}
