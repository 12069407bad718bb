//! Errors of requests to an authorization server.

use std::fmt;

use http::StatusCode;
use serde_json::{Map, Value};

use super::reasons::Reasons;
use super::retry_after::RetryAfter;
use super::sanitize::Sanitizer;
use crate::catalog::entry::OAuth;
use crate::egress::EgressError;
use crate::json;

/// Error codes of a server that rejects the client (RFC 6749 §4.1.2.1, §5.2). The second one also
/// has another meaning: the client may not use the grant type.
pub(in crate::oauth) const INVALID_CLIENT: &str = "invalid_client";
const UNAUTHORIZED_CLIENT: &str = "unauthorized_client";

/// Reason why a request could not be built. Nothing was sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BuildError {
    /// The provider requires a client secret, and none is configured.
    #[error("the provider requires a client secret, and none is configured (client_secret)")]
    NoClientSecret,
    /// The provider requires an assertion signed with our private key, and none is configured.
    #[error("the provider requires a private key, and none is configured (client_key)")]
    NoClientKey,
    /// The operator no longer lends the configured client.
    #[error("the operator does not lend the configured client (lend_client)")]
    ClientNotLent,
    /// The private key cannot sign with the algorithm that the entry names.
    #[error("the configured private key cannot sign with the algorithm that the provider requires")]
    ClientKey,
    /// The assertion's audience is the issuer, and the entry names none.
    #[error("the client assertion needs the provider's issuer, which is unknown")]
    NoIssuer,
    /// A header of the entry is malformed, or would set the authentication.
    #[error("the entry's header '{0}' cannot be sent")]
    Header(String),
    /// The entry's URL is missing, malformed or lacks a value.
    #[error("the entry's URL cannot be used")]
    Url,
    /// The token has characters that a header cannot carry.
    #[error("the token cannot be sent in a header")]
    Token,
}

/// An error response (RFC 6749 §4.1.2.1 and §5.2). Both texts are for people and sanitized: no
/// control characters, limited in length, and every secret of the request masked. Decisions use
/// `reasons`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErrorResponse {
    /// The error code as it is shown, for example `invalid_grant`. Of a server that a caller chose,
    /// only a registered code is shown.
    pub error: String,
    /// The provider's explanation.
    pub description: Option<String>,
    /// The error code, and every code and text of the body. They are compared and never shown.
    pub(in crate::oauth) reasons: Reasons,
    /// Status of the response; `None` for a callback.
    pub status: Option<StatusCode>,
}

impl ErrorResponse {
    pub(in crate::oauth) fn new(error: &str, description: Option<&str>, sanitizer: &Sanitizer) -> Self {
        Self::with_reasons(Reasons::default(), error, description, sanitizer)
    }

    fn with_reasons(reasons: Reasons, code: &str, description: Option<&str>, sanitizer: &Sanitizer) -> Self {
        let description = description.and_then(|text| sanitizer.description(text));
        Self { error: sanitizer.error(code), description, reasons: reasons.with_code(code), status: None }
    }

    /// Returns true if the provider says that the grant is over.
    pub(in crate::oauth) fn ends_grant(&self, entry: &OAuth) -> bool {
        self.reasons.end_grant(entry)
    }

    /// Returns true if the error is about the client: it is unknown, or may not do this.
    pub fn names_client(&self) -> bool {
        self.reasons.has_code(&[INVALID_CLIENT, UNAUTHORIZED_CLIENT])
    }
}

impl fmt::Display for ErrorResponse {
    /// `<error>: <description>`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.error)?;
        self.description.as_ref().map_or(Ok(()), |description| write!(f, ": {description}"))
    }
}

/// Reason why a successful response cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidResponse {
    /// Neither a JSON object nor form-encoded.
    #[error("it is neither a JSON object nor form-encoded")]
    Form,
    /// There is no access token.
    #[error("it has no access token")]
    NoAccessToken,
    /// A member has the wrong type, an invalid character, or is too long.
    #[error("its member '{0}' is malformed")]
    Malformed(&'static str),
    /// `token_type` is missing or unknown, and the entry does not give it (RFC 6749 §7.1).
    #[error("its token_type is missing or unknown")]
    TokenType,
}

/// Failure of a request to an authorization server: to its token, device authorization or pushed
/// authorization request endpoint. No variant holds a secret; of the response only its sanitized
/// error is kept.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OAuthError {
    /// The provider rejects the request: an `error` with a 4xx or with a 200.
    #[error("{0}")]
    Refused(ErrorResponse),
    /// No complete response arrived.
    #[error("{0}")]
    Unreachable(#[from] EgressError),
    /// The status reports a failure and the body does not explain it: a redirect, 429, 5xx, a 4xx
    /// page.
    #[error("the provider answered with status {status}")]
    Status {
        /// The status.
        status: u16,
        /// The time at which the server wants to be asked again.
        retry_after: Option<RetryAfter>,
        /// True if the body is not JSON, as a page of a gateway is.
        page: bool,
    },
    /// The response reports success but cannot be used.
    #[error("the provider's response cannot be used: {0}")]
    Invalid(#[from] InvalidResponse),
    /// The request could not be built.
    #[error("{0}")]
    Build(#[from] BuildError),
}

impl OAuthError {
    /// Returns true if the code or refresh token may be spent: the request was sent and no complete
    /// response arrived.
    pub fn in_doubt(&self) -> bool {
        matches!(self, Self::Unreachable(error) if error.in_doubt())
    }

    /// Returns true if the provider, or a gateway in front of it, was too slow.
    pub fn timed_out(&self) -> bool {
        match self {
            Self::Unreachable(error) => error.timed_out(),
            Self::Status { status, .. } => *status == 504,
            _ => false,
        }
    }

    /// Returns true if the provider reports that the grant is over, so that only the user can
    /// restore it. Every other error is temporary or a fault of the configuration.
    pub fn ends_grant(&self, entry: &OAuth) -> bool {
        match self {
            Self::Refused(response) => response.ends_grant(entry),
            Self::Status { status, page: false, .. } => {
                entry.refresh.as_ref().is_some_and(|refresh| refresh.refused_statuses.contains(status))
            }
            _ => false,
        }
    }

    /// Returns true if the provider refuses the request for a reason that is not understood: neither
    /// an outage nor a fault of the configuration.
    pub fn is_unclear_refusal(&self) -> bool {
        match self {
            Self::Refused(response) => !self.rejects_client() && !response.reasons.is_outage(),
            Self::Status { status, page, .. } => {
                !page && matches!(status, 400..=407 | 409..=424 | 426..=428 | 430..=499)
            }
            _ => false,
        }
    }

    /// Returns the time at which the server wants to be asked again, if it gave one.
    pub fn retry_after(&self) -> Option<RetryAfter> {
        match self {
            Self::Status { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    /// Returns true if the server rejects the client's authentication (`invalid_client`, RFC 6749
    /// §5.2). It has then not looked at the grant.
    pub fn rejects_client(&self) -> bool {
        self.has_code(&[INVALID_CLIENT])
    }

    /// Returns true if the server no longer knows a client that Strongroom registered. Some servers
    /// write `unauthorized_client` for it, with 401.
    pub fn rejects_registration(&self) -> bool {
        let unauthorized =
            |response: &ErrorResponse| response.names_client() && response.status == Some(StatusCode::UNAUTHORIZED);
        self.rejects_client() || matches!(self, Self::Refused(response) if unauthorized(response))
    }

    /// Returns true if the server rejects a service credential: the key of its assertion, or the
    /// user's own client.
    pub fn ends_service(&self) -> bool {
        self.has_code(&["invalid_grant", INVALID_CLIENT, UNAUTHORIZED_CLIENT])
    }

    /// Returns the error code of a rejection, as the provider sent it.
    pub(in crate::oauth) fn code(&self) -> Option<&str> {
        match self {
            Self::Refused(response) => Some(response.reasons.code()),
            _ => None,
        }
    }

    fn has_code(&self, codes: &[&str]) -> bool {
        matches!(self, Self::Refused(response) if response.reasons.has_code(codes))
    }
}

/// Errors that can report a rejected client authentication, after which another secret is tried.
pub(in crate::oauth) trait ClientRejection {
    /// Returns true if this error rejects the client.
    fn rejects_client(&self) -> bool;
}

impl ClientRejection for OAuthError {
    fn rejects_client(&self) -> bool {
        self.rejects_client()
    }
}

/// Returns the members of a body that may report an error: an object, or the first object of a
/// list. It is parsed tolerantly, because an error must not be overlooked.
pub(in crate::oauth) fn error_members(body: &[u8]) -> Option<Map<String, Value>> {
    match json::parse_tolerantly(body)? {
        Value::Object(members) => Some(members),
        Value::Array(list) => list.into_iter().find_map(|one| match one {
            Value::Object(members) => Some(members),
            _ => None,
        }),
        _ => None,
    }
}

/// Returns the error that a response body reports, whatever its status: an `error` member that
/// names one, or `ok: false`.
pub(in crate::oauth) fn error_code(members: &Map<String, Value>) -> Option<String> {
    let not_ok = members.get("ok") == Some(&Value::Bool(false));
    match members.get("error") {
        None | Some(Value::Null | Value::Bool(false)) => not_ok.then(|| "the response is not ok".to_owned()),
        Some(Value::String(code)) if code.is_empty() => not_ok.then(|| "the response is not ok".to_owned()),
        Some(Value::String(code)) => Some(code.clone()),
        Some(Value::Number(code)) => (code.as_i64() != Some(0)).then(|| code.to_string()),
        Some(Value::Object(error)) => {
            let named = ["code", "type", "status"].iter().find_map(|name| code_text(error.get(*name)?));
            Some(named.unwrap_or_else(|| "error".to_owned()))
        }
        Some(_) => Some("error".to_owned()),
    }
}

/// Reads the failure that a response body reports, whatever its status.
pub(in crate::oauth) fn refusal(members: &Map<String, Value>, sanitizer: &Sanitizer) -> Option<ErrorResponse> {
    let code = error_code(members)?;
    Some(ErrorResponse::with_reasons(Reasons::read(members), &code, description(members), sanitizer))
}

/// Reads the failure in the body of a 4xx. Some providers explain it in their own words only: a
/// `message`, a `code`, a `status`, or a list of errors.
pub(in crate::oauth) fn client_error(members: &Map<String, Value>, sanitizer: &Sanitizer) -> Option<ErrorResponse> {
    refusal(members, sanitizer).or_else(|| {
        let reasons = Reasons::read(members);
        let description = description(members);
        let code = ["code", "status"].iter().find_map(|name| code_text(members.get(*name)?));
        let says_something = |code: &&str| !code.bytes().all(|c| c.is_ascii_digit());
        let alone = || description.map_or_else(|| reasons.first().filter(says_something), |_| Some("refused"));
        let code = match code.filter(|code| description.is_some() || says_something(&code.as_str())) {
            Some(code) => code,
            None => alone()?.to_owned(),
        };
        Some(ErrorResponse::with_reasons(reasons, &code, description, sanitizer))
    })
}

fn description(members: &Map<String, Value>) -> Option<&str> {
    let texts = ["error_description", "error_message", "message"];
    let text = texts.iter().find_map(|name| members.get(*name)?.as_str());
    text.or_else(|| members.get("error")?.get("message")?.as_str())
}

fn code_text(value: &Value) -> Option<String> {
    match value {
        Value::String(code) if !code.is_empty() => Some(code.clone()),
        Value::Number(code) => Some(code.to_string()),
        _ => None,
    }
}
