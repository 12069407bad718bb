//! The vocabulary: everything that a provider's file can say, typed and checked while it is read.
//!
//! A quirk that this cannot say extends the vocabulary for all providers; no code anywhere branches on a name.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::value::{Date, Endpoint, JsonPointer, Lifetime, ScopeSeparator};
use crate::kind::Kind;

/// One provider: what its file in `catalog/providers/` or its section of the configuration says.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// The name for people, as the provider writes it.
    pub display_name: String,
    /// The page of the provider's own documentation from which the entry was written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub docs: Option<Endpoint>,
    /// The day on which the entry was last held against that page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checked: Option<Date>,
    /// What kind of service it is: `developer-tools`, `ai`, `social`, …
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub category: Option<String>,
    /// How to connect an account by OAuth 2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oauth: Option<OAuth>,
    /// That the provider takes API keys.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_key: Option<ApiKey>,
    /// That the provider takes a user name and a password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_password: Option<UserPassword>,
    /// That headers for a host of the user's choice are kept under this name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host_scoped: Option<HostScoped>,
}

impl Entry {
    /// Whether credentials of this kind can be kept for the provider.
    pub fn takes(&self, kind: Kind) -> bool {
        match kind {
            Kind::OAuth2 => self.oauth.is_some(),
            Kind::ApiKey => self.api_key.is_some(),
            Kind::UserPassword => self.user_password.is_some(),
            Kind::HostScoped => self.host_scoped.is_some(),
        }
    }
}

/// How the provider's authorization server differs from RFC 6749, and where it is.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OAuth {
    /// The authorization endpoint (RFC 6749 §3.1); a query in it is kept.
    pub authorize_url: Endpoint,
    /// The token endpoint (RFC 6749 §3.2).
    pub token_url: Endpoint,
    /// Who answers: the issuer identifier (RFC 9207 §2); compared with `iss` at the callback.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    /// Whether the server announces `iss` in its answers (RFC 9207 §3).
    #[serde(default)]
    pub announces_iss: bool,
    /// What stands between two scopes in a request.
    #[serde(default)]
    pub scope_separator: ScopeSeparator,
    /// What stands between two scopes in an answer, where it differs; any of space, comma and plus is understood anyway.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer_scope_separator: Option<ScopeSeparator>,
    /// The member of the token answer that names the granted scopes, where it is not `scope`.
    #[serde(default = "OAuth::standard_scope_member", skip_serializing_if = "OAuth::is_standard_scope_member")]
    pub scope_member: String,
    /// What may stand before a scope or be left out: with it and without it, it is the same scope.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope_prefix: Option<String>,
    /// Scopes that are asked for when the caller names none.
    #[serde(default)]
    pub default_scopes: Vec<String>,
    /// Scopes that are added to every request.
    #[serde(default)]
    pub always_scopes: Vec<String>,
    /// Whether the caller's scopes are put aside: the request has `always_scopes` alone.
    #[serde(default)]
    pub fixed_scopes: bool,
    /// PKCE with S256 (RFC 7636); off only for a server that rejects it.
    #[serde(default = "yes")]
    pub pkce: bool,
    /// How the client authenticates at the token endpoint.
    #[serde(default)]
    pub token_auth: TokenAuth,
    /// How the token request is written.
    #[serde(default)]
    pub token_body: Body,
    /// Further parameters of the authorization request.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub authorize_params: BTreeMap<String, String>,
    /// Further parameters of the token request.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub token_params: BTreeMap<String, String>,
    /// Further headers of the token request.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub token_headers: BTreeMap<String, String>,
    /// Where in the token answer the tokens are, where they are not at its top.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_path: Option<JsonPointer>,
    /// How the token is used, whatever the answer says of it (RFC 6749 §7.1): `bearer`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_type: Option<String>,
    /// How long an access token lives, where the answer does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_in: Option<Lifetime>,
    /// Members of the token answer that are kept with the credential.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub token_metadata: Vec<String>,
    /// How to learn whose account it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<Identity>,
    /// How a token is revoked; absent where the provider has no way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoke: Option<Revoke>,
    /// How refresh tokens behave.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refresh: Option<Refresh>,
}

impl OAuth {
    /// What is asked for when the caller asks for `requested`: the defaults where that is empty, and always what is
    /// always sent; in order, each once.
    pub fn scopes_for(&self, requested: &[String]) -> Vec<String> {
        let chosen: &[String] = match requested {
            _ if self.fixed_scopes => &[],
            [] => &self.default_scopes,
            some => some,
        };
        let mut scopes: Vec<String> = Vec::with_capacity(chosen.len() + self.always_scopes.len());
        for scope in chosen.iter().chain(&self.always_scopes) {
            if !scopes.contains(scope) {
                scopes.push(scope.clone());
            }
        }
        scopes
    }

    /// Whether two scopes are one to this provider: equal, or equal but for [`OAuth::scope_prefix`].
    pub fn same_scope(&self, one: &str, other: &str) -> bool {
        let prefix = self.scope_prefix.as_deref().unwrap_or("");
        one.strip_prefix(prefix).unwrap_or(one) == other.strip_prefix(prefix).unwrap_or(other)
    }

    fn standard_scope_member() -> String {
        "scope".to_owned()
    }

    fn is_standard_scope_member(name: &str) -> bool {
        name == "scope"
    }
}

/// How the client authenticates at the token endpoint (RFC 6749 §2.3.1, OpenID Connect Core §9).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenAuth {
    /// `client_secret_basic`: id and secret form-urlencoded, then base64 in the `Authorization` header.
    #[default]
    Basic,
    /// The same without the form-urlencoding, for servers that do not decode it.
    BasicRaw,
    /// `client_secret_post`: `client_id` and `client_secret` in the body.
    Post,
    /// A public client: `client_id` in the body, and no secret.
    None,
}

/// How the body of a request is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Body {
    /// `application/x-www-form-urlencoded`, as RFC 6749 has it.
    #[default]
    Form,
    /// `application/json`.
    Json,
    /// No body at all.
    None,
}

/// The request that tells whose account a token is for, and what of its answer is read.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Identity {
    /// Where to ask, with the access token as bearer.
    pub url: Endpoint,
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
}

/// The method of a request that an entry describes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Method {
    /// GET
    #[default]
    Get,
    /// POST
    Post,
    /// DELETE
    Delete,
}

/// How a token is revoked: RFC 7009 by default, the provider's own way by what is said here.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Revoke {
    /// The revocation endpoint; `{client_id}` in it stands for the client's id.
    pub url: String,
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

impl Method {
    fn post() -> Self {
        Self::Post
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

/// How the provider's refresh tokens behave.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Refresh {
    /// Whether every refresh gives a new refresh token and spends the old one.
    #[serde(default)]
    pub rotates: bool,
    /// How long a refresh token lives when it is not used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lifetime: Option<Lifetime>,
}

/// That the provider takes API keys. How a key goes into a request comes with the proxy.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApiKey {
    /// Where a user makes a key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub docs: Option<Endpoint>,
}

/// That the provider takes a user name and a password.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UserPassword {}

/// That headers are kept for a host of the user's choice.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HostScoped {}

/// What carries the flow's security: parameters that an entry cannot set, neither where we send them nor where we leave
/// them out.
const PROTECTED_PARAMS: &[&str] = &[
    "response_type",
    "client_id",
    "client_secret",
    "client_assertion",
    "client_assertion_type",
    "redirect_uri",
    "state",
    "code",
    "code_verifier",
    "code_challenge",
    "code_challenge_method",
    "grant_type",
    "refresh_token",
    "request",
    "request_uri",
];

/// Whether only the protocol itself may set the parameter.
pub fn is_protected_param(name: &str) -> bool {
    PROTECTED_PARAMS.contains(&name)
}

fn yes() -> bool {
    true
}
