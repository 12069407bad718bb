//! Tests of the egress proxy.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::hostile::{Hostile, resolving_to, response};
use super::tls::{Authority, https};
use super::{failure, get};
use crate::egress::guard::is_private_name;
use crate::egress::{AddressRefusal, Egress, EgressError, EgressProxy, LIMITS, NotSent, StreamBody, TunnelError};

/// A proxy that answers each CONNECT with these parts, one write each, and then copies bytes to
/// `to`, if there is one.
struct Proxy {
    port: u16,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    async fn start(parts: &'static [&'static str], to: Option<u16>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (port, asked) = (listener.local_addr().unwrap().port(), Arc::<Mutex<Vec<String>>>::default());
        let to_note = Arc::clone(&asked);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    head.push(stream.read_u8().await.unwrap());
                }
                to_note.lock().unwrap().push(String::from_utf8(head).unwrap());
                stream.set_nodelay(true).unwrap();
                for part in parts {
                    if stream.write_all(part.as_bytes()).await.is_err() {
                        break;
                    }
                    tokio::task::yield_now().await;
                }
                if let Some(to) = to {
                    tokio::spawn(async move {
                        let mut there = TcpStream::connect((Ipv4Addr::LOCALHOST, to)).await.unwrap();
                        tokio::io::copy_bidirectional(&mut stream, &mut there).await.ok();
                    });
                }
            }
        });
        Self { port, asked }
    }

    fn settings(&self) -> EgressProxy {
        EgressProxy::parse(&format!("http://us%40er:p%3Ass@127.0.0.1:{}", self.port)).unwrap()
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

const FINE: &[&str] = &["HTTP/1.1 200 Connection established\r\nX: y\r\n\r\n"];

/// A client with this proxy, these networks, and names at these addresses.
fn through(proxy: &Proxy, allow: &[&str], at: &[IpAddr], authority: &Authority) -> Egress {
    let allow: Vec<_> = allow.iter().map(|network| network.parse().unwrap()).collect();
    Egress::assemble(&allow, &[authority.file()], LIMITS, resolving_to(at), Some(proxy.settings())).unwrap()
}

#[test]
fn url_of_a_proxy_is_checked() {
    for wrong in [
        "proxy:3128",
        "https://proxy:3128",
        "socks5://proxy:1080",
        "http://",
        "http://proxy/path",
        "http://proxy?q",
        "http://proxy#f",
        "http://:hunter2@proxy",
        "http://u%3Aser:hunter2@proxy",
        "http://user:hunter2%0d@proxy",
    ] {
        let error = EgressProxy::parse(wrong).unwrap_err();
        assert!(!error.contains("hunter2"), "{wrong}: {error}");
    }
    let proxy = EgressProxy::parse("http://user:hunter2@[::1]").unwrap();
    assert!(!format!("{proxy:?}").contains("hunter2") && proxy.has_user() && proxy.has_password());
    let proxy = EgressProxy::parse("http://proxy.example:3128").unwrap();
    assert!(!proxy.has_user() && !proxy.has_password());
}

#[tokio::test]
async fn requests_leave_through_the_proxy() {
    let authority = Authority::new();
    let server = authority.server("127.0.0.1:0").await;
    let proxy = Proxy::start(FINE, Some(server.address().port())).await;
    // Nothing resolves the name here.
    let egress = through(&proxy, &[], &[], &authority);
    assert_eq!(egress.send(get(https("provider.example", 443))).await.unwrap().body, "hello");
    let request = http::Request::get("https://provider.example/").body(StreamBody::default()).unwrap();
    assert_eq!(egress.stream(request, true, "pool").await.unwrap().status(), 200);
    let expected = "CONNECT provider.example:443 HTTP/1.1\r\nHost: provider.example:443\r\n\
                    Proxy-Authorization: Basic dXNAZXI6cDpzcw==\r\n\r\n";
    let asked = proxy.asked();
    assert_eq!((asked.len(), asked[1].as_str()), (2, expected));
    let lower = asked[0].to_ascii_lowercase();
    assert!(lower.starts_with("connect provider.example:443 http/1.1\r\nhost: provider.example:443\r\n"), "{lower}");
    assert!(asked[0].contains(": Basic dXNAZXI6cDpzcw==\r\n"), "{lower}");
    assert!(!server.seen().join("").to_ascii_lowercase().contains("proxy-authorization"), "{:?}", server.seen());
}

#[tokio::test]
async fn tunnel_begins_right_after_the_head() {
    let authority = Authority::new();
    let parts: [&[&str]; 3] = [
        &["HTTP/1.1 200 OK\r\n\r\nhello"],
        &["HTTP/1.1 2", "00 OK\r\nA: b\r", "\n\r", "\nhel", "lo"],
        &["HTTP/1.0 204 No\r\n\r", "\n", "hello"],
    ];
    for parts in parts {
        let proxy = Proxy::start(parts, None).await;
        let egress = through(&proxy, &[], &[], &authority);
        let mut stream = egress.dial_unmatched("ssh.example", 22).await.unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).await.unwrap();
        assert_eq!(text, "hello", "{parts:?}");
        assert!(proxy.asked()[0].starts_with("CONNECT ssh.example:22 HTTP/1.1\r\n"));
    }
}

#[tokio::test]
async fn refusing_proxy_is_a_clear_error() {
    let authority = Authority::new();
    let cases: [(&[&str], TunnelError); 7] = [
        (&["HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 6\r\n\r\nsecret"], TunnelError::Status(407)),
        (&["HTTP/1.1 503 Down\r\n\r\n"], TunnelError::Status(503)),
        (&["HTTP/1.1 302 Found\r\nLocation: http://x/\r\n\r\n"], TunnelError::Status(302)),
        (&["HTTP/1.1 200 OK\r\nA: b"], TunnelError::Broken),
        (&[], TunnelError::Broken),
        (&["SSH-2.0-server\r\n\r\n"], TunnelError::Invalid),
        (&["HTTP/1.1 200 OK\r\nA: ", LONG, "\r\n\r\n"], TunnelError::Invalid),
    ];
    for (parts, expected) in cases {
        let proxy = Proxy::start(parts, None).await;
        let egress = through(&proxy, &[], &[], &authority);
        let error = failure(&egress, https("provider.example", 443)).await;
        // reqwest knows no other status.
        let known = matches!(expected, TunnelError::Status(407) | TunnelError::Broken) || parts.contains(&LONG);
        let of_reqwest = if known { expected } else { TunnelError::Refused };
        assert_eq!(error, EgressError::NotSent(NotSent::Proxy(of_reqwest)), "{parts:?}");
        let request = http::Request::get("https://provider.example/").body(StreamBody::default()).unwrap();
        let streamed = egress.stream(request, true, "pool").await.err().unwrap();
        assert_eq!(streamed, EgressError::NotSent(NotSent::Proxy(expected)), "{parts:?}");
        for error in [error, streamed] {
            assert!(!error.in_doubt() && error.is_temporary());
            assert!(error.to_string().contains("egress.proxy") && !error.to_string().contains("secret"), "{error}");
        }
    }
    let mut proxy = Proxy::start(FINE, None).await;
    proxy.port = Hostile::saying("").await.address().port();
    tokio::task::yield_now().await;
    let error = failure(&through(&proxy, &[], &[], &authority), https("provider.example", 443)).await;
    assert_eq!(error, EgressError::NotSent(NotSent::Proxy(TunnelError::Unreachable)));
}

const LONG: &str = match std::str::from_utf8(&[b'x'; 9_000]) {
    Ok(text) => text,
    Err(_) => "",
};

#[tokio::test]
async fn listed_networks_are_reached_without_the_proxy() {
    let authority = Authority::new();
    let server = authority.server("127.0.0.1:0").await;
    let port = server.address().port();
    let proxy = Proxy::start(FINE, Some(port)).await;
    let loopback = Ipv4Addr::LOCALHOST.into();
    let egress = through(&proxy, &["127.0.0.0/8"], &[loopback], &authority);
    assert_eq!(egress.send(get(https("provider.example", port))).await.unwrap().body, "hello");
    assert_eq!(proxy.asked().len(), 0, "the list covers the address of the name");
    let public = through(&proxy, &["127.0.0.0/8"], &["8.8.8.8".parse().unwrap()], &authority);
    assert_eq!(public.send(get(https("provider.example", 443))).await.unwrap().body, "hello");
    assert_eq!(proxy.asked().len(), 1);
    let plain = Hostile::saying(response("200 OK", "text/plain", "plain")).await;
    assert_eq!(egress.send(get(plain.url("/"))).await.unwrap().body, "plain");
    assert_eq!(proxy.asked().len(), 1);
}

#[tokio::test]
async fn guard_holds_before_the_proxy() {
    let authority = Authority::new();
    let proxy = Proxy::start(FINE, None).await;
    let egress = through(&proxy, &[], &[], &authority);
    egress.set_own_listeners(vec!["0.0.0.0:8484".parse().unwrap()]);
    for host in [
        "10.0.0.1",
        "127.0.0.1",
        "169.254.169.254",
        "[::1]",
        "[::ffff:10.0.0.1]",
        "[fd00::1]",
        "localhost",
        "a.localhost",
        "printer.local",
        "metadata.google.internal",
        "nas.home.arpa",
        "intranet",
        "intranet.",
        "LOCALHOST.",
    ] {
        let url: url::Url = format!("https://{host}/").parse().unwrap();
        assert!(matches!(failure(&egress, url.clone()).await, EgressError::Refused(_)), "{host}");
        let request = http::Request::get(url.as_str()).body(StreamBody::default()).unwrap();
        assert!(matches!(egress.stream(request, true, "p").await, Err(EgressError::Refused(_))), "{host}");
        let refused = egress.dial_unmatched(url.host_str().unwrap(), 443).await;
        assert!(matches!(refused, Err(EgressError::Refused(_))), "{host}");
    }
    let http: url::Url = "http://provider.example/".parse().unwrap();
    assert_eq!(failure(&egress, http).await, EgressError::Refused(AddressRefusal::PlainHttp));
    // The name has an address here that no list covers.
    let inside = through(&proxy, &["10.1.0.0/16"], &["10.2.0.1".parse().unwrap()], &authority);
    let refused = EgressError::Refused(AddressRefusal::Address);
    assert_eq!(failure(&inside, https("provider.example", 443)).await, refused);
    assert_eq!(proxy.asked().len(), 0);
}

#[tokio::test]
async fn own_name_is_not_reached_through_the_proxy() {
    let proxy = Proxy::start(FINE, None).await;
    let settings = proxy.settings().not_to("vault.example", 443);
    let egress = Egress::assemble(&[], &[], LIMITS, resolving_to(&[]), Some(settings)).unwrap();
    egress.set_own_listeners(vec!["127.0.0.1:8484".parse().unwrap()]);
    for host in ["vault.example", "VAULT.example."] {
        let request = http::Request::get(format!("https://{host}/")).body(StreamBody::default()).unwrap();
        let error = egress.stream(request, false, "p").await.err();
        assert_eq!(error, Some(EgressError::Refused(AddressRefusal::Loop)), "{host}");
    }
    assert_eq!(proxy.asked().len(), 0);
}

#[test]
fn private_names_are_recognised() {
    for name in ["localhost", "x.localhost.", "host", "a.local", "LOCAL.", "a.b.internal", "home.arpa", "a.localdomain"]
    {
        assert!(is_private_name(name), "{name}");
    }
    for name in ["example.com", "notlocal.com", "alocal.example", "internal.example.", "xinternal.de"] {
        assert!(!is_private_name(name), "{name}");
    }
}
