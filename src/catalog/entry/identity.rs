//! Whose account a token is for: how the provider is asked, and what of its answer is read.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::request::Method;
use super::template::Template;
use super::value::JsonPointer;

/// The request that tells whose account a token is for, and what of its answer is read.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Identity {
    /// Where to ask, with the access token as bearer. With `from_id_token` it is asked for what the ID token does not say.
    #[serde(skip_serializing_if = "Template::is_absent")]
    pub url: Template,
    /// The method of the request.
    #[serde(default)]
    pub method: Method,
    /// Further headers of the request; `{client_id}` in a value stands for the client's id.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// A JSON body to send (a GraphQL query, say).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// Where the `username` of the credential is; absent where clients of the original get none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<JsonPointer>,
    /// Where the credential's title is; the username, else the provider's display name, where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<JsonPointer>,
    /// Where the provider's own stable id of the account is: what tells two accounts apart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<JsonPointer>,
    /// The answer is the token answer itself: nothing is sent (`url` is then the token endpoint's, for the reader).
    #[serde(default)]
    pub from_token_answer: bool,
    /// The account is what the ID token says (OpenID Connect Core §2), whose signature and claims are checked. Without
    /// pointers: `preferred_username`, else `email`, as the username, `name` as the title, `sub` as the account.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub from_id_token: bool,
}

impl Identity {
    /// From the ID token, and from the userinfo endpoint where one is known (OpenID Connect Core §5.3).
    pub fn openid(userinfo: Option<Template>) -> Self {
        Self {
            url: userinfo.unwrap_or_else(Template::absent),
            method: Method::Get,
            headers: BTreeMap::new(),
            body: None,
            username: None,
            title: None,
            account: None,
            from_token_answer: false,
            from_id_token: true,
        }
    }
}
