//! The address that the server listens on.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::path::PathBuf;

use serde::{Deserialize, Deserializer};

use super::fields::{FromText as _, parsed};

/// The address that the server listens on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listen {
    /// A TCP port; the host is a name or an address, without brackets. Port 0: a free one.
    Tcp {
        /// The name or address.
        host: String,
        /// The port.
        port: u16,
    },
    /// A Unix socket at this path.
    Unix(PathBuf),
}

impl Listen {
    /// Returns true if other machines may reach the address.
    pub(super) fn is_open(&self) -> bool {
        match self {
            Self::Unix(_) => false,
            Self::Tcp { host, .. } => match host.parse::<IpAddr>() {
                Ok(address) => !address.is_loopback(),
                Err(_) => host != "localhost",
            },
        }
    }
}

impl fmt::Display for Listen {
    /// Writes it as in the configuration.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tcp { host, port } => write!(f, "{host}:{port}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

impl<'de> Deserialize<'de> for Listen {
    /// `host:port`, or `unix:/path`.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        parsed(deserializer, |text| {
            if let Some(path) = text.strip_prefix("unix:") {
                return PathBuf::from_text(path).map(Self::Unix);
            }
            let tcp = || {
                let (host, port) = text.rsplit_once(':')?;
                let host = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
                    Some(address) => address.parse::<Ipv6Addr>().ok().map(|_| address)?,
                    None if host.is_empty() || host.contains([':', '/', '@']) || host.contains(char::is_whitespace) => {
                        return None;
                    }
                    None => host,
                };
                let digits = !port.is_empty() && port.bytes().all(|c| c.is_ascii_digit());
                Some(Self::Tcp { host: host.to_owned(), port: digits.then(|| port.parse().ok())?? })
            };
            tcp().ok_or_else(|| {
                format!("'{text}' is not an address to listen on; write \"127.0.0.1:8484\", \"[::1]:8484\" or \"unix:/path\"")
            })
        })
    }
}
