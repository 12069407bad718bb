//! Checks of URLs and addresses before a connection.

use std::net::IpAddr;

use http::{HeaderMap, HeaderName, header};
use ipnet::IpNet;
use url::{Host, Url};

use super::address::{embedded, is_public};
use super::error::AddressRefusal;

/// Headers that frame the message or the connection. Only hyper may set them.
const FRAMING: [HeaderName; 9] = [
    header::HOST,
    header::CONTENT_LENGTH,
    header::TRANSFER_ENCODING,
    header::CONNECTION,
    header::UPGRADE,
    header::TE,
    header::TRAILER,
    header::EXPECT,
    header::PROXY_AUTHORIZATION,
];

/// Checks every request and every address.
pub(super) struct Guard {
    allow: Vec<IpNet>,
    /// Reason for rejecting an address.
    refusal: AddressRefusal,
    /// True if `http` is allowed everywhere, because no request has a secret of ours.
    plain_http: bool,
}

impl Guard {
    pub(super) fn new(allow: &[IpNet], refusal: AddressRefusal) -> Self {
        Self { allow: allow.to_vec(), refusal, plain_http: false }
    }

    /// Allows `http` to all hosts, for requests without a secret.
    pub(super) fn with_plain_http(self) -> Self {
        Self { plain_http: true, ..self }
    }

    /// Checks a request before any name is resolved. An address in the URL is checked here,
    /// because it does not go through the resolver. The URL parser has already turned octal,
    /// hexadecimal and decimal notations into plain addresses.
    pub(super) fn check(&self, url: &Url, headers: &HeaderMap) -> Result<(), AddressRefusal> {
        let host = match url.scheme() {
            "https" | "http" => url.host().ok_or(AddressRefusal::NoHost)?,
            _ => return Err(AddressRefusal::Scheme),
        };
        if !url.username().is_empty() || url.password().is_some() {
            return Err(AddressRefusal::UserInfo);
        }
        if url.scheme() == "http" && !self.plain_http && !names_loopback(&host) {
            return Err(AddressRefusal::PlainHttp);
        }
        match host {
            Host::Ipv4(ip) => self.check_address(ip.into())?,
            Host::Ipv6(ip) => self.check_address(ip.into())?,
            Host::Domain(_) => {}
        }
        if FRAMING.iter().any(|name| headers.contains_key(name)) {
            return Err(AddressRefusal::Header);
        }
        Ok(())
    }

    /// Returns the reason for rejecting an address.
    pub(super) fn refusal(&self) -> AddressRefusal {
        self.refusal
    }

    /// Checks one address. It must be public or in `allow`, either itself or all the IPv4
    /// addresses inside it.
    pub(super) fn check_address(&self, ip: IpAddr) -> Result<(), AddressRefusal> {
        let allowed = |ip: IpAddr| self.allow.iter().any(|net| net.contains(&ip));
        let carried = match ip {
            IpAddr::V6(ip) => embedded(ip).unwrap_or_default(),
            IpAddr::V4(_) => Vec::new(),
        };
        let all_carried =
            !carried.is_empty() && carried.iter().all(|ip| allowed((*ip).into()) || is_public((*ip).into()));
        if is_public(ip) || allowed(ip) || all_carried { Ok(()) } else { Err(self.refusal) }
    }

    /// Returns true if the list covers this address: it is admitted, and not only for being public.
    pub(super) fn lists(&self, ip: IpAddr) -> bool {
        let is_listed = self.allow.iter().any(|net| net.contains(&ip));
        is_listed || !is_public(ip) && self.check_address(ip).is_ok()
    }

    /// Returns true if there is a list of networks.
    pub(super) fn has_list(&self) -> bool {
        !self.allow.is_empty()
    }
}

/// Returns true for a loopback address and for `localhost`, which is never looked up.
fn names_loopback(host: &Host<&str>) -> bool {
    match host {
        Host::Ipv4(ip) => ip.is_loopback(),
        Host::Ipv6(ip) => ip.to_canonical().is_loopback(),
        Host::Domain(name) => is_localhost(name),
    }
}

/// Names below these are never public: multicast DNS (RFC 6762), home networks (RFC 8375) and what
/// ICANN reserves for private use.
const PRIVATE_DOMAINS: [&str; 4] = ["local", "localdomain", "home.arpa", "internal"];

/// Returns true for a name that only a private network resolves. A name without a dot is one too.
pub(super) fn is_private_name(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
    let is_below =
        |domain: &&str| name.strip_suffix(*domain).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
    !name.contains('.') || is_localhost(&name) || PRIVATE_DOMAINS.iter().any(is_below)
}

/// Returns true for `localhost` and every name under it (RFC 6761 §6.3), with or without a final
/// dot.
pub(super) fn is_localhost(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    name == "localhost" || name.ends_with(".localhost")
}
