//! API keys and passwords: their place in a request, and the base URL of the API.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::input::Input;
use super::template::Template;
use super::value::Endpoint;

/// The provider accepts API keys: the place of a key in a request.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApiKeyPlacement {
    /// The page on which a user creates a key.
    pub docs: Option<Endpoint>,
    /// The part of a request that carries the key; absent if it is not known.
    #[serde(rename = "in")]
    pub place: Option<Place>,
    /// Its name there: the header, the query parameter, the member of the body.
    pub name: Option<String>,
    /// A prefix of the key, or of the first of several secrets: `Bearer `, or `/bot` in a path.
    pub prefix: Option<String>,
    /// With `basic`: the fixed user name to which the key is the password. Without it the key is
    /// the user name.
    pub user: Option<String>,
    /// With `basic` and two secrets: a suffix of the user name (`/token`).
    pub user_suffix: Option<String>,
    /// With `basic`: the fixed password to which the key is the user name. Without it that password
    /// is empty.
    pub password: Option<String>,
    /// The names of two or more secrets that the key consists of, joined by colons in this order;
    /// each goes under its own name. With `basic` they are user name and password.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<String>,
    /// Further headers of every request (a version, for example).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// The base URL of the API.
    pub base_url: Option<Template>,
    /// The inputs that `base_url` depends on.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub inputs: BTreeMap<String, Input>,
}

/// The part of a request that carries a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// A header.
    Header,
    /// A parameter of the query, if the provider offers nothing better.
    Query,
    /// HTTP Basic (RFC 7617).
    Basic,
    /// The path, right after the base URL's.
    Path,
    /// A member of the body.
    Body,
}

impl Place {
    /// Returns the word of an entry.
    pub fn name(self) -> &'static str {
        match self {
            Self::Header => "header",
            Self::Query => "query",
            Self::Basic => "basic",
            Self::Path => "path",
            Self::Body => "body",
        }
    }
}

/// The provider accepts a user name and a password: HTTP Basic (RFC 7617) if there is a URL to send
/// them to.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UserPassword {
    /// The page on which a user finds them.
    pub docs: Option<Endpoint>,
    /// Further headers of every request (a version, for example).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// The base URL of the API.
    pub base_url: Option<Template>,
    /// The inputs that `base_url` depends on.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub inputs: BTreeMap<String, Input>,
}
