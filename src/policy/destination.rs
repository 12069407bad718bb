//! The destination of a request: scheme, host and port as one value.

use std::fmt;

use url::Url;

use super::host_pattern::{HostPattern, HostPatternError, normal_host, split_port};

/// The scheme of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scheme {
    /// Plain HTTP.
    Http,
    /// HTTP over TLS.
    Https,
}

impl Scheme {
    /// Returns `http` or `https`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    /// Returns the port of a URL that names none.
    pub fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

/// Scheme, host and port. The host is in lower case, an IPv6 address in brackets, a name in ASCII
/// (IDNA).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Destination {
    scheme: Scheme,
    host: String,
    port: u16,
}

/// The reason why a request has no clear destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DestinationError {
    /// Not a host with an optional port.
    #[error("the destination is not a host with an optional port")]
    Form,
    /// An absolute form without a scheme.
    #[error("a whole URL is needed, such as https://api.example.com/v1/items")]
    NotAUrl,
    /// CONNECT without a port (RFC 9110 §9.3.6).
    #[error("CONNECT needs a host and a port: \"api.example.com:443\"")]
    NoPort,
    /// Not `http` or `https`.
    #[error("the scheme of the destination is not http or https")]
    Scheme,
    /// `user:password@` before the host.
    #[error("the destination has a user name or a password; send no credentials in the URL")]
    UserInfo,
    /// Not a name in ASCII.
    #[error("the host is not in ASCII; encode it by IDNA (\"xn--…\")")]
    NotAscii,
    /// Not a host, or a host with several readings.
    #[error("the host of the destination is not valid: {0}")]
    Host(#[from] HostPatternError),
}

impl Destination {
    /// Parses the target of CONNECT: `host:port`. Inside the tunnel the scheme is usually https;
    /// see [`Destination::with_scheme`].
    pub fn parse_connect(authority: &str) -> Result<Self, DestinationError> {
        let (host, port) = parse_authority(authority)?;
        Ok(Self { scheme: Scheme::Https, host, port: port.ok_or(DestinationError::NoPort)? })
    }

    /// Parses a target in absolute form (RFC 9112 §3.2.2). Returns the destination, and the path
    /// with the query as they were given; an empty path is `/`.
    pub fn parse_absolute(target: &str) -> Result<(Self, String), DestinationError> {
        let (scheme, rest) = target.split_once("://").ok_or(DestinationError::NotAUrl)?;
        let scheme = match scheme {
            _ if scheme.eq_ignore_ascii_case("https") => Scheme::Https,
            _ if scheme.eq_ignore_ascii_case("http") => Scheme::Http,
            _ => return Err(DestinationError::Scheme),
        };
        let end = rest.find(['/', '?', '#', '\\']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        let path = if path.starts_with('?') || path.is_empty() { format!("/{path}") } else { path.to_owned() };
        Ok((Self::parse_authority(scheme, authority)?, path))
    }

    /// Parses `host` or `host:port`: the value of `Host` or `:authority`.
    pub fn parse_authority(scheme: Scheme, authority: &str) -> Result<Self, DestinationError> {
        let (host, port) = parse_authority(authority)?;
        Ok(Self { scheme, host, port: port.unwrap_or_else(|| scheme.default_port()) })
    }

    /// Returns the destination of a URL; `None` if it has no host or another scheme.
    pub fn of_url(url: &Url) -> Option<Self> {
        let scheme = match url.scheme() {
            "https" => Scheme::Https,
            "http" => Scheme::Http,
            _ => return None,
        };
        let (host, port) = (url.host_str()?, url.port_or_known_default()?);
        Self::parse_authority(scheme, &format!("{host}:{port}")).ok()
    }

    /// Returns the same host and port with another scheme.
    #[must_use]
    pub fn with_scheme(self, scheme: Scheme) -> Self {
        Self { scheme, ..self }
    }

    /// Returns the scheme.
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// Returns the host; an IPv6 address is in brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Returns the port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Returns the value of the `Host` header: without the port if it is the scheme's own, because
    /// signatures of some origins cover this header.
    pub fn authority(&self) -> String {
        if self.port == self.scheme.default_port() { self.host.clone() } else { format!("{}:{}", self.host, self.port) }
    }

    /// Returns true if a `Host` or `:authority` names this destination.
    pub fn is_authority(&self, authority: &str) -> bool {
        Self::parse_authority(self.scheme, authority).as_ref() == Ok(self)
    }

    /// Returns true if a TLS client that asks for this server name means this destination.
    pub fn is_server_name(&self, name: &str) -> bool {
        normal_host(name, false).is_ok_and(|host| name.is_ascii() && host == self.host)
    }

    /// Returns true if the pattern covers scheme, host and port.
    pub fn fits(&self, pattern: &HostPattern) -> bool {
        pattern.matches(self.scheme.name(), &self.host, self.port)
    }
}

impl fmt::Display for Destination {
    /// Writes `https://api.example.com`, with the port if it is not the scheme's own.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme.name(), self.authority())
    }
}

/// Returns the canonical host and the port of `host[:port]`.
fn parse_authority(text: &str) -> Result<(String, Option<u16>), DestinationError> {
    if text.is_empty() || text.len() > 2048 {
        return Err(DestinationError::Form);
    }
    if !text.is_ascii() {
        return Err(DestinationError::NotAscii);
    }
    if text.bytes().any(|byte| !byte.is_ascii_graphic() || matches!(byte, b'\\' | b'/' | b'?' | b'#')) {
        return Err(DestinationError::Form);
    }
    if text.contains('@') {
        return Err(DestinationError::UserInfo);
    }
    let (host, port) = split_port(text)?;
    // A pattern may have an IPv6 address without brackets. In a request its end would be unclear.
    if host.contains(':') && !host.starts_with('[') {
        return Err(HostPatternError::Ipv6.into());
    }
    Ok((normal_host(host, false)?, port))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn connect_target_has_a_host_and_a_port() {
        for (text, shown) in [
            ("api.example.com:443", "https://api.example.com"),
            ("API.Example.COM:8443", "https://api.example.com:8443"),
            ("192.0.2.1:443", "https://192.0.2.1"),
            ("[2001:DB8::1]:443", "https://[2001:db8::1]"),
            ("xn--bcher-kva.example:443", "https://xn--bcher-kva.example"),
            ("localhost:80", "https://localhost:80"),
        ] {
            assert_eq!(Destination::parse_connect(text).unwrap().to_string(), shown, "{text}");
        }
    }

    /// Spellings that clients and proxies read in different ways.
    const AMBIGUOUS: &str = include_str!("../../tests/support/ambiguous_hosts.json");

    #[test]
    fn ambiguous_host_is_rejected_in_every_form() {
        for text in serde_json::from_str::<Vec<String>>(AMBIGUOUS).unwrap() {
            let text = text.as_str();
            assert!(Destination::parse_connect(text).is_err(), "{text:?}");
            let host = text.strip_suffix(":443").filter(|host| !host.ends_with(":443")).unwrap_or(text);
            for authority in [text, host] {
                assert!(Destination::parse_authority(Scheme::Https, authority).is_err(), "{authority:?}");
            }
            let absolute = Destination::parse_absolute(&format!("https://{host}"));
            let cut = host.find(['/', '#', '?', '\\']);
            assert!(absolute.is_err() || cut.is_some(), "{text:?}");
        }
        assert_eq!(Destination::parse_connect("a.example"), Err(DestinationError::NoPort));
    }

    #[test]
    fn absolute_form_gives_destination_and_path() {
        for (text, shown, path) in [
            ("http://a.example", "http://a.example", "/"),
            ("HTTPS://A.example:443/x?y=http://b", "https://a.example", "/x?y=http://b"),
            ("http://a.example?q", "http://a.example", "/?q"),
            ("http://a.example:443/", "http://a.example:443", "/"),
            ("http://[::1]:8080/%2e", "http://[::1]:8080", "/%2e"),
            // The path parser rejects these two.
            ("http://a.example\\b", "http://a.example", "\\b"),
            ("http://a.example#b", "http://a.example", "#b"),
        ] {
            let (destination, rest) = Destination::parse_absolute(text).unwrap();
            assert_eq!((destination.to_string().as_str(), rest.as_str()), (shown, path), "{text}");
        }
        for text in ["a.example/x", "/x", "http:/a.example", "http:///x", "ftp://a.example/", "http://u:p@a.example/"] {
            assert!(Destination::parse_absolute(text).is_err(), "{text}");
        }
    }

    #[test]
    fn authority_must_name_scheme_host_and_port() {
        let api = Destination::parse_connect("api.example.com:443").unwrap();
        assert!(api.is_authority("API.example.com") && api.is_authority("api.example.com:443"));
        for other in ["api.example.com:80", "example.com", "api.example.com.", "api.example.com, b", ""] {
            assert!(!api.is_authority(other), "{other}");
        }
        let plain = api.clone().with_scheme(Scheme::Http);
        assert!(!plain.is_authority("api.example.com") && plain.is_authority("api.example.com:443"));
        assert!(api.is_server_name("API.example.com"));
        assert!(
            !api.is_server_name("b.example.com") && !api.is_server_name("") && !api.is_server_name("*.example.com")
        );
    }

    #[test]
    fn host_header_has_no_default_port() {
        let of = |url: &str| Destination::of_url(&Url::parse(url).unwrap()).unwrap();
        assert_eq!(of("https://a.example/v1").authority(), "a.example");
        assert_eq!(of("https://a.example:8443/v1").authority(), "a.example:8443");
        assert_eq!(of("http://a.example:443/").authority(), "a.example:443");
        assert_eq!(Destination::of_url(&Url::parse("data:x").unwrap()), None);
    }

    #[test]
    fn pattern_covers_scheme_host_and_port() {
        let api = Destination::parse_connect("api.example.com:443").unwrap();
        let fits = |pattern: &str| api.fits(&pattern.parse().unwrap());
        assert!(fits("api.example.com") && fits("*.example.com") && fits("https://api.example.com"));
        assert!(!fits("http://api.example.com") && !fits("api.example.com:8443") && !fits("example.com"));
    }

    proptest! {
        /// An accepted authority has one reading: it differs from its canonical form in the case of
        /// letters only.
        #[test]
        fn accepted_authority_round_trips(text in "[aAx0-9.:%\\[\\]@*\\-_ ]{1,12}|[a-z]{1,4}\\.\\PC{1,6}(:[0-9]{1,5})?") {
            if let Ok((host, port)) = parse_authority(&text) {
                let port = port.map_or_else(String::new, |port| format!(":{port}"));
                let written = format!("{host}{port}");
                prop_assert!(text.starts_with('[') || written.eq_ignore_ascii_case(&text), "{} {}", text, written);
                prop_assert_eq!(parse_authority(&written).unwrap().0, host);
            }
        }
    }
}
