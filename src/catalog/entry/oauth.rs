//! How an entry describes a provider's OAuth: every key of `[oauth]`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::client_auth::{AssertionAudience, TokenAuth};
use super::grant::{GrantType, JwtBearer};
use super::identity::Identity;
use super::input::Input;
use super::request::Body;
use super::revocation::Revoke;
use super::template::Template;
use super::token::{AccessToken, ExpiryUnit, FurtherToken, Introspect, LongLived, Refresh};
use super::value::{JsonPointer, Lifetime, ScopeSeparator, yes};
use crate::jose::Algorithm;

/// How the provider's authorization server differs from RFC 6749, and where it is.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "each is a word of the vocabulary, and independent of the others")]
pub struct OAuth {
    /// The authorization endpoint (RFC 6749 §3.1); a query in it is kept. With an issuer it may be left to discovery.
    #[serde(skip_serializing_if = "Template::is_absent")]
    pub authorize_url: Template,
    /// The token endpoint (RFC 6749 §3.2). With an issuer it may be left to discovery.
    #[serde(skip_serializing_if = "Template::is_absent")]
    pub token_url: Template,
    /// Where authorization requests are pushed (RFC 9126); given, they are: the login URL then has `client_id` and `request_uri`
    /// alone, and what initiate gives ends with the earlier of the two.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub par_url: Option<Template>,
    /// Whether they are pushed to the endpoint that discovery finds; where the server requires it, they are anyway.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub par: bool,
    /// Whether tokens are bound to a key of the credential's own (DPoP, RFC 9449): an ES256 key, made when the login begins (for
    /// client credentials and service accounts at once) and sealed with the credential. An answer with any other `token_type`
    /// is refused, and the token is not handed out (409).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dpop: bool,
    /// Whether what the entry does not say is found from the issuer (RFC 8414), although both endpoints are given.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub discover: bool,
    /// Where tokens are refreshed, where that is not the token endpoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refresh_url: Option<Template>,
    /// The device authorization endpoint (RFC 8628 §3.1), where the provider has the device flow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device_authorization_url: Option<Template>,
    /// Under which URL the provider's API is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_base_url: Option<Template>,
    /// The values from outside that the URLs depend on.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub inputs: BTreeMap<String, Input>,
    /// Who answers: the issuer identifier (RFC 9207 §2); compared with `iss` at the callback. Where `authorize_url` or `token_url`
    /// is left out, they come from the metadata that it publishes.
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
    /// The algorithm of a `private_key_jwt`; the first that the key is for, where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_auth_alg: Option<Algorithm>,
    /// For whom a client's assertion says it is: the issuer (draft-ietf-oauth-rfc7523bis), or the token endpoint, for
    /// servers that know only that.
    #[serde(default)]
    pub token_auth_audience: AssertionAudience,
    /// How the token request is written.
    #[serde(default)]
    pub token_body: Body,
    /// Further parameters of the authorization request; none can replace `state`, `redirect_uri`, `client_id`, `response_type` or
    /// the PKCE ones.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub authorize_params: BTreeMap<String, String>,
    /// Further parameters of the token request.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub token_params: BTreeMap<String, String>,
    /// Further parameters of a refresh, in place of [`OAuth::token_params`] of the same name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub refresh_params: BTreeMap<String, String>,
    /// Parameters of RFC 6749 that this provider calls something else, in every request: `client_id` → `client_key`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub rename: BTreeMap<String, String>,
    /// Further headers of the token request.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub token_headers: BTreeMap<String, String>,
    /// Where in the token answer the tokens are, where they are not at its top.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_path: Option<JsonPointer>,
    /// Further tokens in the same answer, by a name of ours for each.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub further_tokens: BTreeMap<String, FurtherToken>,
    /// How the token is used, whatever the answer says of it (RFC 6749 §7.1): `bearer`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_type: Option<String>,
    /// How long an access token lives, where the answer does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_in: Option<Lifetime>,
    /// In what the answer's `expires_in` is counted.
    #[serde(default)]
    pub expires_in_unit: ExpiryUnit,
    /// The member of the token answer that says when the access token ends.
    #[serde(default = "OAuth::standard_expiry_member", skip_serializing_if = "OAuth::is_standard_expiry_member")]
    pub expires_in_member: String,
    /// The parameter of the callback that carries the code, where it is not `code`; it is sent on as `code`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code_param: Option<String>,
    /// Parameters of the callback that are kept with the credential; the application sends them as `callback_params`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub callback_metadata: Vec<String>,
    /// Members of the token answer that are kept with the credential: by name beside the tokens or at the top, or by JSON
    /// pointer from the top.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub token_metadata: Vec<String>,
    /// How the access token goes into a request, where that is not as bearer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access_token: Option<AccessToken>,
    /// The second exchange, for a long-lived access token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub long_lived: Option<LongLived>,
    /// How the end of an access token is asked for, where the answer does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub introspect: Option<Introspect>,
    /// How to learn whose account it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<Identity>,
    /// How a token is revoked; absent where the provider has no way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoke: Option<Revoke>,
    /// Which grants the server gives tokens for.
    #[serde(default = "OAuth::code_alone", skip_serializing_if = "OAuth::is_code_alone")]
    pub grants: Vec<GrantType>,
    /// How a service account's assertion is made (RFC 7523).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jwt_bearer: Option<JwtBearer>,
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

    /// What is asked for beside the first token's scopes, by the name of the further token: what the caller asks for, else
    /// the defaults. What the entry does not know is left out, as every unknown field is.
    pub fn further_scopes_for(&self, requested: &BTreeMap<String, Vec<String>>) -> BTreeMap<String, Vec<String>> {
        let chosen = self.further_tokens.iter().map(|(name, token)| {
            let asked = requested.get(name).filter(|asked| !asked.is_empty());
            let mut scopes = asked.unwrap_or(&token.default_scopes).clone();
            let mut seen = std::collections::BTreeSet::new();
            scopes.retain(|scope| seen.insert(scope.clone()));
            (name.clone(), scopes)
        });
        chosen.filter(|(_, scopes)| !scopes.is_empty()).collect()
    }

    /// Whether something of the entry is found by discovery (RFC 8414).
    pub fn discovers(&self) -> bool {
        let lacks =
            self.authorize_url.is_absent() || self.token_url.is_absent() || (self.par && self.par_url.is_none());
        self.issuer.is_some() && (self.discover || lacks)
    }

    /// Whether a login for these scopes is one of OpenID Connect, whose answer has an ID token.
    pub fn is_openid(&self, scopes: &[String]) -> bool {
        scopes.iter().any(|scope| scope == "openid")
    }

    /// Whether the account is learnt from the ID token: where the entry says so, or knows the issuer and no other way.
    pub fn identifies_by_id_token(&self) -> bool {
        self.issuer.is_some() && self.identity.as_ref().is_none_or(|identity| identity.from_id_token)
    }

    /// Whether two scopes are one to this provider: equal, or equal but for [`OAuth::scope_prefix`].
    pub fn same_scope(&self, one: &str, other: &str) -> bool {
        let prefix = self.scope_prefix.as_deref().unwrap_or("");
        one.strip_prefix(prefix).unwrap_or(one) == other.strip_prefix(prefix).unwrap_or(other)
    }

    fn standard_expiry_member() -> String {
        "expires_in".to_owned()
    }

    fn is_standard_expiry_member(name: &str) -> bool {
        name == "expires_in"
    }

    fn code_alone() -> Vec<GrantType> {
        vec![GrantType::AuthorizationCode]
    }

    fn is_code_alone(grants: &[GrantType]) -> bool {
        grants == [GrantType::AuthorizationCode]
    }

    fn standard_scope_member() -> String {
        "scope".to_owned()
    }

    fn is_standard_scope_member(name: &str) -> bool {
        name == "scope"
    }
}

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
    "nonce",
    "request",
    "request_uri",
];

/// Whether only the protocol itself may set the parameter.
pub fn is_protected_param(name: &str) -> bool {
    PROTECTED_PARAMS.contains(&name)
}
