//! The refresh (RFC 6749 §6): an access token that ends becomes a fresh one.

use super::endpoint::{self, Sending, TokenError, TokenRequest};
use super::grant::Grant;
use super::introspect;
use crate::catalog::entry::{OAuth, RefreshWith};
use crate::egress::Egress;
use crate::oauth::client_auth::client::Client;
use crate::oauth::message::parameters::Parameters;
use crate::secret::Secret;

/// The error code that says that the grant is over (RFC 6749 §5.2): expired, revoked, used up, or another client's.
const INVALID_GRANT: &str = "invalid_grant";

/// What a credential brings to the token endpoint.
#[derive(Clone, Copy, Debug)]
pub struct OldTokens<'a> {
    /// The refresh token.
    pub refresh_token: &'a Secret,
    /// The access token that it came with. It is not sent, and masked where the provider says it back: it may still be good.
    pub access_token: &'a Secret,
    /// What was granted.
    pub granted: &'a [String],
    /// The redirect URI of the login that gave them; a login on another device has none.
    pub redirect_uri: Option<&'a str>,
}

/// Refreshes a grant: one POST, sent once. No scopes are asked for, so that it stays what it was (RFC 6749 §6).
///
/// The grant that comes back is whole: where the answer has no refresh token the old one stays, and where it has no scopes
/// those that were `granted` before.
///
/// # Errors
/// See [`TokenError`]; [`TokenError::ends_grant`] and [`TokenError::in_doubt`] say what it means for the refresh token.
pub async fn refresh(
    egress: &Egress,
    entry: &OAuth,
    client: &Client,
    old: &OldTokens<'_>,
) -> Result<Grant, TokenError> {
    let OldTokens { refresh_token, access_token, granted, redirect_uri } = *old;
    let how = entry.refresh.clone().unwrap_or_default();
    let mut parameters = Parameters::default();
    parameters.set("grant_type", how.grant_type.as_deref().unwrap_or("refresh_token"));
    parameters.set(
        match how.with {
            RefreshWith::RefreshToken => "refresh_token",
            RefreshWith::AccessToken => "access_token",
        },
        refresh_token.expose(),
    );
    if let Some(redirect_uri) = redirect_uri.filter(|_| how.redirect_uri) {
        parameters.set("redirect_uri", redirect_uri);
    }
    let request = TokenRequest {
        url: entry.refresh_url.as_ref().unwrap_or(&entry.token_url),
        parameters,
        further: &[&entry.refresh_params, &entry.token_params],
        hidden: vec![refresh_token, access_token],
        requested: granted,
    };
    let sending = Sending { method: how.method, auth: how.auth.unwrap_or(entry.token_auth) };
    let mut grant = endpoint::send_as(egress, entry, client, request, &sending).await?;
    introspect::learn_end(egress, entry, client, &mut grant).await;
    settle(entry, &mut grant);
    grant.refresh_token.get_or_insert_with(|| refresh_token.clone());
    if grant.scopes.is_empty() {
        // An empty list of scopes is none (RFC 6749 §3.3): nothing was said.
        grant.scopes = granted.to_vec();
        grant.missing_scopes.clear();
    }
    Ok(grant)
}

/// Where the access token is what will be refreshed, it stands in the refresh token's place.
pub(in crate::oauth) fn settle(entry: &OAuth, grant: &mut Grant) {
    if entry.refresh.as_ref().is_some_and(|how| how.with == RefreshWith::AccessToken) {
        grant.refresh_token = Some(grant.access_token.clone());
    }
}

impl TokenError {
    /// Whether the provider says by itself that the grant is over: only the user can mend that. Everything else passes,
    /// or is a fault of the configuration.
    pub fn ends_grant(&self, entry: &OAuth) -> bool {
        let named = |error: &str| {
            entry.refresh.as_ref().is_some_and(|refresh| refresh.refused_errors.iter().any(|named| named == error))
        };
        matches!(self, Self::Refused { error, .. } if error == INVALID_GRANT || named(error))
    }
}
