//! Refreshing an access token (RFC 6749 §6).

use super::grant::Grant;
use super::{endpoint, introspect};
use crate::catalog::entry::{OAuth, RefreshWith};
use crate::egress::Egress;
use crate::oauth::client_auth::client::Client;
use crate::oauth::client_auth::request::ClientRequest;
use crate::oauth::message::error::OAuthError;
use crate::oauth::message::parameters::Parameters;
use crate::secret::Secret;

/// The tokens of a credential that is refreshed.
#[derive(Clone, Copy, Debug)]
pub struct RefreshRequest<'a> {
    /// The refresh token.
    pub refresh_token: &'a Secret,
    /// The current access token. It is not sent, but masked in the provider's texts, because it may
    /// still be valid.
    pub access_token: &'a Secret,
    /// The granted scopes.
    pub granted: &'a [String],
    /// Redirect URI of the login; a login on another device has none.
    pub redirect_uri: Option<&'a str>,
}

/// Refreshes a grant. The request is sent once and asks for no scopes, so that the grant keeps
/// those it has (RFC 6749 §6).
///
/// The result is complete: without a refresh token in the response the old one stays, and without
/// scopes the granted ones.
///
/// # Errors
/// See [`OAuthError`]; [`OAuthError::ends_grant`] and [`OAuthError::in_doubt`] tell the state of
/// the refresh token.
pub async fn refresh(
    egress: &Egress,
    entry: &OAuth,
    client: &Client,
    old: &RefreshRequest<'_>,
) -> Result<Grant, OAuthError> {
    let how = entry.refresh.clone().unwrap_or_default();
    let mut parameters = Parameters::default();
    parameters.set("grant_type", how.grant_type.as_deref().unwrap_or("refresh_token"));
    let param = match how.with {
        RefreshWith::RefreshToken => "refresh_token",
        RefreshWith::AccessToken => "access_token",
    };
    parameters.set(param, old.refresh_token.expose());
    if let Some(redirect_uri) = old.redirect_uri.filter(|_| how.redirect_uri) {
        parameters.set("redirect_uri", redirect_uri);
    }
    let url = entry.refresh_url.as_ref().unwrap_or(&entry.token_url);
    let further = vec![&entry.refresh_params, &entry.token_params];
    let request = ClientRequest {
        method: how.method,
        auth: Some(how.auth.unwrap_or(entry.token_auth)),
        ..endpoint::request(entry, url, parameters, further, vec![old.refresh_token, old.access_token])?
    };
    let mut grant = endpoint::send(egress, entry, client, &request, old.granted).await?;
    introspect::find_expiry(egress, entry, client, &mut grant).await;
    keep_refreshable(entry, &mut grant);
    grant.refresh_token.get_or_insert_with(|| old.refresh_token.clone());
    if grant.scopes.is_empty() {
        // A scope list cannot be empty (RFC 6749 §3.3), so an empty one says nothing.
        grant.scopes = old.granted.to_vec();
        grant.missing_scopes.clear();
    }
    Ok(grant)
}

/// Stores the access token as the refresh token, if the provider refreshes access tokens
/// themselves.
pub(super) fn keep_refreshable(entry: &OAuth, grant: &mut Grant) {
    if entry.refresh.as_ref().is_some_and(|how| how.with == RefreshWith::AccessToken) {
        grant.refresh_token = Some(grant.access_token.clone());
    }
}
