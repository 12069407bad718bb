//! Address of the caller: the peer, or the address that a trusted proxy reports.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use http::HeaderMap;
use ipnet::IpNet;

/// Returns the address of the caller.
///
/// `X-Forwarded-For` counts only if the peer is a trusted proxy, or is connected to our Unix
/// socket, which only its owner may open. Then the caller is the right-most hop that is not a
/// trusted proxy: an attacker can write the hops to its left.
pub(crate) fn caller(peer: Option<IpAddr>, headers: &HeaderMap, trusted: &[IpNet]) -> Option<IpAddr> {
    if peer.is_some_and(|peer| !is_trusted(peer, trusted)) {
        return peer.map(|peer| peer.to_canonical());
    }
    let lines: Vec<_> = headers.get_all("x-forwarded-for").iter().collect();
    let mut nearest = peer.map(|peer| peer.to_canonical());
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

/// Returns true if `server.trusted_proxies` covers the address.
pub(crate) fn is_trusted(address: IpAddr, trusted: &[IpNet]) -> bool {
    let address = address.to_canonical();
    trusted.iter().any(|network| network.contains(&address))
}

/// Returns the part of an address that one subscriber controls: the whole address for IPv4, the /64
/// network for IPv6.
pub(crate) fn subscriber(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX))),
        v4 @ IpAddr::V4(_) => v4,
    }
}

/// Parses an address as proxies write it: bare, with a port, or in brackets.
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
    fn untrusted_peer_cannot_forge_its_address() {
        assert_eq!(seen(Some("192.0.2.1"), &["198.51.100.1"]).as_deref(), Some("192.0.2.1"));
        assert_eq!(seen(Some("::ffff:192.0.2.1"), &[]).as_deref(), Some("192.0.2.1"));
    }

    #[test]
    fn right_most_untrusted_hop_is_the_caller() {
        let proxy = Some("10.0.0.1");
        assert_eq!(seen(proxy, &[]).as_deref(), Some("10.0.0.1"));
        assert_eq!(seen(Some("::ffff:10.0.0.1"), &[]).as_deref(), Some("10.0.0.1"));
        assert_eq!(seen(proxy, &["1.1.1.1, 192.0.2.7"]).as_deref(), Some("192.0.2.7"));
        assert_eq!(seen(proxy, &["1.1.1.1, 192.0.2.7, 10.0.0.9"]).as_deref(), Some("192.0.2.7"));
        assert_eq!(seen(proxy, &["1.1.1.1", "192.0.2.7:443"]).as_deref(), Some("192.0.2.7"));
        assert_eq!(seen(proxy, &["[2001:db8::1]:80"]).as_deref(), Some("2001:db8::1"));
        assert_eq!(seen(proxy, &["192.0.2.7, nonsense"]).as_deref(), Some("10.0.0.1"));
    }

    #[test]
    fn forwarded_address_counts_on_the_unix_socket() {
        assert_eq!(seen(None, &[]), None);
        assert_eq!(seen(None, &["192.0.2.7"]).as_deref(), Some("192.0.2.7"));
    }

    #[test]
    fn ipv6_network_is_one_subscriber() {
        let [a, b, c] =
            ["2001:db8::1", "2001:db8::ffff:1", "2001:db8:0:1::1"].map(|text| subscriber(text.parse().unwrap()));
        assert!(a == b && a != c);
        assert_eq!(subscriber("::ffff:192.0.2.1".parse().unwrap()), subscriber("192.0.2.1".parse().unwrap()));
    }
}
