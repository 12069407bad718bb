//! The hosts to which credentials or grants of an API key are bound. A request to another host may
//! be passed on without a credential.

use std::collections::BTreeSet;
use std::net::Ipv6Addr;

use url::Url;

use super::destination::Destination;
use super::host_pattern::HostPattern;

/// A set of hosts. Scheme and port do not count: an API is often served on several ports, and a
/// tunnel to one of them would go past the grants.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BoundHosts {
    hosts: BTreeSet<String>,
    /// Ends of names, such as `.example.com`.
    below: BTreeSet<String>,
}

impl BoundHosts {
    /// Adds the hosts of a pattern.
    pub fn add(&mut self, pattern: &HostPattern) {
        let host = pattern.host();
        match host.strip_prefix("*.") {
            Some(name) => {
                self.add_below(name);
                self.hosts.insert(name.to_owned());
            }
            None => _ = self.hosts.insert(unmapped(&host)),
        }
    }

    /// Adds the host of a URL.
    pub fn add_url(&mut self, url: &Url) {
        self.hosts.extend(Destination::of_url(url).map(|own| unmapped(own.host())));
    }

    /// Adds all names below this one.
    pub fn add_below(&mut self, name: &str) {
        self.below.insert(format!(".{}", name.to_ascii_lowercase()));
    }

    /// Returns true if the host of the destination is in the set.
    pub fn contains(&self, destination: &Destination) -> bool {
        let host = destination.host();
        self.hosts.contains(&unmapped(host))
            || host.match_indices('.').any(|(dot, _)| self.below.contains(&host[dot..]))
    }
}

/// Returns an IPv4 address that is written as an IPv6 address in its own form, and any other host as it
/// is.
fn unmapped(host: &str) -> String {
    let address = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')?.parse::<Ipv6Addr>().ok());
    address.and_then(|address| address.to_ipv4_mapped()).map_or_else(|| host.to_owned(), |address| address.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_is_bound_on_every_port_and_scheme() {
        let mut bound = BoundHosts::default();
        for pattern in ["api.example.com", "http://192.0.2.1:8080", "*.wild.example:8443", "[2001:db8::1]"] {
            bound.add(&pattern.parse().unwrap());
        }
        bound.add_below("Zendesk.com");
        for (authority, is_bound) in [
            ("api.example.com:443", true),
            ("API.example.com:22", true),
            ("192.0.2.1:443", true),
            ("[::ffff:192.0.2.1]:443", true),
            ("[::ffff:c000:201]:443", true),
            ("[::ffff:192.0.2.2]:443", false),
            ("[2001:DB8::1]:80", true),
            ("wild.example:1", true),
            ("a.b.wild.example:1", true),
            ("acme.zendesk.com:443", true),
            ("zendesk.com:443", false),
            ("evilzendesk.com:443", false),
            ("example.com:443", false),
            ("b.api.example.com:443", false),
            ("notwild.example:443", false),
        ] {
            assert_eq!(bound.contains(&Destination::parse_connect(authority).unwrap()), is_bound, "{authority}");
        }
    }
}
