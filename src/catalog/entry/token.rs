//! How an entry says what becomes of tokens after the exchange: how they are used, what they are exchanged for, how they are
//! refreshed, and when they end.

use serde::{Deserialize, Serialize};

use super::client_auth::TokenAuth;
use super::request::Method;
use super::template::Template;
use super::value::{JsonPointer, Lifetime};

/// A further token that comes with the same answer, for somebody else than the first: it becomes a credential of its own,
/// refreshed and revoked by itself.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FurtherToken {
    /// Where in the token answer its members are.
    pub path: JsonPointer,
    /// The parameter of the authorization request that asks for its scopes; absent where it comes unasked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope_param: Option<String>,
    /// Its scopes where the caller names none; with none at all it is not asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub default_scopes: Vec<String>,
    /// Where in the token answer the stable id of its account is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<JsonPointer>,
}

/// How the provider's refresh tokens behave, and how a refresh differs from RFC 6749 §6.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Refresh {
    /// Whether every refresh gives a new refresh token and spends the old one.
    #[serde(default)]
    pub rotates: bool,
    /// How long a refresh token lives when it is not used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lifetime: Option<Lifetime>,
    /// The member of the token answer that says for how many seconds the refresh token lives.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lifetime_member: Option<String>,
    /// Error codes beside `invalid_grant` (RFC 6749 §5.2) by which the provider says that the refresh token is dead, and
    /// the user has to connect the account again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refused_errors: Vec<String>,
    /// What is sent to be refreshed: a refresh token, or the access token itself while it is good.
    #[serde(default, skip_serializing_if = "RefreshWith::is_refresh_token")]
    pub with: RefreshWith,
    /// The method of the request; with GET the parameters go into the query, secrets too.
    #[serde(default = "Method::post", skip_serializing_if = "Method::is_post")]
    pub method: Method,
    /// The `grant_type` of the request, where it is the provider's own word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grant_type: Option<String>,
    /// How the client authenticates, where that is not `token_auth`; `none`: `client_id` alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth: Option<TokenAuth>,
    /// Whether the redirect URI of the login is sent with it, as at the exchange of the code.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub redirect_uri: bool,
}

impl Default for Refresh {
    /// By the letter of RFC 6749, and nothing known besides.
    fn default() -> Self {
        Self {
            rotates: false,
            lifetime: None,
            lifetime_member: None,
            refused_errors: Vec::new(),
            with: RefreshWith::RefreshToken,
            method: Method::Post,
            grant_type: None,
            auth: None,
            redirect_uri: false,
        }
    }
}

/// What is sent to be refreshed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefreshWith {
    /// The refresh token (RFC 6749 §6).
    #[default]
    RefreshToken,
    /// The access token, as `access_token`; there is no refresh token.
    AccessToken,
}

impl RefreshWith {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "what serde calls it with")]
    fn is_refresh_token(&self) -> bool {
        *self == Self::RefreshToken
    }
}

/// A second exchange, right after the first: the short-lived access token for a long-lived one.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LongLived {
    /// Where it is exchanged.
    pub url: Template,
    /// The method of the request; with GET the parameters go into the query, secrets too.
    #[serde(default)]
    pub method: Method,
    /// The `grant_type` of the request.
    pub grant_type: String,
    /// The parameter that carries the short-lived token.
    #[serde(default = "LongLived::standard_token_param")]
    pub token_param: String,
    /// How the client authenticates, where that is not `token_auth`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth: Option<TokenAuth>,
}

impl LongLived {
    fn standard_token_param() -> String {
        "access_token".to_owned()
    }
}

/// How the end of an access token is asked for, where no answer tells it (RFC 7662).
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Introspect {
    /// The introspection endpoint.
    pub url: Template,
    /// How the client authenticates, where that is not `token_auth`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth: Option<TokenAuth>,
}

/// How the access token goes into a request, where that is not `Authorization: Bearer` (RFC 6750 §2.1).
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccessToken {
    /// The part of the request that carries it.
    #[serde(default, rename = "in")]
    pub place: AccessTokenPlace,
    /// What it is called there: the header or the query's parameter.
    pub name: String,
    /// What stands before it in a header.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
}

/// The part of a request that carries an access token.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AccessTokenPlace {
    /// A header.
    #[default]
    Header,
    /// A parameter of the query, where the provider has no other way.
    Query,
}

/// In what the end of a token is counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExpiryUnit {
    /// Seconds from now (RFC 6749 §5.1).
    #[default]
    Seconds,
    /// Milliseconds from now.
    Milliseconds,
    /// A time: seconds since 1970.
    UnixSeconds,
    /// A time: milliseconds since 1970.
    UnixMilliseconds,
    /// A time as text (RFC 3339, a profile of ISO 8601): `2026-11-24T12:00:00Z`.
    Date,
}
