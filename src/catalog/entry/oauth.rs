//! Every key of `[oauth]`: the description of a provider's OAuth in its entry.

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
use super::value::{Endpoint, JsonPointer, Lifetime, ScopeSeparator, yes};
use crate::jose::Algorithm;

/// The provider's authorization server: its endpoints, and its differences from RFC 6749.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "each is a word of the vocabulary, and independent of the others")]
pub struct OAuth {
    /// The authorization endpoint (RFC 6749 §3.1); a query in it is kept. With an issuer it may be
    /// left to discovery.
    #[serde(skip_serializing_if = "Template::is_absent")]
    pub authorize_url: Template,
    /// The token endpoint (RFC 6749 §3.2). With an issuer it may be left to discovery.
    #[serde(skip_serializing_if = "Template::is_absent")]
    pub token_url: Template,
    /// The endpoint that authorization requests are pushed to (RFC 9126). The login URL then has
    /// only `client_id` and `request_uri`, and it expires at the earlier of the two expiries.
    pub par_url: Option<Template>,
    /// Pushes them to the endpoint that discovery finds. If the server requires it, they are pushed
    /// anyway.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub par: bool,
    /// Binds tokens to a key of the credential (DPoP, RFC 9449): an ES256 key, generated when the
    /// login starts (for client credentials and service accounts at once) and sealed with the
    /// credential. A response with another `token_type` is rejected, and the token is never handed
    /// out (409).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dpop: bool,
    /// Uses discovery (RFC 8414) for absent keys although both endpoints are given.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub discover: bool,
    /// The page on which an OAuth client is registered.
    pub register: Option<Endpoint>,
    /// The endpoint for refreshes, if it is not the token endpoint.
    pub refresh_url: Option<Template>,
    /// The device authorization endpoint (RFC 8628 §3.1), if the provider has the device flow.
    pub device_authorization_url: Option<Template>,
    /// The base URL of the provider's API.
    pub api_base_url: Option<Template>,
    /// The inputs that the URLs depend on.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub inputs: BTreeMap<String, Input>,
    /// The issuer identifier (RFC 9207 §2), compared with `iss` at the callback. If `authorize_url`
    /// or `token_url` is absent, it comes from the issuer's metadata.
    pub issuer: Option<String>,
    /// The server announces `iss` in its responses (RFC 9207 §3).
    #[serde(default)]
    pub announces_iss: bool,
    /// The separator between two scopes in a request.
    #[serde(default)]
    pub scope_separator: ScopeSeparator,
    /// The separator in a response, if it differs. White space separates too.
    pub answer_scope_separator: Option<ScopeSeparator>,
    /// The member of the token response that names the granted scopes, if it is not `scope`.
    #[serde(default = "OAuth::standard_scope_member", skip_serializing_if = "OAuth::is_standard_scope_member")]
    pub scope_member: String,
    /// The callback parameter that names the granted scopes; it counts before the token response.
    pub callback_scope: Option<String>,
    /// A prefix that a scope may have or not: both forms are the same scope.
    pub scope_prefix: Option<String>,
    /// Scopes for requests in which the caller names none.
    #[serde(default)]
    pub default_scopes: Vec<String>,
    /// Scopes that are added to every request.
    #[serde(default)]
    pub always_scopes: Vec<String>,
    /// Ignores the caller's scopes: the request has only `always_scopes`.
    #[serde(default)]
    pub fixed_scopes: bool,
    /// PKCE with S256 (RFC 7636); off only for a server that rejects it.
    #[serde(default = "yes")]
    pub pkce: bool,
    /// Client authentication at the token endpoint.
    #[serde(default)]
    pub token_auth: TokenAuth,
    /// The algorithm of a `private_key_jwt`. Without it, the first one that the key supports.
    pub token_auth_alg: Option<Algorithm>,
    /// The audience of a client assertion: the issuer (draft-ietf-oauth-rfc7523bis), or the token
    /// endpoint for servers that know only that.
    #[serde(default)]
    pub token_auth_audience: AssertionAudience,
    /// The format of the token request.
    #[serde(default)]
    pub token_body: Body,
    /// Further parameters of the authorization request; none can replace `state`, `redirect_uri`,
    /// `client_id`, `response_type` or the PKCE ones.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub authorize_params: BTreeMap<String, String>,
    /// Further parameters of the token request.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub token_params: BTreeMap<String, String>,
    /// Further parameters of a refresh, in place of [`OAuth::token_params`] of the same name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub refresh_params: BTreeMap<String, String>,
    /// Other names for parameters of RFC 6749, in every request: `client_id` → `client_key`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub rename: BTreeMap<String, String>,
    /// Further headers of the token request.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub token_headers: BTreeMap<String, String>,
    /// The place of the tokens in the token response, if it is not the top.
    pub token_path: Option<JsonPointer>,
    /// Further tokens in the same response, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub further_tokens: BTreeMap<String, FurtherToken>,
    /// The token type (RFC 6749 §7.1), in place of the one in the response: `bearer`.
    pub token_type: Option<String>,
    /// The lifetime of an access token, if the response does not say.
    pub expires_in: Option<Lifetime>,
    /// The unit of `expires_in` in the response.
    #[serde(default)]
    pub expires_in_unit: ExpiryUnit,
    /// The member of the token response with the expiry of the access token.
    #[serde(default = "OAuth::standard_expiry_member", skip_serializing_if = "OAuth::is_standard_expiry_member")]
    pub expires_in_member: String,
    /// The parameter of the callback that has the code, if it is not `code`. It is sent on as
    /// `code`.
    pub code_param: Option<String>,
    /// Parameters of the callback that are kept with the credential; the application sends them as
    /// `callback_params`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub callback_metadata: Vec<String>,
    /// Members of the token response that are kept with the credential: by name beside the tokens
    /// or at the top, or by JSON pointer from the top.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub token_metadata: Vec<String>,
    /// The place of the access token in a request, if it is not a bearer token.
    pub access_token: Option<AccessToken>,
    /// The second exchange, for a long-lived access token.
    pub long_lived: Option<LongLived>,
    /// The introspection request for the expiry of an access token, if the response does not say.
    pub introspect: Option<Introspect>,
    /// The request for the account's identity.
    pub identity: Option<Identity>,
    /// The revocation request; absent if the provider has none.
    pub revoke: Option<Revoke>,
    /// The grant types of the server.
    #[serde(default = "OAuth::code_alone", skip_serializing_if = "OAuth::is_code_alone")]
    pub grants: Vec<GrantType>,
    /// The assertion of a service account (RFC 7523).
    pub jwt_bearer: Option<JwtBearer>,
    /// Refresh tokens and refresh requests.
    pub refresh: Option<Refresh>,
}

impl OAuth {
    /// Returns the scopes of a request: `requested`, or the defaults if that is empty, and the
    /// scopes that are always sent. Each scope is there once.
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

    /// Returns the scopes of further tokens by their names: those that the caller asks for, else
    /// the defaults. Unknown names are ignored, as unknown fields are.
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

    /// Returns true if discovery (RFC 8414) completes the entry.
    pub fn discovers(&self) -> bool {
        let lacks =
            self.authorize_url.is_absent() || self.token_url.is_absent() || (self.par && self.par_url.is_none());
        self.issuer.is_some() && (self.discover || lacks)
    }

    /// Returns true if a login with these scopes is an OpenID Connect login, whose response has an
    /// ID token.
    pub fn is_openid(&self, scopes: &[String]) -> bool {
        scopes.iter().any(|scope| scope == "openid")
    }

    /// Returns true if the ID token identifies the account: the entry says so, or it has an issuer
    /// and no `identity`.
    pub fn identifies_by_id_token(&self) -> bool {
        self.issuer.is_some() && self.identity.as_ref().is_none_or(|identity| identity.from_id_token)
    }

    /// Returns true if two scopes are equal, apart from [`OAuth::scope_prefix`].
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

/// Parameters that the flow's security depends on. An entry cannot set them, even if a request does
/// not have them.
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

/// Returns true if an entry cannot set the parameter.
pub fn is_protected_param(name: &str) -> bool {
    PROTECTED_PARAMS.contains(&name)
}
