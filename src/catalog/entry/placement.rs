//! How an API key or a password goes into a request, and under which URL the API is.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::input::Input;
use super::template::Template;
use super::value::Endpoint;

/// That the provider takes API keys, and how a key goes into a request.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApiKey {
    /// Where a user makes a key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub docs: Option<Endpoint>,
    /// In which part of a request the key goes; absent where it is not known.
    #[serde(default, rename = "in", skip_serializing_if = "Option::is_none")]
    pub place: Option<Place>,
    /// What it is called there: the header, the query's parameter, the body's member.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What stands before the key: `Bearer `, or `/bot` in a path; before the first of several secrets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    /// With `basic`: the fixed user name to which the key is the password. Without it the key is the user name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// With `basic` and two secrets: what stands after the user name (`/token`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_suffix: Option<String>,
    /// With `basic`: the fixed password to which the key is the user name. Without it that password is empty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
    /// The names of two or more secrets that the key consists of, joined by colons in this order; each goes under its
    /// own name. With `basic` they are user name and password.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<String>,
    /// Further headers that every request has (a version, say).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// Under which URL the API is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_url: Option<Template>,
    /// The values from outside that `base_url` depends on.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub inputs: BTreeMap<String, Input>,
}

impl ApiKey {
    /// The names that secrets have in a request, each with the key of the entry that says it.
    pub(in crate::catalog) fn names(&self) -> impl Iterator<Item = (String, &String)> {
        let alone = self.name.iter().map(|name| ("api_key.name".to_owned(), name));
        alone.chain(self.secrets.iter().enumerate().map(|(i, name)| (format!("api_key.secrets[{i}]"), name)))
    }
}

/// The part of a request that carries a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// A header.
    Header,
    /// A parameter of the query, where the provider has no better way.
    Query,
    /// HTTP Basic (RFC 7617).
    Basic,
    /// The path, right after the base URL's.
    Path,
    /// A member of the body.
    Body,
}

/// That the provider takes a user name and a password: HTTP Basic (RFC 7617) where there is a URL to send them to.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UserPassword {
    /// Where a user finds them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub docs: Option<Endpoint>,
    /// Further headers that every request has (a version, say).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// Under which URL the API is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_url: Option<Template>,
    /// The values from outside that `base_url` depends on.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub inputs: BTreeMap<String, Input>,
}
