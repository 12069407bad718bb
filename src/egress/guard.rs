//! Which URLs and which addresses may be reached.

use std::net::IpAddr;

use http::{HeaderMap, HeaderName, header};
use ipnet::IpNet;
use url::{Host, Url};

use super::address::{embedded, is_public};
use super::error::AddressRefusal;

/// Headers that frame the message or the connection: hyper sets them, nobody else.
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

/// The judge of every request and of every address.
pub(super) struct Guard {
    allow: Vec<IpNet>,
}

impl Guard {
    pub(super) fn new(allow: &[IpNet]) -> Self {
        Self { allow: allow.to_vec() }
    }

    /// Judges what can be judged before any name is resolved. An address in the URL itself is judged here, for it
    /// never comes to the resolver; the URL parser has by now turned octal, hexadecimal and decimal notations into
    /// plain addresses.
    pub(super) fn check(&self, url: &Url, headers: &HeaderMap) -> Result<(), AddressRefusal> {
        let host = match url.scheme() {
            "https" | "http" => url.host().ok_or(AddressRefusal::NoHost)?,
            _ => return Err(AddressRefusal::Scheme),
        };
        if !url.username().is_empty() || url.password().is_some() {
            return Err(AddressRefusal::UserInfo);
        }
        if url.scheme() == "http" && !names_loopback(&host) {
            return Err(AddressRefusal::PlainHttp);
        }
        match host {
            Host::Ipv4(ip) => self.judge(ip.into())?,
            Host::Ipv6(ip) => self.judge(ip.into())?,
            Host::Domain(_) => {}
        }
        if FRAMING.iter().any(|name| headers.contains_key(name)) {
            return Err(AddressRefusal::Header);
        }
        Ok(())
    }

    /// Judges one address: public, or in `allow`, itself or through every IPv4 address that it carries.
    pub(super) fn judge(&self, ip: IpAddr) -> Result<(), AddressRefusal> {
        let allowed = |ip: IpAddr| self.allow.iter().any(|net| net.contains(&ip));
        let carried = match ip {
            IpAddr::V6(ip) => embedded(ip).unwrap_or_default(),
            IpAddr::V4(_) => Vec::new(),
        };
        let all_carried =
            !carried.is_empty() && carried.iter().all(|ip| allowed((*ip).into()) || is_public((*ip).into()));
        if is_public(ip) || allowed(ip) || all_carried { Ok(()) } else { Err(AddressRefusal::Address) }
    }
}

/// Whether the host is a loopback address or `localhost`, which the resolver never asks anybody about.
fn names_loopback(host: &Host<&str>) -> bool {
    match host {
        Host::Ipv4(ip) => ip.is_loopback(),
        Host::Ipv6(ip) => ip.to_canonical().is_loopback(),
        Host::Domain(name) => is_localhost(name),
    }
}

/// `localhost` and every name under it (RFC 6761 §6.3), with or without the root's dot.
pub(super) fn is_localhost(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    name == "localhost" || name.ends_with(".localhost")
}
