//! The account's identity: the request for it, and the members of the response.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::request::Method;
use super::template::Template;
use super::value::JsonPointer;

/// The request for the account's identity, and the members of the response that are read.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Identity {
    /// The URL, requested with the access token as bearer. With `from_id_token` it is requested for
    /// members that the ID token does not have.
    #[serde(skip_serializing_if = "Template::is_absent")]
    pub url: Template,
    /// The method of the request.
    #[serde(default)]
    pub method: Method,
    /// Further headers of the request; `{client_id}` in a value stands for the client's id.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// A JSON body (a GraphQL query, for example).
    pub body: Option<String>,
    /// The `username` of the credential; absent if clients of the original get none.
    pub username: Option<JsonPointer>,
    /// The title of the credential. Without it, the username, else the provider's display name.
    pub title: Option<JsonPointer>,
    /// The provider's stable id of the account, by which two accounts differ.
    pub account: Option<JsonPointer>,
    /// Reads the token response itself and sends no request. `url` then documents the token
    /// endpoint.
    #[serde(default)]
    pub from_token_answer: bool,
    /// Reads the ID token (OpenID Connect Core §2), whose signature and claims are checked. Without
    /// pointers: `preferred_username`, else `email`, `name` or `sub` as the username, `name` as the
    /// title, `sub` as the account.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub from_id_token: bool,
}

impl Identity {
    /// Reads the ID token, and the userinfo endpoint if one is known (OpenID Connect Core §5.3).
    pub fn openid(userinfo: Option<Template>) -> Self {
        Self { url: userinfo.unwrap_or_default(), from_id_token: true, ..Self::default() }
    }
}
