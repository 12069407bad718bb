//! The device flow (RFC 8628): the user logs in on another device, with a short code; we ask until it has happened.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Map, Value};

use super::endpoint::{self, TokenError, TokenRequest};
use super::grant::Grant;
use super::response::{self, Unintelligible};
use crate::catalog::entry::OAuth;
use crate::catalog::value::Endpoint;
use crate::egress::Egress;
use crate::oauth::authorization::request::ask_for;
use crate::oauth::client_auth::client::Client;
use crate::oauth::message::parameters::Parameters;
use crate::oauth::message::sanitize::visible;
use crate::secret::Secret;

/// How long to wait between two polls where the server does not say (RFC 8628 §3.2).
const INTERVAL: Duration = Duration::from_secs(5);
/// The longest pause that is believed.
const LONGEST_INTERVAL: Duration = Duration::from_secs(600);
/// How much longer every pause becomes at `slow_down` (RFC 8628 §3.5).
const SLOW_DOWN: Duration = Duration::from_secs(5);
/// The longest user code; people type it.
const LONGEST_USER_CODE: usize = 64;

/// What the server answers at the start (RFC 8628 §3.2).
#[derive(Clone, Debug)]
pub struct DeviceAuthorization {
    /// What polls; it never leaves Strongroom.
    pub device_code: Secret,
    /// What the user types.
    pub user_code: String,
    /// Where.
    pub verification_uri: String,
    /// The same with the code in it, where the server has that.
    pub verification_uri_complete: Option<String>,
    /// How long both codes live.
    pub expires_in: Duration,
    /// How long to wait between two polls.
    pub interval: Duration,
}

/// What a poll came to, other than tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Undecided {
    /// The user has not decided yet.
    Pending,
    /// The same, and from now on with longer pauses.
    SlowDown,
    /// The server could not say; the pauses become longer, for now.
    Unanswered(TokenError),
    /// The user said no.
    Denied(TokenError),
    /// The codes are over.
    Expired,
    /// There will be no tokens.
    Failed(TokenError),
}

/// Asks for the two codes (RFC 8628 §3.1), for these scopes and those of further tokens.
///
/// # Errors
/// See [`TokenError`]; `Unbuildable` where the entry has no such endpoint.
pub async fn authorize_device(
    egress: &Egress,
    entry: &OAuth,
    client: &Client,
    scopes: &[String],
    further_scopes: &BTreeMap<String, Vec<String>>,
) -> Result<DeviceAuthorization, TokenError> {
    let mut parameters = Parameters::default();
    ask_for(&mut parameters, entry, scopes, further_scopes);
    let url = entry.device_authorization_url.as_ref().unwrap_or(&entry.token_url);
    let request = TokenRequest { url, parameters, further: &[], hidden: Vec::new(), requested: scopes };
    endpoint::ask(egress, entry, client, &request, |answer, cleaner| {
        Ok(DeviceAuthorization::read(&response::members_of(answer, cleaner)?)?)
    })
    .await
}

/// Asks once whether there are tokens (RFC 8628 §3.4). What the answer does not say of them, [`super::exchange::round_off`] finds out.
pub async fn poll_device(
    egress: &Egress,
    entry: &OAuth,
    client: &Client,
    device_code: &Secret,
    requested: &[String],
) -> Result<Grant, Undecided> {
    let mut parameters = Parameters::default();
    parameters.set("grant_type", "urn:ietf:params:oauth:grant-type:device_code");
    parameters.set("device_code", device_code.expose());
    let request = TokenRequest {
        url: &entry.token_url,
        parameters,
        further: &[&entry.token_params],
        hidden: vec![device_code],
        requested,
    };
    endpoint::send(egress, entry, client, request).await.map_err(Undecided::from)
}

/// The pause after a `slow_down`: longer for good.
pub fn slower(interval: Duration) -> Duration {
    (interval + SLOW_DOWN).min(LONGEST_INTERVAL)
}

impl From<TokenError> for Undecided {
    fn from(error: TokenError) -> Self {
        let code = if let TokenError::Refused { error, .. } = &error { error.as_str() } else { "" };
        match (code, &error) {
            ("authorization_pending", _) => Self::Pending,
            ("slow_down", _) => Self::SlowDown,
            // Google says `access_denied`, GitHub too; Microsoft has a word of its own.
            ("access_denied" | "authorization_declined", _) => Self::Denied(error),
            ("expired_token", _) => Self::Expired,
            (_, TokenError::Unreachable(_) | TokenError::Status { .. }) => Self::Unanswered(error),
            _ => Self::Failed(error),
        }
    }
}

impl DeviceAuthorization {
    fn read(members: &Map<String, Value>) -> Result<Self, Unintelligible> {
        let device_code = response::token(members, "device_code")?.ok_or(Unintelligible::Malformed("device_code"))?;
        let user_code = members.get("user_code").and_then(Value::as_str).filter(|code| {
            (1..=LONGEST_USER_CODE).contains(&code.len()) && visible(code).count() == code.chars().count()
        });
        // Google, whose device flow is older than the RFC, says `verification_url`.
        let uri = ["verification_uri", "verification_url"].into_iter().find_map(|name| address(members, name));
        let expires_in = response::seconds(members.get("expires_in")).ok_or(Unintelligible::Malformed("expires_in"))?;
        Ok(Self {
            device_code,
            user_code: user_code.ok_or(Unintelligible::Malformed("user_code"))?.to_owned(),
            verification_uri: uri.ok_or(Unintelligible::Malformed("verification_uri"))?,
            verification_uri_complete: ["verification_uri_complete", "verification_url_complete"]
                .into_iter()
                .find_map(|name| address(members, name)),
            expires_in,
            interval: response::seconds(members.get("interval")).unwrap_or(INTERVAL).min(LONGEST_INTERVAL),
        })
    }
}

/// An address to show to a person: https, and nobody's name or password in it.
fn address(members: &Map<String, Value>, name: &str) -> Option<String> {
    Endpoint::parse(members.get(name)?.as_str()?).ok().map(|endpoint| endpoint.url().to_string())
}
