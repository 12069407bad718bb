//! The problems: one table of everything that can go wrong at the door, and the answer that each becomes (RFC 9457).

use std::time::Duration;

use http::{HeaderValue, StatusCode, header};
use serde_json::{Map, Value, json};

use crate::id::RequestId;
use crate::validation::RequestFault;

/// One row of the table. The type is a stable relative URI; `docs/api.md` describes each.
#[derive(Debug, PartialEq, Eq)]
pub struct ProblemType {
    /// The `type` member: `/problems/…`.
    pub uri: &'static str,
    /// The `title` member, the same for every occurrence.
    pub title: &'static str,
    /// The status it is answered with.
    pub status: StatusCode,
}

macro_rules! problems {
    ($($(#[$doc:meta])* $name:ident = $status:ident $uri:literal $title:literal;)+) => {
        $($(#[$doc])* pub static $name: ProblemType =
            ProblemType { uri: concat!("/problems/", $uri), title: $title, status: StatusCode::$status };)+

        /// Every problem type there is, in the order of their status.
        pub static ALL: &[&ProblemType] = &[$(&$name),+];
    };
}

problems! {
    /// The bytes are no acceptable HTTP/1.1 request.
    MALFORMED_REQUEST = BAD_REQUEST "malformed-request" "The request is not well-formed HTTP";
    /// A service key without the `Strongroom-User` header.
    USER_REQUIRED = BAD_REQUEST "user-required" "A service key must name its user";
    /// `Strongroom-User` is no user id.
    USER_MALFORMED = BAD_REQUEST "user-malformed" "The named user is not a user id";
    /// The callback URL's origin is not in the configuration, or the URL is malformed.
    CALLBACK_ORIGIN_NOT_ALLOWED = BAD_REQUEST "callback-origin-not-allowed" "The callback origin is not allowed";
    /// The state token is unknown, expired, used, of another user or of another provider.
    INVALID_STATE = BAD_REQUEST "invalid-state" "The state token cannot be used";
    /// The state token comes from Strongroom's own connect flow.
    STATE_OF_CONNECT_FLOW = BAD_REQUEST "state-of-connect-flow" "The state token belongs to the connect flow";
    /// The user, or the provider, said no.
    AUTHORIZATION_DENIED = BAD_REQUEST "authorization-denied" "The authorization was denied";
    /// The provider refused the code.
    EXCHANGE_FAILED = BAD_REQUEST "exchange-failed" "The provider refused the code";
    /// The account that was logged into is not the one of the credential that is being connected again.
    ACCOUNT_MISMATCH = BAD_REQUEST "account-mismatch" "Another account was connected";
    /// The provider refused a grant other than a code.
    GRANT_REFUSED = BAD_REQUEST "grant-refused" "The provider refused the grant";
    /// The provider does not take this kind of credential.
    KIND_NOT_SUPPORTED = BAD_REQUEST "credential-type-not-supported" "The provider does not take this type of credential";
    /// No API key was presented.
    MISSING_AUTHENTICATION = UNAUTHORIZED "missing-authentication" "An API key is required";
    /// The API key is unknown, malformed, revoked or expired.
    INVALID_API_KEY = UNAUTHORIZED "invalid-api-key" "The API key is not valid";
    /// The API key lacks a permission.
    PERMISSION_MISSING = FORBIDDEN "permission-missing" "The API key lacks a permission";
    /// A key of one user named a user.
    USER_NOT_NAMEABLE = FORBIDDEN "user-not-nameable" "This API key belongs to one user and must not name one";
    /// A service key named a user outside its patterns.
    USER_NOT_ALLOWED = FORBIDDEN "user-not-allowed" "The API key may not act for this user";
    /// There is nothing at this path.
    NOT_FOUND = NOT_FOUND "not-found" "There is nothing here";
    /// The catalogue has no such provider.
    PROVIDER_NOT_FOUND = NOT_FOUND "provider-not-found" "The provider is unknown";
    /// The provider has no OAuth.
    OAUTH_NOT_SUPPORTED = NOT_FOUND "oauth-not-supported" "The provider does not support OAuth";
    /// The provider has no device flow, or it is not turned on.
    NO_DEVICE_FLOW = NOT_FOUND "device-flow-not-offered" "There is no device flow here";
    /// The user has no such credential.
    CREDENTIAL_NOT_FOUND = NOT_FOUND "credential-not-found" "The credential does not exist";
    /// The credential is one of another provider.
    CREDENTIAL_OF_ANOTHER_PROVIDER =
        NOT_FOUND "credential-of-another-provider" "The credential belongs to another provider";
    /// Only the user can mend it: the provider refuses the refresh token, or there is none.
    NEEDS_REAUTH = CONFLICT "needs-reauth" "The account has to be connected again";
    /// The token is bound to a key that never leaves Strongroom.
    SENDER_CONSTRAINED = CONFLICT "sender-constrained" "The token is bound to a key";
    /// The path exists, the method does not.
    METHOD_NOT_ALLOWED = METHOD_NOT_ALLOWED "method-not-allowed" "The method is not allowed here";
    /// The headers or the body did not come in time.
    REQUEST_TIMEOUT = REQUEST_TIMEOUT "request-timeout" "The request took too long to arrive";
    /// The body is larger than the limit.
    BODY_TOO_LARGE = PAYLOAD_TOO_LARGE "body-too-large" "The body is too large";
    /// The request line is longer than the limit.
    URI_TOO_LONG = URI_TOO_LONG "uri-too-long" "The URI is too long";
    /// The body or the query has faults.
    INVALID_REQUEST = UNPROCESSABLE_ENTITY "invalid-request" "The request has faults";
    /// Too many wrong API keys from one address.
    RATE_LIMITED = TOO_MANY_REQUESTS "rate-limited" "Too many failed attempts";
    /// The headers are larger than the limit.
    HEADERS_TOO_LARGE = REQUEST_HEADER_FIELDS_TOO_LARGE "headers-too-large" "The headers are too large";
    /// A fault of Strongroom's own.
    INTERNAL = INTERNAL_SERVER_ERROR "internal" "Something failed inside Strongroom";
    /// The credential is there, and does not open.
    CREDENTIAL_DAMAGED = INTERNAL_SERVER_ERROR "credential-damaged" "The credential is damaged";
    /// The provider has no client id or secret in the configuration.
    NOT_CONFIGURED = NOT_IMPLEMENTED "not-configured" "The provider is not configured";
    /// The provider cannot be reached, or answers what nobody understands.
    PROVIDER_UNAVAILABLE = BAD_GATEWAY "provider-unavailable" "The provider did not answer as it should";
    /// The vault cannot write, or is busy.
    VAULT_UNAVAILABLE = SERVICE_UNAVAILABLE "vault-unavailable" "The vault cannot do this now";
    /// There is more to do than can be done in time.
    OVERLOADED = SERVICE_UNAVAILABLE "overloaded" "The server has too much to do";
    /// The provider took too long.
    PROVIDER_TIMEOUT = GATEWAY_TIMEOUT "provider-timeout" "The provider took too long";
}

/// Something went wrong, and this is what the caller is told.
#[derive(Debug)]
pub struct Problem {
    kind: &'static ProblemType,
    detail: Detail,
    members: Map<String, Value>,
    headers: Vec<(http::HeaderName, HeaderValue)>,
}

#[derive(Debug)]
enum Detail {
    /// RFC 9457's string.
    Text(String),
    /// What clients of the original expect in its place: sent as plain JSON.
    Original(Value),
}

impl Problem {
    /// A problem of this type; `detail` says what happened this time, without any secret.
    pub fn new(kind: &'static ProblemType, detail: impl Into<String>) -> Self {
        Self { kind, detail: Detail::Text(detail.into()), members: Map::new(), headers: Vec::new() }
    }

    /// The 422 list: every fault of a request at once.
    pub fn faults(faults: &[RequestFault]) -> Self {
        let list = faults.iter().filter_map(|fault| serde_json::to_value(fault).ok()).collect();
        Self { detail: Detail::Original(Value::Array(list)), ..Self::new(&INVALID_REQUEST, "") }
    }

    /// The 501 object of a provider without client id or secret.
    pub fn not_configured(message: impl Into<String>, hint: impl Into<String>) -> Self {
        let detail = json!({"message": message.into(), "hint": hint.into()});
        Self { detail: Detail::Original(detail), ..Self::new(&NOT_CONFIGURED, "") }
    }

    /// The same with an extension member (RFC 9457 §3.2).
    #[must_use]
    pub fn with(mut self, member: &str, value: impl Into<Value>) -> Self {
        self.members.insert(member.to_owned(), value.into());
        self
    }

    /// The same with a header.
    #[must_use]
    pub fn header(mut self, name: http::HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// The same, and when to try again (RFC 9110 §10.2.3), rounded up to a whole second.
    #[must_use]
    pub fn retry_after(self, wait: Duration) -> Self {
        let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        self.header(header::RETRY_AFTER, HeaderValue::from(seconds.max(1)))
    }

    /// Its row in the table.
    pub fn kind(&self) -> &'static ProblemType {
        self.kind
    }

    /// The media type and the body of the answer.
    pub(crate) fn body(&self, id: RequestId) -> (&'static str, Vec<u8>) {
        let (media_type, body) = match &self.detail {
            Detail::Original(detail) => ("application/json", json!({ "detail": detail })),
            Detail::Text(detail) => {
                let mut body = Map::new();
                body.insert("type".to_owned(), self.kind.uri.into());
                body.insert("title".to_owned(), self.kind.title.into());
                body.insert("status".to_owned(), self.kind.status.as_u16().into());
                body.insert("detail".to_owned(), detail.as_str().into());
                body.insert("request_id".to_owned(), id.to_string().into());
                body.extend(self.members.clone());
                ("application/problem+json", Value::Object(body))
            }
        };
        (media_type, body.to_string().into_bytes())
    }

    /// The whole answer.
    pub(crate) fn into_response(self, id: RequestId) -> warp::reply::Response {
        let (media_type, body) = self.body(id);
        let mut response = warp::reply::Response::new(body.into());
        *response.status_mut() = self.kind.status;
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
        for (name, value) in self.headers {
            response.headers_mut().insert(name, value);
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    #[test]
    fn every_problem_has_a_type_of_its_own() {
        let mut uris: Vec<_> = ALL.iter().map(|kind| kind.uri).collect();
        uris.sort_unstable();
        uris.dedup();
        assert_eq!(uris.len(), ALL.len());
    }

    #[test]
    fn every_problem_is_documented_with_its_status_and_no_other_is() {
        let rows = include_str!("../../docs/api.md").lines().filter(|line| line.contains("| `/problems/"));
        let documented: Vec<String> = rows.map(|row| row.split('|').take(3).collect::<Vec<_>>().join("|")).collect();
        let known: Vec<String> =
            ALL.iter().map(|kind| format!("| {} | `{}` ", kind.status.as_u16(), kind.uri)).collect();
        for row in &known {
            assert!(documented.contains(row), "docs/api.md lacks {row}");
        }
        assert_eq!(documented.len(), known.len(), "docs/api.md has a problem that does not exist, or one twice");
    }

    #[test]
    fn a_problem_is_answered_with_the_members_of_rfc_9457() {
        let id = RequestId::fresh(Random);
        let (media_type, body) = Problem::new(&NOT_FOUND, "Not Found").with("extra", 1).body(id);
        let body: Value = serde_json::from_slice(&body).unwrap();
        let expected = json!({"type": "/problems/not-found", "title": "There is nothing here", "status": 404,
            "detail": "Not Found", "request_id": id.to_string(), "extra": 1});
        assert_eq!((media_type, body), ("application/problem+json", expected));
    }

    #[test]
    fn what_clients_of_the_original_read_keeps_its_shape() {
        let id = RequestId::fresh(Random);
        let (media_type, body) = Problem::not_configured("m", "h").body(id);
        let body: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!((media_type, body), ("application/json", json!({"detail": {"message": "m", "hint": "h"}})));
    }
}
