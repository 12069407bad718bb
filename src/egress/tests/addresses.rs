//! Tests of forbidden URLs and names.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use ipnet::IpNet;
use url::Url;

use super::tls::{Authority, https};
use super::{ProviderEgress, failure, get};
use crate::egress::tests::hostile::{Hostile, resolving_to, response};
use crate::egress::{AddressRefusal, Egress, EgressError, EgressRequest, LIMITS, NotSent, resolver};

/// URLs of this machine, of private networks, or without `https`; `PORT` is a server that must not
/// be contacted. `tests/oauth/attacks/ssrf.rs` sends the same URLs to every input that accepts one.
const FORBIDDEN: &str = include_str!("../../../tests/support/forbidden_urls.txt");

#[tokio::test]
async fn forbidden_urls_are_rejected_in_every_notation() {
    let trap = Hostile::saying(response("200 OK", "text/plain", "caught")).await;
    let inside: IpAddr = "10.0.0.1".parse().unwrap();
    let egress = Egress::assemble(&[], &[], LIMITS, resolving_to(&[inside]), None).unwrap();
    let forbidden: Vec<&str> = FORBIDDEN.lines().filter(|line| !line.starts_with("# ")).collect();
    for text in &forbidden {
        let text = text.replace("PORT", &trap.address().port().to_string());
        let url = Url::parse(&text).unwrap_or_else(|error| panic!("{text}: {error}"));
        let error = failure(&egress, url).await;
        assert!(matches!(error, EgressError::Refused(_)), "{text}: {error}");
        assert!(!error.in_doubt() && !error.is_temporary());
    }
    assert!(forbidden.len() >= 60);
    assert!(trap.seen().is_empty(), "{:?}", trap.seen());
}

#[tokio::test]
async fn plain_http_is_for_allowed_loopback_only() {
    let server = Hostile::saying(response("200 OK", "text/plain", "")).await;
    let port = server.address().port();
    let at = |host: &str| Url::parse(&format!("http://{host}:{port}/")).unwrap();
    let allow: Vec<IpNet> = ["127.0.0.0/8", "10.0.0.0/8"].map(|net| net.parse().unwrap()).into();
    let inside: IpAddr = "127.0.0.1".parse().unwrap();
    let egress = Egress::assemble(&allow, &[], LIMITS, resolving_to(&[inside]), None).unwrap();
    for host in ["127.0.0.1", "2130706433", "localhost", "localhost.", "app.localhost", "[::ffff:127.0.0.1]"] {
        assert!(egress.send(get(at(host))).await.is_ok(), "{host}");
    }
    for host in ["10.0.0.1", "internal.example", "localhost.example", "notlocalhost"] {
        assert_eq!(failure(&egress, at(host)).await, EgressError::Refused(AddressRefusal::PlainHttp), "{host}");
    }
    assert_eq!(failure(&egress, at("[::1]")).await, EgressError::Refused(AddressRefusal::Address), "not in allow");
    assert_eq!(server.seen().len(), 6);
}

#[tokio::test]
async fn addresses_are_checked_for_every_connection() {
    let authority = Authority::new();
    let good = authority.server("127.0.0.2:0").await;
    let port = good.address().port();
    let trap = authority.server(&SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port).to_string()).await;
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    let rebinding: resolver::Lookup = Arc::new(move |_| {
        let response: &[&str] = match counted.fetch_add(1, Ordering::SeqCst) {
            0 => &["127.0.0.2"],
            1 => &["127.0.0.1", "10.0.0.1", "127.0.0.2", "::1"],
            2 => &["127.0.0.1"],
            3 => &["::ffff:127.0.0.1", "::1"],
            _ => &[],
        };
        let response = response.iter().map(|ip| ip.parse().unwrap()).collect();
        Box::pin(async move { Ok(response) })
    });
    let allow = ["127.0.0.2/32".parse().unwrap()];
    let egress = Egress::assemble(&allow, &[authority.file()], LIMITS, rebinding, None).unwrap();
    let url = || https("provider.example", port);
    assert!(egress.send(get(url())).await.is_ok());
    assert!(egress.send(get(url())).await.is_ok(), "one allowed address of several");
    assert_eq!(failure(&egress, url()).await, EgressError::Refused(AddressRefusal::Address), "rebound to loopback");
    assert_eq!(failure(&egress, url()).await, EgressError::Refused(AddressRefusal::Address));
    assert_eq!(failure(&egress, url()).await, EgressError::NotSent(NotSent::Dns), "no address");
    assert_eq!((good.seen().len(), trap.seen().len(), calls.load(Ordering::SeqCst)), (2, 0, 5));
}

#[tokio::test]
async fn chosen_hosts_are_covered_by_allow_private_alone() {
    let server = Hostile::saying(response("200 OK", "text/plain", "")).await;
    let loopback: [IpNet; 1] = ["127.0.0.0/8".parse().unwrap()];
    let egress = Egress::assemble(&loopback, &[], LIMITS, resolver::system(), None).unwrap();
    let egress = egress.with_providers([ProviderEgress { name: "mcp", allow_private: &loopback, ca: None }]).unwrap();
    let sent = async |egress: Egress, chosen| {
        let request = EgressRequest { chosen, ..get(server.url("/")) };
        egress.send(request).await.map(|response| response.status.as_u16())
    };
    let refused = Err(EgressError::Refused(AddressRefusal::ChosenAddress));
    assert_eq!(sent(egress.clone(), false).await, Ok(200));
    assert_eq!(sent(egress.clone(), true).await, refused);
    assert_eq!(sent(egress.of_provider("other"), true).await, refused);
    assert_eq!(sent(egress.of_provider("other").at_chosen_server(true), false).await, refused);
    assert_eq!(sent(egress.of_provider("mcp").at_chosen_server(true), false).await, Ok(200));
    assert_eq!(server.seen().len(), 2);
}
