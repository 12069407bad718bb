//! The answers that the endpoints give: JSON, a page, a redirect, and the errors of RFC 6749.

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, LOCATION, WWW_AUTHENTICATE};
use http::{HeaderValue, Response, StatusCode};
use http_body_util::Full;
use serde_json::{Value, json};

/// A whole answer.
pub(super) type Answer = Response<Full<Bytes>>;

/// What a token, revocation or introspection request is refused with (RFC 6749 §5.2). Each carries words of ours alone,
/// nothing that was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    InvalidRequest(&'static str),
    /// Client authentication failed.
    InvalidClient(&'static str),
    InvalidGrant(&'static str),
    UnauthorizedClient(&'static str),
    UnsupportedGrantType,
    InvalidScope(&'static str),
    /// The user has not decided yet (RFC 8628 §3.5).
    AuthorizationPending,
    /// The client asked too soon.
    SlowDown,
    /// The user said no.
    AccessDenied,
    /// The device code is over.
    ExpiredToken,
}

impl Refusal {
    pub(super) fn answer(self) -> Answer {
        let (status, error, description) = match self {
            Self::InvalidRequest(why) => (StatusCode::BAD_REQUEST, "invalid_request", why),
            Self::InvalidClient(why) => (StatusCode::UNAUTHORIZED, "invalid_client", why),
            Self::InvalidGrant(why) => (StatusCode::BAD_REQUEST, "invalid_grant", why),
            Self::UnauthorizedClient(why) => (StatusCode::BAD_REQUEST, "unauthorized_client", why),
            Self::UnsupportedGrantType => {
                (StatusCode::BAD_REQUEST, "unsupported_grant_type", "see grant_types_supported of the metadata")
            }
            Self::InvalidScope(why) => (StatusCode::BAD_REQUEST, "invalid_scope", why),
            Self::AuthorizationPending => (StatusCode::BAD_REQUEST, "authorization_pending", "nobody has decided yet"),
            Self::SlowDown => (StatusCode::BAD_REQUEST, "slow_down", "wait five seconds longer between two requests"),
            Self::AccessDenied => (StatusCode::BAD_REQUEST, "access_denied", "The user denied the request"),
            Self::ExpiredToken => (StatusCode::BAD_REQUEST, "expired_token", "the device code has expired"),
        };
        let mut answer = json_answer(status, &json!({ "error": error, "error_description": description }));
        if status == StatusCode::UNAUTHORIZED {
            answer.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static(r#"Basic realm="sandbox""#));
        }
        answer
    }
}

/// A JSON document, never to be stored (RFC 6749 §5.1).
pub(super) fn json_answer(status: StatusCode, value: &Value) -> Answer {
    whole(status, "application/json", value.to_string())
}

/// A page under the given Content-Security-Policy.
pub(super) fn page_answer(status: StatusCode, html: String, policy: &str) -> Answer {
    let mut answer = whole(status, "text/html; charset=utf-8", html);
    let policy = HeaderValue::from_str(policy).expect("a policy is made of nonces and schemes, which are ASCII");
    answer.headers_mut().insert(CONTENT_SECURITY_POLICY, policy);
    answer.headers_mut().insert("x-frame-options", HeaderValue::from_static("DENY"));
    answer
}

/// Sends the browser on with GET, whatever brought it here (RFC 9700 §4.12).
pub(super) fn redirect(to: &url::Url) -> Answer {
    let mut answer = whole(StatusCode::SEE_OTHER, "text/plain; charset=utf-8", String::new());
    let location = HeaderValue::from_str(to.as_str()).expect("a parsed URL is printable ASCII");
    answer.headers_mut().insert(LOCATION, location);
    answer
}

/// A plain sentence.
pub(super) fn sentence(status: StatusCode, text: &str) -> Answer {
    whole(status, "text/plain; charset=utf-8", format!("{text}\n"))
}

fn whole(status: StatusCode, content_type: &'static str, body: String) -> Answer {
    let mut answer = Response::new(Full::new(Bytes::from(body)));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert("x-content-type-options", HeaderValue::from_static("nosniff"));
    headers.insert("referrer-policy", HeaderValue::from_static("no-referrer"));
    answer
}
