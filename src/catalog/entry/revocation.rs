//! Revocation of tokens: RFC 7009, or the provider's own request.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::request::{Body, Method};
use super::template::Template;
use super::value::yes;

/// The revocation request: RFC 7009 by default, with the provider's differences.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Revoke {
    /// The revocation endpoint; `{client_id}` in it stands for the client's id.
    pub url: Template,
    /// The method of the request.
    #[serde(default = "Method::post")]
    pub method: Method,
    /// The authentication of the request.
    #[serde(default)]
    pub auth: RevokeAuth,
    /// The format of the body.
    #[serde(default)]
    pub body: Body,
    /// The parameter that carries the token (RFC 7009 §2.1); `{kind}`: the one named `access_token`
    /// or `refresh_token` after the token in it.
    #[serde(default = "Revoke::standard_token_param")]
    pub token_param: String,
    /// The tokens that are sent, in this order. A token that the credential does not have is
    /// skipped.
    #[serde(default = "Revoke::standard_tokens")]
    pub tokens: Vec<TokenKind>,
    /// Sends only the first token that the credential has: the others end with it.
    #[serde(default)]
    pub first_only: bool,
    /// Sends `token_type_hint` (RFC 7009 §2.1).
    #[serde(default = "yes")]
    pub hint: bool,
    /// Further parameters of the request.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub params: BTreeMap<String, String>,
    /// Further headers of the request.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// Error codes for a token that is already invalid, with any status. They count as success.
    #[serde(default = "Revoke::standard_gone_errors")]
    pub gone_errors: Vec<String>,
    /// Statuses for a token that is already invalid: `404`, for example.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gone_statuses: Vec<u16>,
    /// The scope of a revocation: the whole grant of user and client (assumed unless documented
    /// otherwise), or one token.
    #[serde(default)]
    pub ends: RevocationEnds,
}

impl Revoke {
    /// Makes the request of RFC 7009 to this endpoint.
    pub fn at(url: Template) -> Self {
        Self {
            url,
            method: Method::Post,
            auth: RevokeAuth::default(),
            body: Body::default(),
            token_param: Self::standard_token_param(),
            tokens: Self::standard_tokens(),
            first_only: false,
            hint: true,
            params: BTreeMap::new(),
            headers: BTreeMap::new(),
            gone_errors: Self::standard_gone_errors(),
            gone_statuses: Vec::new(),
            ends: RevocationEnds::default(),
        }
    }

    fn standard_token_param() -> String {
        "token".to_owned()
    }

    fn standard_tokens() -> Vec<TokenKind> {
        vec![TokenKind::Refresh, TokenKind::Access]
    }

    fn standard_gone_errors() -> Vec<String> {
        ["invalid_token", "token_revoked", "token_expired"].map(str::to_owned).into()
    }
}

/// The authentication of a revocation request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RevokeAuth {
    /// The same as at the token endpoint (RFC 7009 §2.1).
    #[default]
    Client,
    /// HTTP Basic with client id and secret.
    Basic,
    /// Client id and secret in the body.
    Post,
    /// The access token as bearer.
    Bearer,
    /// None: the token is enough.
    None,
}

/// One of the two tokens of a grant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenKind {
    /// The access token.
    Access,
    /// The refresh token.
    Refresh,
}

/// The scope of a revocation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RevocationEnds {
    /// The whole grant of user and client at this provider.
    #[default]
    Grant,
    /// This one token (and what was made from it).
    Token,
}
