//! Value types of an entry: each holds only legal values.

use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use url::Url;

use crate::config::is_loopback;
use crate::duration;

/// A URL of a provider: `https`, or `http` to a loopback host, which the egress guard checks again;
/// without user info and fragment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint(Url);

impl Endpoint {
    /// Parses and checks the URL.
    pub fn parse(text: &str) -> Result<Self, String> {
        let url = Url::parse(text).map_err(|error| format!("not a URL: {error}"))?;
        let host = url.host().ok_or("the URL has no host")?;
        match url.scheme() {
            "https" => {}
            "http" if is_loopback(&host) => {}
            "http" => return Err("http is possible only to a loopback host; use https".to_owned()),
            other => return Err(format!("the scheme is '{other}', and must be https")),
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err("a URL with a user name or a password is not accepted".to_owned());
        }
        if url.fragment().is_some() {
            return Err("a URL with a fragment ('#…') is not accepted".to_owned());
        }
        Ok(Self(url))
    }

    /// Returns the URL.
    pub fn url(&self) -> &Url {
        &self.0
    }
}

impl Serialize for Endpoint {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.as_str())
    }
}

impl<'de> Deserialize<'de> for Endpoint {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

/// The separator between two scopes: a space, a comma, a plus, or a comma and a space.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct ScopeSeparator(String);

impl ScopeSeparator {
    /// The separator as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for ScopeSeparator {
    fn default() -> Self {
        Self(" ".to_owned())
    }
}

impl<'de> Deserialize<'de> for ScopeSeparator {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        match text.as_str() {
            " " | "," | "+" | ", " | ";" => Ok(Self(text)),
            _ => Err(de::Error::custom("not a scope separator; there are \" \", \",\", \"+\", \", \" and \";\"")),
        }
    }
}

/// A JSON pointer (RFC 6901): `/bot/owner/user/email`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct JsonPointer(String);

impl JsonPointer {
    /// Returns the value that the pointer points at.
    pub fn find<'v>(&self, value: &'v serde_json::Value) -> Option<&'v serde_json::Value> {
        value.pointer(&self.0)
    }

    /// The pointer as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<'de> Deserialize<'de> for JsonPointer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text.is_empty() || text.starts_with('/') {
            Ok(Self(text))
        } else {
            Err(de::Error::custom("not a JSON pointer (RFC 6901); it begins with '/', as in \"/user/name\""))
        }
    }
}

/// A lifetime: `"8h"`, `"90d"`, or `"never"` for one that does not end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lifetime {
    /// It ends after this long.
    For(Duration),
    /// It does not end.
    Never,
}

impl Lifetime {
    /// Returns the duration; `None` if it never ends.
    pub fn duration(self) -> Option<Duration> {
        match self {
            Self::For(duration) => Some(duration),
            Self::Never => None,
        }
    }
}

impl Serialize for Lifetime {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::For(span) => serializer.collect_str(&duration::show(*span)),
            Self::Never => serializer.serialize_str("never"),
        }
    }
}

impl<'de> Deserialize<'de> for Lifetime {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        match text.as_str() {
            "never" => Ok(Self::Never),
            _ => duration::parse(&text).map(Self::For).map_err(de::Error::custom),
        }
    }
}

/// The default of a switch that is on unless the entry says otherwise.
pub(super) fn yes() -> bool {
    true
}
