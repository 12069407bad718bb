//! The token request (RFC 6749 §4.1.3): a code becomes a grant.

use std::fmt;

use http::HeaderMap;

use super::answer::{self, Unintelligible};
use super::callback::shown;
use super::cleaning::Cleaner;
use super::client::Client;
use super::grant::Grant;
use super::parameters::Parameters;
use super::pkce::CodeVerifier;
use super::request::{self, Unbuildable};
use crate::catalog::entry::{Body, OAuth};
use crate::egress::{Egress, EgressError, Outgoing};
use crate::secret::Secret;

/// An authorization code (RFC 6749 §1.3.1): whoever has it and the verifier has the grant, so it is a secret.
#[derive(Clone, Debug)]
pub struct AuthorizationCode(Secret);

impl AuthorizationCode {
    /// The code of a callback, as it is: what is in it is the provider's affair.
    pub fn new(code: impl Into<String>) -> Self {
        Self(Secret::new(code))
    }
}

/// What a flow brings to the token endpoint.
#[derive(Clone, Copy, Debug)]
pub struct CodeExchange<'a> {
    /// The code of the callback.
    pub code: &'a AuthorizationCode,
    /// To the letter the one of the authorization request (RFC 6749 §4.1.3).
    pub redirect_uri: &'a str,
    /// The verifier whose challenge the authorization request had.
    pub verifier: Option<&'a CodeVerifier>,
    /// The scopes that the authorization request asked for.
    pub requested: &'a [String],
}

/// Why there is no grant. No variant holds a secret of ours, nor anything of the answer but its cleaned error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExchangeError {
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
    Status(u16),
    /// A successful answer that is not a token answer.
    Unintelligible(Unintelligible),
    /// There was nothing to send.
    Unbuildable(Unbuildable),
}

impl ExchangeError {
    /// Whether the code may be spent although we do not know what for: sent, and never answered whole.
    pub fn in_doubt(&self) -> bool {
        matches!(self, Self::Unreachable(error) if error.in_doubt())
    }
}

impl fmt::Display for ExchangeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused { error, description } => shown(f, error, description.as_deref()),
            Self::Unreachable(error) => write!(f, "{error}"),
            Self::Status(status) => write!(f, "the token endpoint answered with status {status}"),
            Self::Unintelligible(why) => write!(f, "the token endpoint's answer cannot be used: {why}"),
            Self::Unbuildable(why) => write!(f, "{why}"),
        }
    }
}

impl std::error::Error for ExchangeError {}

impl From<EgressError> for ExchangeError {
    fn from(error: EgressError) -> Self {
        Self::Unreachable(error)
    }
}

impl From<Unintelligible> for ExchangeError {
    fn from(why: Unintelligible) -> Self {
        Self::Unintelligible(why)
    }
}

impl From<Unbuildable> for ExchangeError {
    fn from(why: Unbuildable) -> Self {
        Self::Unbuildable(why)
    }
}

/// Exchanges the code for a grant: one POST, sent once and never again, for a code that is tried twice may cost the
/// tokens that the first try gave (RFC 6749 §4.1.2).
pub async fn exchange(
    egress: &Egress,
    entry: &OAuth,
    client: &Client,
    exchange: &CodeExchange<'_>,
) -> Result<Grant, ExchangeError> {
    let request = token_request(entry, client, exchange)?;
    let answer = egress.send(request).await?;
    let mut cleaner = Cleaner::default();
    client.hide(&mut cleaner);
    cleaner.hide(exchange.code.0.expose());
    if let Some(verifier) = exchange.verifier {
        cleaner.hide(verifier.secret().expose());
    }
    answer::read(&answer, entry, exchange.requested, &cleaner)
}

fn token_request(entry: &OAuth, client: &Client, exchange: &CodeExchange<'_>) -> Result<Outgoing, Unbuildable> {
    let (mut headers, mut parameters) = (HeaderMap::new(), Parameters::default());
    parameters.set("grant_type", "authorization_code");
    parameters.set("code", exchange.code.0.expose());
    parameters.set("redirect_uri", exchange.redirect_uri);
    if let Some(verifier) = exchange.verifier {
        parameters.set("code_verifier", verifier.secret().expose());
    }
    request::add_headers(&mut headers, &entry.token_headers)?;
    client.authenticate(entry.token_auth, &mut headers, &mut parameters)?;
    parameters.add(&entry.token_params);
    parameters.rename(&entry.rename);
    request::accept_json(&mut headers);
    // A token request without a body is none; the vocabulary shares its word for bodies with revocation.
    let encoding = if entry.token_body == Body::None { Body::Form } else { entry.token_body };
    let body = request::body(encoding, &parameters, &mut headers);
    let url = entry.token_url.url().ok_or(Unbuildable::Url)?.clone();
    Ok(Outgoing { method: http::Method::POST, url, headers, body })
}
