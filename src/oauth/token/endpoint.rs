//! The token endpoint (RFC 6749 §3.2): one way to send a request for tokens, whatever the grant.

use std::collections::BTreeMap;
use std::fmt;

use http::HeaderMap;

use super::grant::Grant;
use super::response::{self, Unintelligible};
use crate::catalog::entry::{Body, Method, OAuth, TokenAuth};
use crate::catalog::template::Template;
use crate::egress::{Answer, Egress, EgressError, Outgoing};
use crate::oauth::authorization::callback::shown;
use crate::oauth::client_auth::client::Client;
use crate::oauth::client_auth::dpop;
use crate::oauth::message::parameters::Parameters;
use crate::oauth::message::request::{self, INVALID_CLIENT, Unbuildable};
use crate::oauth::message::retry_after::RetryAfter;
use crate::oauth::message::sanitize::Cleaner;
use crate::secret::Secret;

/// What a grant brings to the token endpoint.
pub(in crate::oauth) struct TokenRequest<'a> {
    /// Where it goes to.
    pub(in crate::oauth) url: &'a Template,
    /// The grant's own parameters, `grant_type` among them; the client's authentication is added here.
    pub(in crate::oauth) parameters: Parameters,
    /// What the entry wants besides; of two of one name the first stays.
    pub(in crate::oauth) further: &'a [&'a BTreeMap<String, String>],
    /// What of the request must not come back in a text of the provider's, beside the client's own secret.
    pub(in crate::oauth) hidden: Vec<&'a Secret>,
    /// What was granted, where the answer does not say (RFC 6749 §5.1).
    pub(in crate::oauth) requested: &'a [String],
}

/// Why there is no grant. No variant holds a secret of ours, nor anything of the answer but its cleaned error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenError {
    /// The provider refuses: an `error` with a 4xx, or with a 200. Both texts are cleaned: no control characters,
    /// limited in length, and any secret of ours masked.
    Refused {
        /// The error code, `invalid_grant` say (RFC 6749 §5.2).
        error: String,
        /// What the provider says about it.
        description: Option<String>,
    },
    /// There is no whole answer.
    Unreachable(EgressError),
    /// The answer's status says that it failed, and its body does not say why: a redirect, 429, 5xx, a 4xx page.
    Status {
        /// The status.
        status: u16,
        /// When the server wants to be asked again.
        retry_after: Option<RetryAfter>,
    },
    /// A successful answer that is not a token answer.
    Unintelligible(Unintelligible),
    /// There was nothing to send.
    Unbuildable(Unbuildable),
}

impl TokenError {
    /// Whether the code or the refresh token may be spent although we do not know what for: sent, and never answered whole.
    pub fn in_doubt(&self) -> bool {
        matches!(self, Self::Unreachable(error) if error.in_doubt())
    }

    /// Whether the server does not take the client (`invalid_client`, RFC 6749 §5.2): then it has not looked at the grant.
    pub fn refuses_client(&self) -> bool {
        matches!(self, Self::Refused { error, .. } if error == INVALID_CLIENT)
    }

    /// When the server wants to be asked again, where it said so.
    pub fn retry_after(&self) -> Option<RetryAfter> {
        match self {
            Self::Status { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}

impl fmt::Display for TokenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused { error, description } => shown(f, error, description.as_deref()),
            Self::Unreachable(error) => write!(f, "{error}"),
            Self::Status { status, .. } => write!(f, "the token endpoint answered with status {status}"),
            Self::Unintelligible(why) => write!(f, "the token endpoint's answer cannot be used: {why}"),
            Self::Unbuildable(why) => write!(f, "{why}"),
        }
    }
}

impl std::error::Error for TokenError {}

impl From<EgressError> for TokenError {
    fn from(error: EgressError) -> Self {
        Self::Unreachable(error)
    }
}

impl From<Unintelligible> for TokenError {
    fn from(why: Unintelligible) -> Self {
        Self::Unintelligible(why)
    }
}

impl From<Unbuildable> for TokenError {
    fn from(why: Unbuildable) -> Self {
        Self::Unbuildable(why)
    }
}

/// How a token request is sent, where it is not as the entry says of all of them.
pub(in crate::oauth) struct Sending {
    /// With GET the parameters stand in the query.
    pub(in crate::oauth) method: Method,
    /// How the client authenticates.
    pub(in crate::oauth) auth: TokenAuth,
}

/// Sends a token request: one POST, once and never again, for what a grant brings may be good for one use. Only where the
/// server does not take the client (`invalid_client`) it has not looked at the grant: then the next secret is tried.
pub(in crate::oauth) async fn send(
    egress: &Egress,
    entry: &OAuth,
    client: &Client,
    request: TokenRequest<'_>,
) -> Result<Grant, TokenError> {
    let sending = Sending { method: Method::Post, auth: entry.token_auth };
    send_as(egress, entry, client, request, &sending).await
}

/// The same in another way.
pub(in crate::oauth) async fn send_as(
    egress: &Egress,
    entry: &OAuth,
    client: &Client,
    request: TokenRequest<'_>,
    sending: &Sending,
) -> Result<Grant, TokenError> {
    let read = |answer: &Answer, cleaner: &Cleaner| response::read(answer, entry, request.requested, cleaner);
    ask_as(egress, entry, client, &request, sending, read).await
}

/// The same for an endpoint whose answer has no tokens: `read` makes of it what it is.
pub(in crate::oauth) async fn ask<T>(
    egress: &Egress,
    entry: &OAuth,
    client: &Client,
    request: &TokenRequest<'_>,
    read: impl Fn(&Answer, &Cleaner) -> Result<T, TokenError>,
) -> Result<T, TokenError> {
    let sending = Sending { method: Method::Post, auth: entry.token_auth };
    ask_as(egress, entry, client, request, &sending, read).await
}

async fn ask_as<T>(
    egress: &Egress,
    entry: &OAuth,
    client: &Client,
    request: &TokenRequest<'_>,
    sending: &Sending,
    read: impl Fn(&Answer, &Cleaner) -> Result<T, TokenError>,
) -> Result<T, TokenError> {
    let mut cleaner = Cleaner::default();
    client.hide(&mut cleaner);
    for secret in &request.hidden {
        cleaner.hide(secret.expose());
    }
    let mut tries = client.tries(sending.auth).into_iter().peekable();
    while let Some(client) = tries.next() {
        let answer = dpop::send(egress, &client, None, || outgoing(entry, &client, request, sending)).await??;
        let outcome = read(&answer, &cleaner);
        match &outcome {
            Err(TokenError::Refused { error, .. }) if error == INVALID_CLIENT && tries.peek().is_some() => {}
            Err(_) => return outcome,
            Ok(_) => {
                client.worked();
                return outcome;
            }
        }
    }
    Err(Unbuildable::NoClientSecret.into())
}

fn outgoing(
    entry: &OAuth,
    client: &Client,
    request: &TokenRequest<'_>,
    sending: &Sending,
) -> Result<Outgoing, Unbuildable> {
    let (mut headers, mut parameters) = (HeaderMap::new(), request.parameters.clone());
    request::add_headers(&mut headers, &entry.token_headers)?;
    client.authenticate(sending.auth, entry, &mut headers, &mut parameters)?;
    for further in request.further {
        parameters.add(further);
    }
    parameters.rename(&entry.rename);
    request::accept_json(&mut headers);
    let mut url = request.url.url().ok_or(Unbuildable::Url)?.clone();
    if sending.method == Method::Get {
        url.query_pairs_mut().extend_pairs(parameters.iter());
        return Ok(Outgoing { method: http::Method::GET, url, headers, body: None });
    }
    // A token request without a body is none; the vocabulary shares its word for bodies with revocation.
    let encoding = if entry.token_body == Body::None { Body::Form } else { entry.token_body };
    let body = request::body(encoding, &parameters, &mut headers);
    Ok(Outgoing { method: sending.method.into(), url, headers, body })
}
