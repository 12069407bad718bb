//! Tokens after the exchange: their use, a second exchange, refresh and expiry.

use serde::{Deserialize, Serialize};

use super::client_auth::TokenAuth;
use super::request::Method;
use super::template::Template;
use super::value::{JsonPointer, Lifetime};

/// A further token in the same response, for another account than the first. It becomes a
/// credential of its own, which is refreshed and revoked separately.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FurtherToken {
    /// The place of its members in the token response.
    pub path: JsonPointer,
    /// The parameter of the authorization request for its scopes; absent if the provider sends it
    /// without one.
    pub scope_param: Option<String>,
    /// Its scopes if the caller names none. Without any, it is not requested.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub default_scopes: Vec<String>,
    /// The stable id of its account in the token response.
    pub account: Option<JsonPointer>,
}

/// Refresh tokens of the provider, and the differences of a refresh from RFC 6749 §6.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Refresh {
    /// Every refresh gives a new refresh token and invalidates the old one.
    #[serde(default)]
    pub rotates: bool,
    /// The lifetime of an unused refresh token.
    pub lifetime: Option<Lifetime>,
    /// The member of the token response with the lifetime of the refresh token, in seconds.
    pub lifetime_member: Option<String>,
    /// Error codes for an invalid refresh token, in addition to `invalid_grant` (RFC 6749 §5.2) and
    /// OpenID's `interaction_required`, `login_required` and `consent_required`, in any letter
    /// case. The user then has to connect the account again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refused_errors: Vec<String>,
    /// Parts of error texts that mean the same, in any letter case, if the provider has no code of
    /// its own for an invalid refresh token.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refused_messages: Vec<String>,
    /// Statuses (4xx) that mean the same if the response has neither a code nor a text nor a page.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refused_statuses: Vec<u16>,
    /// The token that is sent: the refresh token, or the access token while it is valid.
    #[serde(default, skip_serializing_if = "RefreshWith::is_refresh_token")]
    pub with: RefreshWith,
    /// The method of the request; with GET the parameters go into the query, secrets too.
    #[serde(default = "Method::post", skip_serializing_if = "Method::is_post")]
    pub method: Method,
    /// The `grant_type` of the request, if it is not `refresh_token`.
    pub grant_type: Option<String>,
    /// Client authentication, if it is not `token_auth`; `none`: only `client_id`.
    pub auth: Option<TokenAuth>,
    /// Sends the redirect URI of the login, as the exchange of the code does.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub redirect_uri: bool,
}

impl Default for Refresh {
    /// The request of RFC 6749 §6, with no further knowledge.
    fn default() -> Self {
        Self {
            rotates: false,
            lifetime: None,
            lifetime_member: None,
            refused_errors: Vec::new(),
            refused_messages: Vec::new(),
            refused_statuses: Vec::new(),
            with: RefreshWith::RefreshToken,
            method: Method::Post,
            grant_type: None,
            auth: None,
            redirect_uri: false,
        }
    }
}

/// The token that a refresh request sends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefreshWith {
    /// The refresh token (RFC 6749 §6).
    #[default]
    RefreshToken,
    /// The access token, as `access_token`: the provider has no refresh tokens.
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
    /// The endpoint of the exchange.
    pub url: Template,
    /// The method of the request; with GET the parameters go into the query, secrets too.
    #[serde(default)]
    pub method: Method,
    /// The `grant_type` of the request.
    pub grant_type: String,
    /// The parameter that carries the short-lived token.
    #[serde(default = "LongLived::standard_token_param")]
    pub token_param: String,
    /// Client authentication, if it is not `token_auth`.
    pub auth: Option<TokenAuth>,
}

impl LongLived {
    fn standard_token_param() -> String {
        "access_token".to_owned()
    }
}

/// The introspection request (RFC 7662) for the expiry of an access token.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Introspect {
    /// The introspection endpoint.
    pub url: Template,
    /// Client authentication, if it is not `token_auth`.
    pub auth: Option<TokenAuth>,
}

/// The place of the access token in a request, if it is not `Authorization: Bearer` (RFC 6750
/// §2.1).
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccessToken {
    /// The part of the request that carries it.
    #[serde(default, rename = "in")]
    pub place: AccessTokenPlace,
    /// Its name there: the header or the query parameter.
    pub name: String,
    /// A prefix of it in a header.
    pub prefix: Option<String>,
}

/// The part of a request that carries an access token.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AccessTokenPlace {
    /// A header.
    #[default]
    Header,
    /// A parameter of the query, if the provider offers nothing else.
    Query,
}

/// The unit of a token's expiry.
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
