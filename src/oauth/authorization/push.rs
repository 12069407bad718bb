//! Pushed authorization requests (RFC 9126): the request goes to the server directly, authenticated, and the user's browser
//! carries a reference to it alone.

use std::fmt;
use std::time::Duration;

use http::{HeaderMap, StatusCode};
use serde_json::{Map, Value};

use super::callback::shown;
use super::request::AuthorizationRequest;
use crate::catalog::entry::{Body, OAuth};
use crate::egress::{Answer, Egress, EgressError, Outgoing};
use crate::json;
use crate::oauth::client_auth::client::Client;
use crate::oauth::message::request::{self, INVALID_CLIENT, Unbuildable};
use crate::oauth::message::sanitize::Cleaner;
use crate::oauth::token::response::error_code;

/// The longest reference that is taken, in bytes.
const LONGEST_REFERENCE: usize = 4096;

/// The longest lifetime that is believed: nobody looks at a login page for longer.
const LONGEST_LIFE: u64 = 86_400;

/// What the server has of the request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pushed {
    /// The reference that the user's browser carries.
    pub request_uri: String,
    /// For how long it is good.
    pub expires_in: Duration,
}

/// Why the request was not taken. No variant holds a secret of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PushError {
    /// The server refuses; both texts are cleaned.
    Refused {
        /// The error code.
        error: String,
        /// What the server says about it.
        description: Option<String>,
    },
    /// There is no whole answer.
    Unreachable(EgressError),
    /// A failure that does not explain itself.
    Status(u16),
    /// A success without a reference, or with one that cannot be used (RFC 9126 §2.2).
    Unintelligible,
    /// There was nothing to send.
    Unbuildable(Unbuildable),
}

impl fmt::Display for PushError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused { error, description } => shown(f, error, description.as_deref()),
            Self::Unreachable(error) => write!(f, "{error}"),
            Self::Status(status) => write!(f, "the pushed authorization request was answered with status {status}"),
            Self::Unintelligible => {
                f.write_str("the pushed authorization request was answered without a usable request_uri")
            }
            Self::Unbuildable(why) => write!(f, "{why}"),
        }
    }
}

impl std::error::Error for PushError {}

impl From<EgressError> for PushError {
    fn from(error: EgressError) -> Self {
        Self::Unreachable(error)
    }
}

impl From<Unbuildable> for PushError {
    fn from(why: Unbuildable) -> Self {
        Self::Unbuildable(why)
    }
}

impl PushError {
    /// Whether the server was too slow.
    pub fn timed_out(&self) -> bool {
        matches!(self, Self::Unreachable(error) if error.timed_out()) || *self == Self::Status(504)
    }
}

/// Sends the request to the server (RFC 9126 §2.1). Where the server does not take the client, the next secret is tried.
///
/// # Errors
/// See [`PushError`]: no login was begun.
pub async fn push(
    egress: &Egress,
    entry: &OAuth,
    client: &Client,
    request: &AuthorizationRequest<'_>,
) -> Result<Pushed, PushError> {
    let mut cleaner = Cleaner::default();
    client.hide(&mut cleaner);
    cleaner.hide(request.state.expose());
    let mut refused = Err(Unbuildable::NoClientSecret.into());
    for client in client.tries(entry.token_auth) {
        refused = read(&egress.send(outgoing(entry, &client, request)?).await?, &cleaner);
        match &refused {
            Err(PushError::Refused { error, .. }) if error == INVALID_CLIENT => {}
            Err(_) => return refused,
            Ok(_) => {
                client.worked();
                return refused;
            }
        }
    }
    refused
}

fn outgoing(entry: &OAuth, client: &Client, request: &AuthorizationRequest<'_>) -> Result<Outgoing, Unbuildable> {
    let (mut headers, mut parameters) = (HeaderMap::new(), request.parameters());
    client.authenticate(entry.token_auth, entry, &mut headers, &mut parameters)?;
    parameters.rename(&entry.rename);
    request::accept_json(&mut headers);
    let body = request::body(Body::Form, &parameters, &mut headers);
    let url = entry.par_url.as_ref().and_then(|url| url.url()).ok_or(Unbuildable::Url)?.clone();
    Ok(Outgoing { method: http::Method::POST, url, headers, body })
}

fn read(answer: &Answer, cleaner: &Cleaner) -> Result<Pushed, PushError> {
    let members = match json::parse(&answer.body) {
        Some(Value::Object(members)) => members,
        _ => Map::new(),
    };
    let status = answer.status;
    if let Some(error) = error_code(&members).filter(|_| status.is_success() || status.is_client_error()) {
        let description = members.get("error_description").and_then(Value::as_str);
        let description = description.and_then(|text| cleaner.description(text));
        return Err(PushError::Refused { error: cleaner.error(&error), description });
    }
    if !matches!(status, StatusCode::CREATED | StatusCode::OK) {
        return Err(PushError::Status(status.as_u16()));
    }
    let usable =
        |text: &&str| !text.is_empty() && text.len() <= LONGEST_REFERENCE && text.bytes().all(|c| c.is_ascii_graphic());
    let request_uri = members.get("request_uri").and_then(Value::as_str).filter(usable);
    let seconds = members.get("expires_in").and_then(Value::as_u64).filter(|seconds| *seconds > 0);
    match (request_uri, seconds) {
        (Some(uri), Some(seconds)) => {
            Ok(Pushed { request_uri: uri.to_owned(), expires_in: Duration::from_secs(seconds.min(LONGEST_LIFE)) })
        }
        _ => Err(PushError::Unintelligible),
    }
}
