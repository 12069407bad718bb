//! Public addresses: the IANA special-purpose registries (RFC 6890), applied also to IPv4 addresses
//! inside IPv6 ones.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{Ipv4Net, Ipv6Net};

/// All IPv4 blocks that are not globally reachable.
const NOT_PUBLIC_V4: &[(Ipv4Addr, u8)] = &[
    (Ipv4Addr::UNSPECIFIED, 8),           // this network
    (Ipv4Addr::new(10, 0, 0, 0), 8),      // private
    (Ipv4Addr::new(100, 64, 0, 0), 10),   // carrier-grade NAT
    (Ipv4Addr::new(127, 0, 0, 0), 8),     // loopback
    (Ipv4Addr::new(169, 254, 0, 0), 16),  // link-local; cloud metadata
    (Ipv4Addr::new(172, 16, 0, 0), 12),   // private
    (Ipv4Addr::new(192, 0, 0, 0), 24),    // protocol assignments
    (Ipv4Addr::new(192, 0, 2, 0), 24),    // documentation
    (Ipv4Addr::new(192, 88, 99, 0), 24),  // 6to4 relay, deprecated
    (Ipv4Addr::new(192, 168, 0, 0), 16),  // private
    (Ipv4Addr::new(198, 18, 0, 0), 15),   // benchmarking
    (Ipv4Addr::new(198, 51, 100, 0), 24), // documentation
    (Ipv4Addr::new(203, 0, 113, 0), 24),  // documentation
    (Ipv4Addr::new(224, 0, 0, 0), 4),     // multicast
    (Ipv4Addr::new(240, 0, 0, 0), 4),     // reserved, and broadcast
];

/// The only assigned global IPv6 block. All others are loopback, link-local, unique-local,
/// multicast or reserved.
const GLOBAL_V6: (Ipv6Addr, u8) = (Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3);

/// Blocks inside [`GLOBAL_V6`] that are not globally reachable.
const NOT_PUBLIC_V6: &[(Ipv6Addr, u8)] = &[
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23), // protocol assignments: ORCHID, benchmarking
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32), // documentation
    (Ipv6Addr::new(0x3ffe, 0, 0, 0, 0, 0, 0, 0), 16), // 6bone, returned
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20), // documentation
];

/// Returns true if the address is globally reachable.
///
/// An IPv6 address that contains IPv4 addresses is public if these are. The local-use translation
/// prefix `64:ff9b:1::/48` (RFC 8215) is never public, because each network decides where in it the
/// IPv4 address is.
pub(super) fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => is_public_v4(ip),
        IpAddr::V6(ip) => match embedded(ip) {
            Some(inner) => inner.iter().all(|ip| is_public_v4(*ip)),
            None => within_v6(ip, GLOBAL_V6) && !NOT_PUBLIC_V6.iter().any(|block| within_v6(ip, *block)),
        },
    }
}

/// Returns the IPv4 addresses inside an IPv6 address: mapped and compatible (RFC 4291 §2.5.5),
/// NAT64 (RFC 6052), 6to4 (RFC 3056), Teredo (RFC 4380: server and client).
pub(super) fn embedded(ip: Ipv6Addr) -> Option<Vec<Ipv4Addr>> {
    let segments = ip.segments();
    let v4 = |high: u16, low: u16| Ipv4Addr::from((u32::from(high) << 16) | u32::from(low));
    let last = v4(segments[6], segments[7]);
    match segments {
        [0x2002, high, low, ..] => Some(vec![v4(high, low)]),
        [0x2001, 0, high, low, ..] => Some(vec![v4(high, low), v4(!segments[6], !segments[7])]),
        // `::` and `::1` contain no IPv4 address.
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => None,
        [0x64, 0xff9b, 0, 0, 0, 0, ..] | [0, 0, 0, 0, 0, 0 | 0xffff, ..] => Some(vec![last]),
        _ => None,
    }
}

fn is_public_v4(ip: Ipv4Addr) -> bool {
    !NOT_PUBLIC_V4.iter().any(|(net, length)| Ipv4Net::new_assert(*net, *length).contains(&ip))
}

fn within_v6(ip: Ipv6Addr, (net, length): (Ipv6Addr, u8)) -> bool {
    Ipv6Net::new_assert(net, length).contains(&ip)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_global_addresses_are_public() {
        for ip in ["8.8.8.8", "1.1.1.1", "172.15.255.255", "172.32.0.1", "100.63.0.1", "100.128.0.1", "223.255.255.255"]
        {
            assert!(is_public(ip.parse().unwrap()), "{ip}");
        }
        for ip in ["2606:4700:4700::1111", "2a00:1450:4001::1", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8", "2002:808:808::1"]
        {
            assert!(is_public(ip.parse().unwrap()), "{ip}");
        }
        for ip in [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "127.255.255.255",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.1",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.0.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.1",
            "203.0.113.9",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
        ] {
            assert!(!is_public(ip.parse().unwrap()), "{ip}");
        }
    }

    #[test]
    fn ipv6_is_as_public_as_the_ipv4_inside() {
        for ip in [
            "::",
            "::1",
            "::127.0.0.1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::ffff:a9fe:a9fe",
            "64:ff9b::10.0.0.1",
            "64:ff9b::7f00:1",
            "64:ff9b:1::8.8.8.8",
            "64:ff9b:1::10.0.0.1",
            "2002:7f00:1::",
            "2002:a00:1::1",
            "2002:c0a8:101::",
            "fe80::1",
            "fec0::1",
            "fc00::1",
            "fd00:ec2::254",
            "ff02::1",
            "100::1",
            "2001:db8::1",
            "2001:2::1",
            "2001:10::1",
            "2001:20::1",
            "3fff::1",
            "5f00::1",
            "4000::1",
            // Teredo: a private server; a private client (its address is stored inverted).
            "2001:0:a00:1::f7f7:f7f7",
            "2001:0:808:808::f5ff:fffe",
        ] {
            assert!(!is_public(ip.parse().unwrap()), "{ip}");
        }
        assert!(is_public("2001:0:808:808::f7f7:f7f7".parse().unwrap()), "Teredo between public addresses");
    }

    proptest::proptest! {
        #[test]
        fn wrapping_keeps_an_address_private(bits: u32) {
            let inner = Ipv4Addr::from(bits);
            let (high, low) = (u16::try_from(bits >> 16).unwrap(), u16::try_from(bits & 0xffff).unwrap());
            let v6 = |segments: [u16; 8]| IpAddr::V6(Ipv6Addr::from(segments));
            for outer in [
                v6([0, 0, 0, 0, 0, 0xffff, high, low]),
                v6([0x64, 0xff9b, 0, 0, 0, 0, high, low]),
                v6([0x2002, high, low, 0, 0, 0, 0, 1]),
                v6([0x2001, 0, 0x808, 0x808, 0, 0, !high, !low]),
            ] {
                proptest::prop_assert_eq!(is_public(outer), is_public(inner.into()), "{} in {}", inner, outer);
            }
        }
    }
}
