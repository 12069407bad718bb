//! Where a request comes from: the peer, or what a trusted proxy says of it.

use std::net::{IpAddr, SocketAddr};

use http::HeaderMap;
use ipnet::IpNet;

/// The address of the caller. `X-Forwarded-For` counts only where the peer is a trusted proxy, or sits on our Unix socket
/// (whose mode admits its owner alone); then it is the right-most hop that is no trusted proxy itself, for everything to
/// its left was written by whoever wanted to.
pub(crate) fn caller(peer: Option<IpAddr>, headers: &HeaderMap, trusted: &[IpNet]) -> Option<IpAddr> {
    if peer.is_some_and(|peer| !is_trusted(peer, trusted)) {
        return peer.map(|peer| peer.to_canonical());
    }
    let lines: Vec<_> = headers.get_all("x-forwarded-for").iter().collect();
    let mut nearest = peer;
    for line in lines.into_iter().rev() {
        for hop in line.to_str().unwrap_or("").rsplit(',') {
            let Some(address) = parse_hop(hop.trim()) else { return nearest };
            nearest = Some(address);
            if !is_trusted(address, trusted) {
                return nearest;
            }
        }
    }
    nearest
}

/// Whether the address is one of a proxy that the configuration trusts.
pub(crate) fn is_trusted(address: IpAddr, trusted: &[IpNet]) -> bool {
    let address = address.to_canonical();
    trusted.iter().any(|network| network.contains(&address))
}

/// An address as proxies write it: bare, with a port, in brackets.
fn parse_hop(hop: &str) -> Option<IpAddr> {
    let bare = hop.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(hop);
    let address = bare.parse().ok().or_else(|| hop.parse::<SocketAddr>().ok().map(|with_port| with_port.ip()))?;
    Some(IpAddr::to_canonical(&address))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(peer: Option<&str>, forwarded: &[&str]) -> Option<String> {
        let trusted: Vec<IpNet> = vec!["10.0.0.0/8".parse().unwrap()];
        let mut headers = HeaderMap::new();
        for line in forwarded {
            headers.append("x-forwarded-for", line.parse().unwrap());
        }
        caller(peer.map(|peer| peer.parse().unwrap()), &headers, &trusted).map(|address| address.to_string())
    }

    #[test]
    fn a_stranger_cannot_say_who_it_is() {
        assert_eq!(seen(Some("192.0.2.1"), &["198.51.100.1"]).as_deref(), Some("192.0.2.1"));
        assert_eq!(seen(Some("::ffff:192.0.2.1"), &[]).as_deref(), Some("192.0.2.1"));
    }

    #[test]
    fn behind_a_trusted_proxy_the_right_most_untrusted_hop_is_the_caller() {
        let proxy = Some("10.0.0.1");
        assert_eq!(seen(proxy, &[]).as_deref(), Some("10.0.0.1"));
        assert_eq!(seen(proxy, &["1.1.1.1, 192.0.2.7"]).as_deref(), Some("192.0.2.7"));
        assert_eq!(seen(proxy, &["1.1.1.1, 192.0.2.7, 10.0.0.9"]).as_deref(), Some("192.0.2.7"));
        assert_eq!(seen(proxy, &["1.1.1.1", "192.0.2.7:443"]).as_deref(), Some("192.0.2.7"));
        assert_eq!(seen(proxy, &["[2001:db8::1]:80"]).as_deref(), Some("2001:db8::1"));
        assert_eq!(seen(proxy, &["192.0.2.7, nonsense"]).as_deref(), Some("10.0.0.1"));
    }

    #[test]
    fn on_the_unix_socket_the_proxy_speaks_for_its_callers() {
        assert_eq!(seen(None, &[]), None);
        assert_eq!(seen(None, &["192.0.2.7"]).as_deref(), Some("192.0.2.7"));
    }
}
