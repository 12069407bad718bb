//! How an entry says that tokens are ended: RFC 7009, or the provider's own way.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::request::{Body, Method};
use super::template::Template;
use super::value::yes;

/// How a token is revoked: RFC 7009 by default, the provider's own way by what is said here.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Revoke {
    /// The revocation endpoint; `{client_id}` in it stands for the client's id.
    pub url: Template,
    /// The method of the request.
    #[serde(default = "Method::post")]
    pub method: Method,
    /// How the request is authenticated.
    #[serde(default)]
    pub auth: RevokeAuth,
    /// How the body is written.
    #[serde(default)]
    pub body: Body,
    /// The parameter that carries the token (RFC 7009 §2.1); `{kind}`: the one named `access_token` or `refresh_token`
    /// after the token in it.
    #[serde(default = "Revoke::standard_token_param")]
    pub token_param: String,
    /// Which tokens are sent, in this order; a token that the credential does not have is passed over.
    #[serde(default = "Revoke::standard_tokens")]
    pub tokens: Vec<TokenKind>,
    /// Whether the first token that the credential has is sent alone, for the others end with it.
    #[serde(default)]
    pub first_only: bool,
    /// Whether `token_type_hint` is sent (RFC 7009 §2.1).
    #[serde(default = "yes")]
    pub hint: bool,
    /// Further parameters of the request.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub params: BTreeMap<String, String>,
    /// Further headers of the request.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// Error codes by which the provider says that the token is dead already, with whatever status: a success.
    #[serde(default = "Revoke::standard_gone_errors")]
    pub gone_errors: Vec<String>,
    /// Statuses that say the same, where the body does not: `404`, say.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gone_statuses: Vec<u16>,
    /// What a revocation ends: the whole grant of user and client (assumed unless documented otherwise), or one token.
    #[serde(default)]
    pub ends: RevocationEnds,
}

impl Revoke {
    /// RFC 7009 by the letter, at this endpoint.
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

/// How a revocation request is authenticated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RevokeAuth {
    /// As at the token endpoint (RFC 7009 §2.1).
    #[default]
    Client,
    /// HTTP Basic with client id and secret.
    Basic,
    /// Client id and secret in the body.
    Post,
    /// The access token as bearer.
    Bearer,
    /// Not at all: the token is enough.
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

/// What ends when a token is revoked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RevocationEnds {
    /// Everything that user and client agreed on at this provider.
    #[default]
    Grant,
    /// This one token (and what was made from it).
    Token,
}
