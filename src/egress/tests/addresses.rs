//! URLs and names that lead where they must not.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use ipnet::IpNet;
use url::Url;

use super::tls::{Authority, https};
use super::{failure, get};
use crate::egress::hostile::{Hostile, answer, resolving_to};
use crate::egress::{Egress, EgressError, LIMITS, NotSent, Refusal, resolver};

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
