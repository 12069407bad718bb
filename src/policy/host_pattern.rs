//! The host to which a host-scoped secret may be sent: one scheme, one host (or all names below
//! one), one port.
//!
//! The text is kept as given, for display. Matching uses its normal form: lower case, IDNA-encoded
//! (UTS 46), with an explicit port. Matching is exact, and ambiguous texts are rejected when they
//! are stored.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use url::Host;

/// A pattern such as `api.example.com`, `api.example.com:8443`, `*.example.com`, `192.0.2.1`,
/// `[2001:db8::1]` or `http://internal.example/`. A bare name means https on port 443.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostPattern {
    given: String,
    scheme: &'static str,
    below: bool,
    host: String,
    port: u16,
}

/// The reason why a text is not a host pattern, and the advice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HostPatternError {
    /// Empty, or longer than a host can be.
    #[error("write a host such as \"api.example.com\", \"api.example.com:8443\" or \"*.example.com\", or an https URL")]
    Form,
    /// White space, a control character or a backslash.
    #[error("a host has no spaces, control characters or backslashes: write for example \"api.example.com\"")]
    Character,
    /// A scheme other than http and https.
    #[error("only http and https can be written in front of a host: \"https://api.example.com\"")]
    Scheme,
    /// `user:password@` in front of the host.
    #[error("a host has no user name or password in front of it: write \"api.example.com\"")]
    UserInfo,
    /// Not a number from 1 to 65535.
    #[error("a port is a number from 1 to 65535: write for example \"api.example.com:8443\"")]
    Port,
    /// A star that is not the whole first label of a name.
    #[error("'*' can only stand for the labels in front of a name: write for example \"*.example.com\"")]
    Star,
    /// An IPv4 address in octal, hex, as one number or shortened.
    #[error("write an IPv4 address as four decimal numbers: \"192.0.2.1\"")]
    Ipv4,
    /// Not an IPv6 address.
    #[error("write an IPv6 address in brackets: \"[2001:db8::1]\"")]
    Ipv6,
    /// Not a DNS name.
    #[error("this is not a host name: write for example \"api.example.com\", without a dot at its end")]
    Name,
}

impl HostPattern {
    /// Returns `http` or `https`.
    pub fn scheme(&self) -> &'static str {
        self.scheme
    }

    /// Returns the host in its normal form: an IPv6 address in brackets, `*.` before a name
    /// whose subdomains match.
    pub fn host(&self) -> String {
        if self.below { format!("*.{}", self.host) } else { self.host.clone() }
    }

    /// Returns the port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Returns true if a request to this scheme, host and port matches. `host` is the value of
    /// [`url::Url::host_str`]: an IPv6 address in brackets, a name in IDNA form. A name with a
    /// final dot never matches.
    pub fn matches(&self, scheme: &str, host: &str, port: u16) -> bool {
        let host = host.to_ascii_lowercase();
        let named = host == self.host
            || self.below && host.strip_suffix(&self.host).is_some_and(|rest| rest.len() > 1 && rest.ends_with('.'));
        scheme == self.scheme && port == self.port && named
    }
}

impl FromStr for HostPattern {
    type Err = HostPatternError;

    fn from_str(given: &str) -> Result<Self, HostPatternError> {
        if given.is_empty() || given.len() > 2048 {
            return Err(HostPatternError::Form);
        }
        if given.chars().any(|c| c.is_control() || c.is_whitespace() || c == '\\') {
            return Err(HostPatternError::Character);
        }
        let (scheme, default_port, rest) = split_scheme(given)?;
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        if authority.len() < rest.len() && !given.contains("://") {
            return Err(HostPatternError::Form);
        }
        if authority.contains('@') {
            return Err(HostPatternError::UserInfo);
        }
        let (host, port) = split_port(authority)?;
        let (below, host) = match host.strip_prefix("*.") {
            Some(name) => (true, name),
            None => (false, host),
        };
        let host = normal_host(host, below)?;
        let port = port.unwrap_or(default_port);
        Ok(Self { given: given.to_owned(), scheme, below, host, port })
    }
}

/// Returns the scheme, its default port, and the text behind it.
fn split_scheme(given: &str) -> Result<(&'static str, u16, &str), HostPatternError> {
    match given.split_once("://") {
        None => Ok(("https", 443, given)),
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("https") => Ok(("https", 443, rest)),
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => Ok(("http", 80, rest)),
        Some(_) => Err(HostPatternError::Scheme),
    }
}

pub(super) fn split_port(authority: &str) -> Result<(&str, Option<u16>), HostPatternError> {
    if authority.parse::<Ipv6Addr>().is_ok() {
        return Ok((authority, None));
    }
    let end_of_host = authority.rfind(']').map_or(0, |bracket| bracket + 1);
    let Some(colon) = authority.get(end_of_host..).and_then(|rest| rest.find(':')) else {
        return Ok((authority, None));
    };
    let (host, port) = authority.split_at(end_of_host + colon);
    let digits = port.trim_start_matches(':');
    let well_formed = port.len() == digits.len() + 1
        && digits.len() <= 5
        && !digits.starts_with('0')
        && digits.bytes().all(|c| c.is_ascii_digit());
    match digits.parse::<u16>() {
        Ok(port) if well_formed => Ok((host, Some(port))),
        _ => Err(HostPatternError::Port),
    }
}

pub(super) fn normal_host(text: &str, below: bool) -> Result<String, HostPatternError> {
    if text.contains('*') {
        return Err(HostPatternError::Star);
    }
    if text.starts_with('[') || text.contains(':') {
        let bare = text.strip_prefix('[').map_or(Some(text), |rest| rest.strip_suffix(']'));
        let address = bare.and_then(|bare| bare.parse::<Ipv6Addr>().ok()).ok_or(HostPatternError::Ipv6)?;
        return if below { Err(HostPatternError::Star) } else { Ok(format!("[{address}]")) };
    }
    // The URL parser would decode percent signs first, so one host could be written in two
    // ways.
    if text.contains('%') {
        return Err(HostPatternError::Name);
    }
    match Host::parse(text) {
        Ok(Host::Ipv4(_)) if below => Err(HostPatternError::Star),
        Ok(Host::Ipv4(address)) if text.parse::<Ipv4Addr>() == Ok(address) => Ok(address.to_string()),
        Ok(Host::Ipv4(_)) => Err(HostPatternError::Ipv4),
        Ok(Host::Domain(name)) if is_dns_name(&name) => Ok(name),
        Err(_) if looks_numeric(text) => Err(HostPatternError::Ipv4),
        _ => Err(HostPatternError::Name),
    }
}

fn looks_numeric(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|c| c.is_ascii_digit() || c == b'.')
}

/// Checks a name. Lengths follow RFC 1035 §2.3.4; underscores are accepted, because such hosts
/// exist.
fn is_dns_name(name: &str) -> bool {
    let legal = |c: u8| c.is_ascii_alphanumeric() || c == b'-' || c == b'_';
    let label = |label: &str| (1..=63).contains(&label.len()) && label.bytes().all(legal);
    name.len() <= 253 && name.split('.').all(label)
}

impl fmt::Display for HostPattern {
    /// Writes the text as it was given.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.given)
    }
}

impl Serialize for HostPattern {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.given)
    }
}

impl<'de> Deserialize<'de> for HostPattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> HostPattern {
        text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn pattern_is_kept_as_given_and_normalized() {
        for (given, scheme, host, port) in [
            ("api.example.com", "https", "api.example.com", 443),
            ("API.Example.COM:8443", "https", "api.example.com", 8443),
            ("*.example.com", "https", "*.example.com", 443),
            ("192.0.2.1", "https", "192.0.2.1", 443),
            ("[2001:DB8:0::1]", "https", "[2001:db8::1]", 443),
            ("2001:db8::1", "https", "[2001:db8::1]", 443),
            ("[::1]:8080", "https", "[::1]", 8080),
            ("http://internal.example/path?q=1#f", "http", "internal.example", 80),
            ("HTTPS://*.example.com:444", "https", "*.example.com", 444),
            ("bücher.example", "https", "xn--bcher-kva.example", 443),
            ("localhost", "https", "localhost", 443),
            ("_dmarc.example.com", "https", "_dmarc.example.com", 443),
        ] {
            let read = pattern(given);
            assert_eq!((read.scheme(), read.host().as_str(), read.port()), (scheme, host, port), "{given}");
            assert_eq!(read.to_string(), given);
        }
    }

    #[test]
    fn ambiguous_text_is_rejected_with_advice() {
        use HostPatternError as E;
        for (text, error) in [
            ("", E::Form),
            ("a.example/path", E::Form),
            ("a b", E::Character),
            ("a.example\r\n", E::Character),
            ("https:\\\\a.example", E::Character),
            ("ftp://a.example", E::Scheme),
            ("javascript://a.example", E::Scheme),
            ("https://user@a.example", E::UserInfo),
            ("user:pw@a.example", E::UserInfo),
            ("a.example:0", E::Port),
            ("a.example:65536", E::Port),
            ("a.example:", E::Port),
            ("a.example::80", E::Port),
            ("a.example:+80", E::Port),
            ("a.example:080", E::Port),
            ("*", E::Star),
            ("a.*.example", E::Star),
            ("*.*.example", E::Star),
            ("*.192.0.2.1", E::Star),
            ("*.[::1]", E::Star),
            ("0300.0.2.1", E::Ipv4),
            ("0xc0000201", E::Ipv4),
            ("3221225985", E::Ipv4),
            ("192.0.513", E::Ipv4),
            ("1.2.3.256", E::Ipv4),
            ("[::g]", E::Ipv6),
            ("[fe80::1%25eth0]", E::Ipv6),
            ("a.example.", E::Name),
            ("a..example", E::Name),
            ("*.", E::Name),
            ("%61.example", E::Name),
            ("https://", E::Name),
            ("a,b.example", E::Name),
        ] {
            assert_eq!(text.parse::<HostPattern>(), Err(error), "{text}");
        }
        assert!("x".repeat(64).parse::<HostPattern>().is_err());
    }

    #[test]
    fn match_needs_scheme_host_and_port() {
        let plain = pattern("api.example.com");
        assert!(plain.matches("https", "api.example.com", 443) && plain.matches("https", "API.example.com", 443));
        assert!(!plain.matches("http", "api.example.com", 443) && !plain.matches("https", "api.example.com", 8443));
        assert!(!plain.matches("https", "api.example.com.", 443) && !plain.matches("https", "x.api.example.com", 443));
        let below = pattern("*.example.com");
        assert!(below.matches("https", "example.com", 443) && below.matches("https", "a.b.example.com", 443));
        assert!(!below.matches("https", "badexample.com", 443) && !below.matches("https", ".example.com", 443));
        assert!(!below.matches("https", "example.com.evil.org", 443));
        assert!(pattern("[::1]").matches("https", "[::1]", 443) && !pattern("[::1]").matches("https", "::1", 443));
    }
}
