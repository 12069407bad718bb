//! Grants without a user: a client that asks for itself (RFC 6749 §4.4), and a service account that signs an assertion
//! (RFC 7523 §2.1). There is nothing to refresh: whoever wants another token asks again.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};

use super::endpoint::{self, TokenError, TokenRequest};
use super::grant::Grant;
use crate::catalog::entry::{AssertionScope, JwtBearer, OAuth};
use crate::clock::Clock;
use crate::egress::Egress;
use crate::jose::{self, Header, SigningKey};
use crate::oauth::client_auth::client::Client;
use crate::oauth::message::parameters::Parameters;
use crate::oauth::message::request::Unbuildable;
use crate::random::Random;
use crate::secret::Secret;

/// How long an assertion is good: for its one request, and two clocks that are a little apart.
const LIFETIME: Duration = Duration::from_secs(180);

/// Who signs an assertion.
pub struct AssertionIssuer<'a> {
    /// `iss`.
    pub issuer: &'a str,
    /// `sub`, where it is another than the issuer.
    pub subject: Option<&'a str>,
    /// The private key, whose id goes into the header.
    pub key: &'a SigningKey,
    /// Whose time.
    pub clock: &'a Clock,
    /// What makes it unique.
    pub random: Random,
}

/// Asks for a token for the client itself (RFC 6749 §4.4.2).
pub async fn client_credentials(
    egress: &Egress,
    entry: &OAuth,
    client: &Client,
    scopes: &[String],
) -> Result<Grant, TokenError> {
    let mut parameters = Parameters::default();
    parameters.set("grant_type", "client_credentials");
    add_scopes(&mut parameters, entry, scopes);
    let request = TokenRequest {
        url: &entry.token_url,
        parameters,
        further: &[&entry.token_params],
        hidden: Vec::new(),
        requested: scopes,
    };
    endpoint::send(egress, entry, client, request).await
}

/// Asks for a token with an assertion (RFC 7523 §2.1); the assertion is all the authentication there is, so the client is
/// [`Client::nobody`], who may have a key that the token is to be bound to.
pub async fn jwt_bearer(
    egress: &Egress,
    entry: &OAuth,
    client: &Client,
    account: &AssertionIssuer<'_>,
    scopes: &[String],
) -> Result<Grant, TokenError> {
    let how = entry.jwt_bearer.clone().unwrap_or_default();
    let assertion = assertion(entry, &how, account, scopes)?;
    let mut parameters = Parameters::default();
    parameters.set("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer");
    parameters.set("assertion", assertion.expose());
    if how.scope == AssertionScope::Parameter {
        add_scopes(&mut parameters, entry, scopes);
    }
    let request = TokenRequest {
        url: &entry.token_url,
        parameters,
        further: &[&entry.token_params],
        hidden: vec![&assertion],
        requested: scopes,
    };
    endpoint::send(egress, entry, client, request).await
}

fn add_scopes(parameters: &mut Parameters, entry: &OAuth, scopes: &[String]) {
    if !scopes.is_empty() {
        parameters.set("scope", &scopes.join(entry.scope_separator.as_str()));
    }
}

/// A fresh assertion (RFC 7523 §3): for this server alone, for three minutes.
fn assertion(
    entry: &OAuth,
    how: &JwtBearer,
    account: &AssertionIssuer<'_>,
    scopes: &[String],
) -> Result<Secret, Unbuildable> {
    let audience = match &how.audience {
        Some(audience) => audience.clone(),
        None => entry.token_url.url().ok_or(Unbuildable::Url)?.to_string(),
    };
    let now = account.clock.now();
    let mut claims: Map<String, Value> = [
        ("iss", json!(account.issuer)),
        ("aud", json!(audience)),
        ("jti", json!(URL_SAFE_NO_PAD.encode(account.random.bytes::<16>()))),
        ("iat", json!(now.0)),
        ("exp", json!(now.plus(LIFETIME).0)),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into_iter()
    .collect();
    match account.subject {
        Some(subject) => claims.insert("sub".to_owned(), json!(subject)),
        None if how.subject_required => claims.insert("sub".to_owned(), json!(account.issuer)),
        None => None,
    };
    if how.scope == AssertionScope::Claim && !scopes.is_empty() {
        claims.insert("scope".to_owned(), json!(scopes.join(" ")));
    }
    let header = Header { kind: Some("JWT"), key_id: Some(account.key.id().to_owned()), ..Header::default() };
    let algorithm = account.key.algorithms().iter().copied().find(|one| how.algorithm.is_none_or(|alg| alg == *one));
    jose::sign(&header, &claims, account.key, algorithm.ok_or(Unbuildable::ClientKey)?)
        .map_err(|_| Unbuildable::ClientKey)
}

impl TokenError {
    /// Whether the provider says by itself that what was handed in is no good: the assertion's key, the user's own client.
    pub fn ends_service(&self) -> bool {
        matches!(self, Self::Refused { error, .. }
            if matches!(error.as_str(), "invalid_grant" | "invalid_client" | "unauthorized_client"))
    }
}
