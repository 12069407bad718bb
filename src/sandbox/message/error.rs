//! Error responses (RFC 6749 §5.2, RFC 8628 §3.5).

use http::header::WWW_AUTHENTICATE;
use http::{HeaderValue, StatusCode};
use serde_json::json;

use super::reply::{Reply, json_reply};

/// Error of a token, revocation or introspection request. The texts are our own and contain nothing
/// of the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::sandbox) enum EndpointError {
    InvalidRequest(&'static str),
    /// Client authentication failed.
    InvalidClient(&'static str),
    InvalidGrant(&'static str),
    UnauthorizedClient(&'static str),
    UnsupportedGrantType,
    InvalidScope(&'static str),
    /// The user has not decided yet.
    AuthorizationPending,
    /// The client polled too soon.
    SlowDown,
    /// The user refused.
    AccessDenied,
    /// The device code has expired.
    ExpiredToken,
}

impl EndpointError {
    pub(in crate::sandbox) fn reply(self) -> Reply {
        let (error, description) = match self {
            Self::InvalidRequest(why) => ("invalid_request", why),
            Self::InvalidClient(why) => ("invalid_client", why),
            Self::InvalidGrant(why) => ("invalid_grant", why),
            Self::UnauthorizedClient(why) => ("unauthorized_client", why),
            Self::UnsupportedGrantType => ("unsupported_grant_type", "see grant_types_supported of the metadata"),
            Self::InvalidScope(why) => ("invalid_scope", why),
            Self::AuthorizationPending => ("authorization_pending", "the user has not decided yet"),
            Self::SlowDown => ("slow_down", "wait five seconds longer between two requests"),
            Self::AccessDenied => ("access_denied", "The user denied the request"),
            Self::ExpiredToken => ("expired_token", "the device code has expired"),
        };
        let document = json!({ "error": error, "error_description": description });
        if !matches!(self, Self::InvalidClient(_)) {
            return json_reply(StatusCode::BAD_REQUEST, &document);
        }
        let mut reply = json_reply(StatusCode::UNAUTHORIZED, &document);
        reply.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static(r#"Basic realm="sandbox""#));
        reply
    }
}
