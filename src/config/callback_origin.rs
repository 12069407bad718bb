//! Callback origins: the origins that a login may return to. They are parsed as a browser does
//! (WHATWG URL) and never compared as text.
//!
//! The original compared strings and let any scheme pass on `localhost`; here a URL is refused
//! first for what no list can allow, and then its origin must equal a configured one.

use std::fmt;
use std::net::Ipv4Addr;

use serde::Deserialize;
use url::{Host, Url};

/// Schemes that no list can allow: each runs code, reads local things, carries another URL inside
/// it, or is no place that a browser can be sent back to.
const NEVER: [&str; 13] = [
    "about",
    "blob",
    "data",
    "file",
    "filesystem",
    "ftp",
    "javascript",
    "jar",
    "mailto",
    "vbscript",
    "view-source",
    "ws",
    "wss",
];

/// The ports that a callback on `localhost` may use if an origin with that host is configured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LocalhostPorts {
    /// Any port, as the original allows.
    #[default]
    Any,
    /// Only the ports that are configured.
    Exact,
}

/// An allowed callback URL, exactly as the caller wrote it: that text is the `redirect_uri`
/// (RFC 6749 §3.1.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallbackUrl(String);

impl CallbackUrl {
    /// The URL as the caller wrote it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The reason for rejecting a callback URL. It never repeats the URL.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct CallbackFault {
    /// The reason, a whole phrase.
    pub reason: &'static str,
}

/// The origins that callbacks may have.
#[derive(Clone, Debug, Default)]
pub struct CallbackOrigins {
    origins: Vec<CallbackOrigin>,
    pub(super) localhost_ports: LocalhostPorts,
}

impl CallbackOrigins {
    /// Allows these origins and no others.
    pub fn new(origins: Vec<CallbackOrigin>, localhost_ports: LocalhostPorts) -> Self {
        Self { origins, localhost_ports }
    }

    /// Returns the origins as texts.
    pub fn texts(&self) -> Vec<String> {
        self.origins.iter().map(ToString::to_string).collect()
    }

    /// Adds an origin. `dev` adds its own.
    #[must_use]
    pub fn with(mut self, origin: CallbackOrigin) -> Self {
        if !self.origins.contains(&origin) {
            self.origins.push(origin);
        }
        self
    }

    /// Checks that a login may return to `text`.
    pub fn check(&self, text: &str) -> Result<CallbackUrl, CallbackFault> {
        let url = parse(text)?;
        refuse_if(url.fragment().is_some(), "the URL has a fragment ('#…')")?;
        let origin = CallbackOrigin::of(&url)?;
        let allowed = self.origins.contains(&origin) || (origin.is_localhost() && self.allows_localhost_like(&origin));
        if allowed {
            Ok(CallbackUrl(text.to_owned()))
        } else if url.scheme() == "http" && !origin.is_loopback() {
            Err(CallbackFault { reason: "http is allowed for loopback hosts alone; use https" })
        } else {
            Err(CallbackFault { reason: "the origin (scheme, host and port) is not a configured one" })
        }
    }

    /// The configured origins, for messages.
    pub fn list(&self) -> Vec<String> {
        self.origins.iter().map(ToString::to_string).collect()
    }

    /// Returns true if no origin is configured. Every callback is then rejected.
    pub fn is_empty(&self) -> bool {
        self.origins.is_empty()
    }

    /// Returns true if callbacks may use any port of `localhost`.
    pub fn opens_every_localhost_port(&self) -> bool {
        self.localhost_ports == LocalhostPorts::Any && self.origins.iter().any(CallbackOrigin::is_localhost)
    }

    fn allows_localhost_like(&self, origin: &CallbackOrigin) -> bool {
        self.localhost_ports == LocalhostPorts::Any
            && self.origins.iter().any(|one| one.is_localhost() && one.scheme == origin.scheme)
    }
}

/// One origin: scheme, host and port. A private-use scheme (RFC 8252 §7.1) has no port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallbackOrigin {
    scheme: String,
    host: Host,
    /// `None` for a private-use scheme, which has no port.
    port: Option<u16>,
}

impl CallbackOrigin {
    /// Reads an entry of `oauth.callback_origins`. The error says what to write instead.
    pub fn parse_entry(text: &str) -> Result<Self, String> {
        if text.contains('*') {
            return Err(
                "wildcards are not taken; write each origin in full, for example \"https://app.example.com\"".into()
            );
        }
        let url = parse(text).map_err(|fault| {
            format!("{}; write an origin as \"https://app.example.com\" or \"http://localhost\"", fault.reason)
        })?;
        let origin = Self::of(&url).map_err(|fault| fault.reason.to_owned())?;
        let bare = matches!(url.path(), "" | "/") && url.query().is_none() && url.fragment().is_none();
        if !bare {
            return Err(format!("an origin has no path, query or fragment; write \"{origin}\""));
        }
        if origin.scheme == "http" && !origin.is_loopback() {
            return Err(format!("http is allowed for loopback hosts alone; write \"https://{}\"", origin.host));
        }
        Ok(origin)
    }

    fn of(url: &Url) -> Result<Self, CallbackFault> {
        let opaque = CallbackFault { reason: "the URL has no host, so its origin is opaque" };
        let host = url.host().ok_or(opaque)?.to_owned();
        let is_web = matches!(url.scheme(), "http" | "https");
        refuse_if(!is_web && url.port().is_some(), "a URL of an app's own scheme has no port")?;
        Ok(Self { scheme: url.scheme().to_owned(), host, port: url.port_or_known_default() })
    }

    fn is_localhost(&self) -> bool {
        self.port.is_some() && self.host == Host::Domain("localhost".to_owned())
    }

    /// Returns true if the host is certainly this machine.
    pub fn is_loopback(&self) -> bool {
        is_loopback(&self.host)
    }
}

impl fmt::Display for CallbackOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme, self.host)?;
        match (self.scheme.as_str(), self.port) {
            ("https", Some(443)) | ("http", Some(80)) | (_, None) => Ok(()),
            (_, Some(port)) => write!(f, ":{port}"),
        }
    }
}

/// Returns true if a host is this machine: `localhost`, 127.0.0.0/8 or `::1`.
pub fn is_loopback<S: AsRef<str>>(host: &Host<S>) -> bool {
    match host {
        Host::Domain(name) => name.as_ref() == "localhost",
        Host::Ipv4(ip) => ip.is_loopback(),
        Host::Ipv6(ip) => ip.is_loopback(),
    }
}

/// Parses the text as a browser does, and rejects what a browser would correct silently: text that
/// another program could read differently does not go into a `redirect_uri`.
fn parse(text: &str) -> Result<Url, CallbackFault> {
    let is_blank = |c: char| c.is_control() || c.is_whitespace();
    refuse_if(text.is_empty(), "the URL is empty")?;
    refuse_if(text.contains(is_blank), "the URL has a control character or white space in it")?;
    refuse_if(text.contains('\\'), "the URL has a backslash in it")?;
    let relative = || CallbackFault { reason: "this is not an absolute URL" };
    let url = Url::parse(text).map_err(|_| relative())?;
    let (_, rest) = text.split_once(':').ok_or_else(relative)?;
    refuse_if(NEVER.contains(&url.scheme()), "the scheme is one that no callback may have")?;
    let opaque = CallbackFault { reason: "the URL has no '//' after its scheme, so its origin is opaque" };
    let after = rest.strip_prefix("//").ok_or(opaque)?;
    let authority = after.split(['/', '?', '#']).next().unwrap_or_default();
    refuse_if(authority.is_empty(), "the URL has no host, so its origin is opaque")?;
    refuse_if(authority.contains('@'), "the URL has a user name or a password in it")?;
    match url.host() {
        Some(Host::Ipv4(ip)) => {
            refuse_if(!is_written_plainly(authority, ip), "the IP address is not written as four decimal numbers")?;
        }
        // To other programs than a browser, a private-use scheme's host may be an address too.
        Some(Host::Domain(name)) => {
            let is_address = !url.is_special() && name.parse::<Ipv4Addr>().is_ok();
            refuse_if(is_address, "an app's own scheme has no IP address for a host")?;
        }
        Some(Host::Ipv6(ip)) => {
            refuse_if(ip.to_ipv4_mapped().is_some(), "the IP address is an IPv4 one inside IPv6")?;
        }
        None => {}
    }
    Ok(url)
}

fn refuse_if(bad: bool, reason: &'static str) -> Result<(), CallbackFault> {
    if bad { Err(CallbackFault { reason }) } else { Ok(()) }
}

fn is_written_plainly(authority: &str, ip: Ipv4Addr) -> bool {
    let host = authority.split_once(':').map_or(authority, |(host, _)| host);
    host == ip.to_string()
}

#[cfg(test)]
#[path = "callback_origin_tests.rs"]
mod tests;
