//! Pushed authorization requests (RFC 9126): we send the request to the server directly and
//! authenticated, and the user's browser carries only a reference to it.

use std::time::Duration;

use http::StatusCode;
use serde_json::Value;

use super::request::AuthorizationRequest;
use crate::catalog::entry::OAuth;
use crate::egress::{Egress, EgressResponse};
use crate::json;
use crate::oauth::client_auth::client::Client;
use crate::oauth::client_auth::request::ClientRequest;
use crate::oauth::message::error::{BuildError, InvalidResponse, OAuthError, error_members, refusal};
use crate::oauth::message::retry_after::RetryAfter;
use crate::oauth::message::sanitize::Sanitizer;

/// Maximum length of a reference, in bytes.
const MAX_REQUEST_URI: usize = 4096;

/// Maximum lifetime of a reference, in seconds; no login page is open for longer.
const MAX_LIFETIME: u64 = 86_400;

/// A pushed request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pushed {
    /// The reference that the user's browser carries.
    pub request_uri: String,
    /// Lifetime of the reference.
    pub expires_in: Duration,
}

/// Sends the request to the server (RFC 9126 §2.1).
///
/// # Errors
/// See [`OAuthError`]; no login has begun then.
pub async fn push(
    egress: &Egress,
    entry: &OAuth,
    client: &Client,
    request: &AuthorizationRequest<'_>,
) -> Result<Pushed, OAuthError> {
    let url = entry.par_url.as_ref().ok_or(BuildError::Url)?;
    let mut outgoing = ClientRequest::post(url, entry, request.parameters())?;
    outgoing.masked.push(request.state.secret());
    outgoing.send(egress, entry, client, read).await
}

fn read(response: &EgressResponse, sanitizer: &Sanitizer) -> Result<Pushed, OAuthError> {
    let members = json::parse_object(&response.body).unwrap_or_default();
    let status = response.status;
    let explains = status.is_success() || status.is_client_error();
    let refused = error_members(&response.body).and_then(|members| refusal(&members, sanitizer));
    if let Some(refused) = refused.filter(|_| explains) {
        return Err(OAuthError::Refused(refused));
    }
    if !matches!(status, StatusCode::CREATED | StatusCode::OK) {
        let retry_after = RetryAfter::read(&response.headers);
        return Err(OAuthError::Status { status: status.as_u16(), retry_after, page: members.is_empty() });
    }
    let is_usable =
        |text: &&str| (1..=MAX_REQUEST_URI).contains(&text.len()) && text.bytes().all(|c| c.is_ascii_graphic());
    let request_uri = members.get("request_uri").and_then(Value::as_str).filter(is_usable);
    let seconds = members.get("expires_in").and_then(Value::as_u64).filter(|seconds| *seconds > 0);
    Ok(Pushed {
        request_uri: request_uri.ok_or(InvalidResponse::Malformed("request_uri"))?.to_owned(),
        expires_in: Duration::from_secs(seconds.ok_or(InvalidResponse::Malformed("expires_in"))?.min(MAX_LIFETIME)),
    })
}
