//! The device authorization grant (RFC 8628): the user logs in on another device with a short code,
//! and we poll until they have decided.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Map, Value};

use super::grant::Grant;
use super::{endpoint, lifetime, response};
use crate::catalog::entry::OAuth;
use crate::catalog::value::Endpoint;
use crate::egress::Egress;
use crate::oauth::client_auth::client::Client;
use crate::oauth::message::error::{InvalidResponse, OAuthError};
use crate::oauth::message::parameters::Parameters;
use crate::secret::Secret;
use crate::visible::visible;

/// Default pause between two polls (RFC 8628 §3.2).
const DEFAULT_INTERVAL: Duration = Duration::from_secs(5);
/// Maximum pause between two polls.
const MAX_INTERVAL: Duration = Duration::from_secs(600);
/// Increase of the pause at `slow_down` (RFC 8628 §3.5).
const SLOW_DOWN: Duration = Duration::from_secs(5);
/// Maximum length of a user code, in bytes; people type it.
const MAX_USER_CODE: usize = 64;

/// The device authorization response (RFC 8628 §3.2).
#[derive(Clone, Debug)]
pub struct DeviceAuthorization {
    /// The code for polling. It never leaves Strongroom.
    pub device_code: Secret,
    /// The code that the user types.
    pub user_code: String,
    /// The page on which the user types it.
    pub verification_uri: String,
    /// The same page with the code filled in, if the server offers it.
    pub verification_uri_complete: Option<String>,
    /// Lifetime of both codes.
    pub expires_in: Duration,
    /// Pause between two polls.
    pub interval: Duration,
}

/// Outcome of a poll without tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PollError {
    /// The user has not decided yet.
    Pending,
    /// The user has not decided yet, and all further pauses have to be longer.
    SlowDown,
    /// The server gave no answer this time. The next pause has to be longer.
    Unanswered(OAuthError),
    /// The user refused.
    Denied(OAuthError),
    /// The codes have expired.
    Expired,
    /// There will be no tokens.
    Failed(OAuthError),
}

/// Requests the two codes (RFC 8628 §3.1) for these scopes and those of further tokens.
///
/// # Errors
/// See [`OAuthError`]; [`OAuthError::Build`] if the entry has no URL for it.
pub async fn authorize_device(
    egress: &Egress,
    entry: &OAuth,
    client: &Client,
    scopes: &[String],
    further_scopes: &BTreeMap<String, Vec<String>>,
) -> Result<DeviceAuthorization, OAuthError> {
    let mut parameters = Parameters::default();
    parameters.set_scopes(entry, scopes, further_scopes);
    let url = entry.device_authorization_url.as_ref().unwrap_or(&entry.token_url);
    let request = endpoint::request(entry, url, parameters, Vec::new(), Vec::new())?;
    let read =
        |response: &_, sanitizer: &_| Ok(DeviceAuthorization::read(&response::read_members(response, sanitizer)?)?);
    request.send(egress, entry, client, read).await
}

/// Polls once for tokens (RFC 8628 §3.4). [`super::exchange::complete_grant`] completes the grant.
///
/// # Errors
/// See [`PollError`].
pub async fn poll_device(
    egress: &Egress,
    entry: &OAuth,
    client: &Client,
    device_code: &Secret,
    requested: &[String],
) -> Result<Grant, PollError> {
    let mut parameters = Parameters::default();
    parameters.set("grant_type", "urn:ietf:params:oauth:grant-type:device_code");
    parameters.set("device_code", device_code.expose());
    let further = vec![&entry.token_params];
    let request = endpoint::request(entry, &entry.token_url, parameters, further, vec![device_code])
        .map_err(|error| PollError::Failed(error.into()))?;
    Ok(endpoint::send(egress, entry, client, &request, requested).await?)
}

/// Returns the pause between polls after a `slow_down` (RFC 8628 §3.5).
pub fn slower(interval: Duration) -> Duration {
    (interval + SLOW_DOWN).min(MAX_INTERVAL)
}

impl From<OAuthError> for PollError {
    fn from(error: OAuthError) -> Self {
        match error.code().map(str::to_ascii_lowercase).as_deref() {
            Some("authorization_pending") => Self::Pending,
            Some("slow_down") => Self::SlowDown,
            // `authorization_declined` is Microsoft's word.
            Some("access_denied" | "authorization_declined") => Self::Denied(error),
            Some("expired_token") => Self::Expired,
            _ if matches!(error, OAuthError::Unreachable(_) | OAuthError::Status { .. }) => Self::Unanswered(error),
            _ => Self::Failed(error),
        }
    }
}

impl DeviceAuthorization {
    fn read(members: &Map<String, Value>) -> Result<Self, InvalidResponse> {
        let device_code = response::token(members, "device_code")?;
        let user_code = members
            .get("user_code")
            .and_then(Value::as_str)
            .filter(|code| (1..=MAX_USER_CODE).contains(&code.len()) && visible(code).count() == code.chars().count());
        // `verification_url` is Google's word; its device flow is older than the RFC.
        let uri = |names: [&str; 2]| names.into_iter().find_map(|name| https_url(members, name));
        let missing = InvalidResponse::Malformed;
        Ok(Self {
            device_code: device_code.ok_or(missing("device_code"))?,
            user_code: user_code.ok_or(missing("user_code"))?.to_owned(),
            verification_uri: uri(["verification_uri", "verification_url"]).ok_or(missing("verification_uri"))?,
            verification_uri_complete: uri(["verification_uri_complete", "verification_url_complete"]),
            expires_in: lifetime::seconds(members.get("expires_in")).ok_or(missing("expires_in"))?,
            interval: lifetime::seconds(members.get("interval")).unwrap_or(DEFAULT_INTERVAL).min(MAX_INTERVAL),
        })
    }
}

/// Reads a URL that is shown to the user: https, without user info.
fn https_url(members: &Map<String, Value>, name: &str) -> Option<String> {
    Endpoint::parse(members.get(name)?.as_str()?).ok().map(|endpoint| endpoint.url().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oauth::message::error::ErrorResponse;
    use crate::oauth::message::sanitize::Sanitizer;

    /// A device code that occurs in the error code does not end the login.
    #[test]
    fn polls_compare_the_code_as_it_was_sent() {
        let mut sanitizer = Sanitizer::default();
        for secret in ["pending", "slow_down", "denied"] {
            sanitizer.mask(secret);
        }
        let poll = |code: &str| PollError::from(OAuthError::Refused(ErrorResponse::new(code, None, &sanitizer)));
        assert_eq!(poll("authorization_pending"), PollError::Pending);
        assert_eq!(poll("Authorization_Pending"), PollError::Pending);
        assert_eq!(poll("slow_down"), PollError::SlowDown);
        assert_eq!(poll("expired_token"), PollError::Expired);
        assert!(matches!(poll("access_denied"), PollError::Denied(error) if error.to_string() == "access_[masked]"));
    }
}
