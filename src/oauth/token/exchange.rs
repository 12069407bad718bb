//! The authorization code grant (RFC 6749 §4.1.3).

use std::collections::BTreeMap;

use serde_json::Value;

use super::grant::Grant;
use super::refresh::keep_refreshable;
use super::{endpoint, introspect};
use crate::catalog::entry::{LongLived, OAuth};
use crate::egress::Egress;
use crate::oauth::authorization::pkce::CodeVerifier;
use crate::oauth::client_auth::client::Client;
use crate::oauth::client_auth::request::ClientRequest;
use crate::oauth::message::error::OAuthError;
use crate::oauth::message::parameters::Parameters;
use crate::oauth::message::scope;
use crate::secret::Secret;

/// An authorization code (RFC 6749 §1.3.1). With its verifier it is worth a grant, so it is a
/// secret.
#[derive(Clone, Debug)]
pub struct AuthorizationCode(Secret);

impl AuthorizationCode {
    /// Wraps the code of a callback. Its form is the provider's own.
    pub fn new(code: impl Into<String>) -> Self {
        Self(Secret::new(code))
    }
}

/// A code and the values of the authorization request that it answers.
#[derive(Clone, Copy, Debug)]
pub struct CodeExchange<'a> {
    /// The code of the callback.
    pub code: &'a AuthorizationCode,
    /// Redirect URI of the authorization request, unchanged (RFC 6749 §4.1.3).
    pub redirect_uri: &'a str,
    /// Verifier of the challenge in the authorization request.
    pub verifier: Option<&'a CodeVerifier>,
    /// Scopes of the authorization request.
    pub requested: &'a [String],
    /// Granted scopes as the callback names them, if the entry reads them there.
    pub told: Option<&'a str>,
    /// Scopes that were requested for further tokens, by the tokens' names.
    pub requested_further: &'a BTreeMap<String, Vec<String>>,
}

/// Exchanges the code for a grant. The request is sent once and never again: a second use of a code
/// may revoke the tokens of the first (RFC 6749 §4.1.2).
///
/// If the entry has a second exchange for a long-lived token, it follows, and its token becomes the
/// grant's.
///
/// # Errors
/// See [`OAuthError`]. The code is spent in any case.
pub async fn exchange(
    egress: &Egress,
    entry: &OAuth,
    client: &Client,
    exchange: &CodeExchange<'_>,
) -> Result<Grant, OAuthError> {
    let mut parameters = Parameters::default();
    parameters.set("grant_type", "authorization_code");
    parameters.set("code", exchange.code.0.expose());
    parameters.set("redirect_uri", exchange.redirect_uri);
    if let Some(verifier) = exchange.verifier {
        parameters.set("code_verifier", verifier.secret().expose());
    }
    let masked = [Some(&exchange.code.0), exchange.verifier.map(CodeVerifier::secret)];
    let masked = masked.into_iter().flatten().collect();
    let request = endpoint::request(entry, &entry.token_url, parameters, vec![&entry.token_params], masked)?;
    let mut grant = endpoint::send(egress, entry, client, &request, exchange.requested).await?;
    let told = exchange.told.map(Value::from);
    if let Ok(Some(scopes)) = scope::granted(told.as_ref(), entry, exchange.requested) {
        let (refresh, id) = (grant.refresh_token.is_some(), grant.id_token.is_some());
        grant.missing_scopes = scope::missing(exchange.requested, &scopes, entry, refresh, id);
        grant.scopes = scopes;
    }
    if let Some(how) = &entry.long_lived {
        grant = exchange_for_long_lived(egress, entry, client, grant, how).await?;
    }
    complete_grant(egress, entry, client, &mut grant, exchange.requested_further).await;
    Ok(grant)
}

/// Completes the grants of a login with facts that the response left out: lifetimes (by
/// introspection), scopes of further tokens, and the token that a refresh uses.
pub async fn complete_grant(
    egress: &Egress,
    entry: &OAuth,
    client: &Client,
    grant: &mut Grant,
    requested_further: &BTreeMap<String, Vec<String>>,
) {
    introspect::find_expiry(egress, entry, client, grant).await;
    keep_refreshable(entry, grant);
    for (name, further) in &mut grant.further {
        let requested = requested_further.get(name).map(Vec::as_slice).unwrap_or_default();
        if further.scopes.is_empty() {
            further.scopes = requested.to_vec();
        }
        let refreshable = further.refresh_token.is_some();
        further.missing_scopes = scope::missing(requested, &further.scopes, entry, refreshable, false);
        introspect::find_expiry(egress, entry, client, further).await;
        keep_refreshable(entry, further);
    }
}

/// Exchanges a short-lived token for a long-lived one. Account and scopes come from the first
/// response; the short-lived token is dropped.
async fn exchange_for_long_lived(
    egress: &Egress,
    entry: &OAuth,
    client: &Client,
    short: Grant,
    how: &LongLived,
) -> Result<Grant, OAuthError> {
    let mut parameters = Parameters::default();
    parameters.set("grant_type", &how.grant_type);
    parameters.set(&how.token_param, short.access_token.expose());
    // `token_path` describes the first response only.
    let plain = OAuth { token_path: None, ..entry.clone() };
    let request = ClientRequest {
        method: how.method,
        auth: Some(how.auth.unwrap_or(entry.token_auth)),
        ..endpoint::request(entry, &how.url, parameters, Vec::new(), vec![&short.access_token])?
    };
    let long = endpoint::send(egress, &plain, client, &request, &short.scopes).await?;
    let mut metadata = short.metadata;
    metadata.extend(long.metadata);
    Ok(Grant {
        metadata,
        identity: short.identity,
        scopes: short.scopes,
        missing_scopes: short.missing_scopes,
        refresh_token: long.refresh_token.or(short.refresh_token),
        ..long
    })
}
