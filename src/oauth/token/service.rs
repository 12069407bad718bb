//! Grants without a user: client credentials (RFC 6749 §4.4) and service accounts that sign an
//! assertion (RFC 7523 §2.1). Their tokens are not refreshed; the request is repeated instead.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::json;

use super::endpoint;
use super::grant::Grant;
use crate::catalog::entry::{AssertionScope, JwtBearer, OAuth};
use crate::clock::Clock;
use crate::egress::Egress;
use crate::jose::SigningKey;
use crate::oauth::client_auth::assertion::{self, Parties};
use crate::oauth::client_auth::client::Client;
use crate::oauth::message::error::{BuildError, OAuthError};
use crate::oauth::message::parameters::Parameters;
use crate::random::Random;
use crate::secret::Secret;

/// Lifetime of an assertion: enough for its one request and two clocks that differ a little.
const ASSERTION_LIFETIME: Duration = Duration::from_secs(180);

/// The signer of a service account's assertions.
pub struct AssertionIssuer<'a> {
    /// `iss`.
    pub issuer: &'a str,
    /// `sub`, if it differs from the issuer.
    pub subject: Option<&'a str>,
    /// The private key; its id goes into the header.
    pub key: &'a SigningKey,
    /// Source of `iat` and `exp`.
    pub clock: &'a Clock,
    /// Source of `jti`.
    pub random: Random,
}

/// Requests a token for the client itself (RFC 6749 §4.4.2).
pub async fn client_credentials(
    egress: &Egress,
    entry: &OAuth,
    client: &Client,
    scopes: &[String],
) -> Result<Grant, OAuthError> {
    let mut parameters = Parameters::default();
    parameters.set("grant_type", "client_credentials");
    parameters.set_scopes(entry, scopes, &BTreeMap::new());
    let request = endpoint::request(entry, &entry.token_url, parameters, vec![&entry.token_params], Vec::new())?;
    endpoint::send(egress, entry, client, &request, scopes).await
}

/// Requests a token with an assertion (RFC 7523 §2.1). The assertion is the only authentication, so
/// the client is [`Client::anonymous`]; it may have a key that the token is bound to.
pub async fn jwt_bearer(
    egress: &Egress,
    entry: &OAuth,
    client: &Client,
    account: &AssertionIssuer<'_>,
    scopes: &[String],
) -> Result<Grant, OAuthError> {
    let how = entry.jwt_bearer.clone().unwrap_or_default();
    let assertion = sign_assertion(entry, &how, account, scopes)?;
    let mut parameters = Parameters::default();
    parameters.set("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer");
    parameters.set("assertion", assertion.expose());
    if how.scope == AssertionScope::Parameter {
        parameters.set_scopes(entry, scopes, &BTreeMap::new());
    }
    let further = vec![&entry.token_params];
    let request = endpoint::request(entry, &entry.token_url, parameters, further, vec![&assertion])?;
    endpoint::send(egress, entry, client, &request, scopes).await
}

/// Signs an assertion (RFC 7523 §3) for this authorization server alone.
fn sign_assertion(
    entry: &OAuth,
    how: &JwtBearer,
    account: &AssertionIssuer<'_>,
    scopes: &[String],
) -> Result<Secret, BuildError> {
    let audience = match &how.audience {
        Some(audience) => audience.as_str(),
        None => entry.token_url.url().ok_or(BuildError::Url)?.as_str(),
    };
    let subject = account.subject.or(how.subject_required.then_some(account.issuer));
    let parties = Parties { issuer: account.issuer, subject, audience };
    let mut claims = assertion::claims(&parties, ASSERTION_LIFETIME, account.clock, account.random);
    if how.scope == AssertionScope::Claim && !scopes.is_empty() {
        claims.insert("scope".to_owned(), json!(scopes.join(" ")));
    }
    assertion::sign(&claims, account.key, how.algorithm)
}
