//! Problem types: one table of every error response (RFC 9457).

use std::time::Duration;

use http::{HeaderValue, StatusCode, header};
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;
use utoipa::openapi::Object;
use utoipa::openapi::schema::{ObjectBuilder, Type};
use warp::reply::{Reply, Response};

use crate::id::RequestId;
use crate::validation::RequestFault;

/// Problems of a request that goes to the provider.
pub(crate) const OF_PROVIDER: &[&ProblemType] = &[&NOT_CONFIGURED, &PROVIDER_UNAVAILABLE, &PROVIDER_TIMEOUT];

/// Problems of a request that names a credential.
pub(crate) const OF_CREDENTIAL: &[&ProblemType] =
    &[&NOT_GRANTED, &CREDENTIAL_NOT_FOUND, &CREDENTIAL_OF_ANOTHER_PROVIDER, &CREDENTIAL_DAMAGED];

/// Problems of a request that stores something for the user.
pub(crate) const OF_STORING: &[&ProblemType] = &[&QUOTA_EXCEEDED, &USER_REMOVED];

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
    /// The request has no `Host`, two, or a malformed one; or its body ended early or is malformed.
    MALFORMED_REQUEST = BAD_REQUEST "malformed-request" "The request is not well-formed HTTP";
    /// A service key without the `Strongroom-User` header.
    USER_REQUIRED = BAD_REQUEST "user-required" "A service key must name its user";
    /// `Strongroom-User` is not a user id.
    USER_MALFORMED = BAD_REQUEST "user-malformed" "The named user is not a user id";
    /// The callback URL's origin is not in the configuration, or the URL is malformed.
    CALLBACK_ORIGIN_NOT_ALLOWED = BAD_REQUEST "callback-origin-not-allowed" "The callback origin is not allowed";
    /// The state token is unknown, expired, used, of another user or of another provider.
    INVALID_STATE = BAD_REQUEST "invalid-state" "The state token cannot be used";
    /// The state token comes from Strongroom's own connect flow.
    STATE_OF_CONNECT_FLOW = BAD_REQUEST "state-of-connect-flow" "The state token belongs to the connect flow";
    /// The user or the provider denied the authorization.
    AUTHORIZATION_DENIED = BAD_REQUEST "authorization-denied" "The authorization was denied";
    /// The provider refused the code.
    EXCHANGE_FAILED = BAD_REQUEST "exchange-failed" "The provider refused the code";
    /// The user logged into another account than that of the credential to reconnect.
    ACCOUNT_MISMATCH = BAD_REQUEST "account-mismatch" "Another account was connected";
    /// The provider refused a grant other than a code.
    GRANT_REFUSED = BAD_REQUEST "grant-refused" "The provider refused the grant";
    /// The provider does not take this kind of credential.
    KIND_NOT_SUPPORTED = BAD_REQUEST "credential-type-not-supported" "The provider does not take this type of credential";
    /// A request to the forward proxy has no destination that is clear.
    NOT_A_PROXY_REQUEST = BAD_REQUEST "not-a-proxy-request" "The request is not one to a forward proxy";
    /// The path of a proxied request has no clear meaning.
    PATH_NOT_CANONICAL = BAD_REQUEST "path-not-canonical" "The path has no clear meaning";
    /// A proxied request overrides its method, and the key has grants with methods.
    METHOD_OVERRIDDEN = BAD_REQUEST "method-overridden" "The request overrides its method";
    /// The entry's place for the secret is not in the proxied request.
    NO_PLACE_FOR_SECRET = BAD_REQUEST "no-place-for-secret" "The request has no place for the secret";
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
    /// The API key is limited to other providers or credentials.
    NOT_GRANTED = FORBIDDEN "not-granted" "The API key is not allowed for this";
    /// The credential is not for the host of a proxied request.
    DESTINATION_NOT_ALLOWED = FORBIDDEN "destination-not-allowed" "The credential is not for this destination";
    /// The secret of the credential is never given out.
    NOT_EXPORTABLE = FORBIDDEN "not-exportable" "The secret of the credential is not given out";
    /// The `Origin` of a browser is not that of this server.
    ORIGIN_NOT_ALLOWED = FORBIDDEN "origin-not-allowed" "The origin is not allowed";
    /// A person has to approve the proxied request first.
    APPROVAL_PENDING = FORBIDDEN "approval-pending" "A person has to approve the request";
    /// A person denied the proxied request.
    APPROVAL_DENIED = FORBIDDEN "approval-denied" "A person denied the request";
    /// The operator does not lend the configured OAuth client for this grant.
    CLIENT_NOT_LENT = FORBIDDEN "client-not-lent" "The operator does not lend this client";
    /// No route has this path.
    NOT_FOUND = NOT_FOUND "not-found" "There is nothing here";
    /// The catalogue has no such provider.
    PROVIDER_NOT_FOUND = NOT_FOUND "provider-not-found" "The provider is unknown";
    /// The provider has no OAuth.
    OAUTH_NOT_SUPPORTED = NOT_FOUND "oauth-not-supported" "The provider does not support OAuth";
    /// The provider has no device flow, or it is off.
    NO_DEVICE_FLOW = NOT_FOUND "device-flow-not-offered" "There is no device flow here";
    /// The user has no such credential.
    CREDENTIAL_NOT_FOUND = NOT_FOUND "credential-not-found" "The credential does not exist";
    /// There is no such request that needs approval, or it has ended.
    APPROVAL_NOT_FOUND = NOT_FOUND "approval-not-found" "The approval does not exist";
    /// There is no such grant, or it is of an API key of other users.
    GRANT_NOT_FOUND = NOT_FOUND "grant-not-found" "The grant does not exist";
    /// The credential belongs to another provider.
    CREDENTIAL_OF_ANOTHER_PROVIDER =
        NOT_FOUND "credential-of-another-provider" "The credential belongs to another provider";
    /// Several credentials are for the host of a request through the forward proxy.
    CREDENTIAL_AMBIGUOUS = CONFLICT "credential-ambiguous" "Several credentials are for this destination";
    /// The user has to log in again: the provider refuses the refresh token or gave no such token.
    NEEDS_REAUTH = CONFLICT "needs-reauth" "The account has to be connected again";
    /// The provider gave no refresh token, and the access token is still valid.
    NOT_REFRESHABLE = CONFLICT "not-refreshable" "The access token cannot be refreshed";
    /// The host of a proxied request depends on values that the credential does not have.
    DESTINATION_UNKNOWN = CONFLICT "destination-unknown" "The destination of the credential is not known";
    /// The catalogue does not say how or where this credential is sent.
    NOT_PROXYABLE = CONFLICT "not-proxyable" "Requests cannot be sent with this credential";
    /// The user has as many credentials, or as many bytes of them, as the configuration allows.
    QUOTA_EXCEEDED = CONFLICT "quota-exceeded" "The user's quota is used up";
    /// The user was removed while the request ran.
    USER_REMOVED = CONFLICT "user-removed" "The user was removed";
    /// The token is bound to a key that never leaves Strongroom.
    SENDER_CONSTRAINED = CONFLICT "sender-constrained" "The token is bound to a key";
    /// The credential's host or inputs changed during the request.
    CREDENTIAL_CHANGED = CONFLICT "credential-changed" "The credential is for another destination now";
    /// A person has decided about the request already.
    APPROVAL_DECIDED = CONFLICT "approval-decided" "The request was decided already";
    /// The path exists, the method does not.
    METHOD_NOT_ALLOWED = METHOD_NOT_ALLOWED "method-not-allowed" "The method is not allowed here";
    /// The forward proxy needs an API key, or the presented one is not valid.
    PROXY_AUTHENTICATION =
        PROXY_AUTHENTICATION_REQUIRED "proxy-authentication-required" "The proxy needs an API key";
    /// The body did not arrive in time.
    REQUEST_TIMEOUT = REQUEST_TIMEOUT "request-timeout" "The request took too long to arrive";
    /// The body is larger than the limit.
    BODY_TOO_LARGE = PAYLOAD_TOO_LARGE "body-too-large" "The body is too large";
    /// The body of a request that needs approval is larger than 1 MiB.
    APPROVAL_BODY_TOO_LARGE = PAYLOAD_TOO_LARGE "approval-body-too-large" "The body is too large to be approved";
    /// A placeholder is where the provider takes no secret.
    PLACEHOLDER_MISPLACED = FORBIDDEN "placeholder-misplaced" "The placeholder is in a wrong place";
    /// A request in a tunnel is for another host than the tunnel.
    MISDIRECTED = MISDIRECTED_REQUEST "misdirected" "The request is not for the host of its tunnel";
    /// The body or the query has faults.
    INVALID_REQUEST = UNPROCESSABLE_ENTITY "invalid-request" "The request has faults";
    /// Too many wrong API keys from one address, or an API key has used up a rate or a share.
    RATE_LIMITED = TOO_MANY_REQUESTS "rate-limited" "Too many requests";
    /// A bug, or damage in the vault.
    INTERNAL = INTERNAL_SERVER_ERROR "internal" "Something failed inside Strongroom";
    /// The record of the credential does not open.
    CREDENTIAL_DAMAGED = INTERNAL_SERVER_ERROR "credential-damaged" "The credential is damaged";
    /// `Transfer-Encoding` is not exactly `chunked`.
    TRANSFER_CODING = NOT_IMPLEMENTED "transfer-coding-not-supported" "The transfer coding is not supported";
    /// The provider has no client id or secret in the configuration.
    NOT_CONFIGURED = NOT_IMPLEMENTED "not-configured" "The provider is not configured";
    /// The provider cannot be reached, or its response is not understood.
    PROVIDER_UNAVAILABLE = BAD_GATEWAY "provider-unavailable" "The provider did not answer as it should";
    /// The vault cannot write, or is busy.
    VAULT_UNAVAILABLE = SERVICE_UNAVAILABLE "vault-unavailable" "The vault cannot do this now";
    /// Too many requests wait for the disk or for this provider.
    OVERLOADED = SERVICE_UNAVAILABLE "overloaded" "The server has too much to do";
    /// The provider took too long.
    PROVIDER_TIMEOUT = GATEWAY_TIMEOUT "provider-timeout" "The provider took too long";
}

/// An error response.
///
/// As a reply it travels in the extensions of a response: the server writes its body, because that
/// names the request id.
#[derive(Clone, Debug)]
pub struct Problem {
    kind: &'static ProblemType,
    detail: Detail,
    members: Map<String, Value>,
    headers: Vec<(http::HeaderName, HeaderValue)>,
    /// Cause for the log; it is not sent.
    logged: Option<String>,
}

#[derive(Clone, Debug)]
enum Detail {
    /// RFC 9457's string.
    Text(String),
    /// A whole body that clients of AutoGPT Platform's v1 API expect; sent as `application/json`.
    Compatible(Value),
}

/// RFC 9457. Members beyond these depend on the type.
#[derive(Serialize, ToSchema)]
#[schema(as = Problem)]
pub(crate) struct ProblemBody<'p> {
    #[serde(rename = "type")]
    #[schema(schema_with = uris)]
    uri: &'static str,
    title: &'static str,
    status: u16,
    detail: &'p str,
    request_id: String,
    #[serde(flatten)]
    #[schema(ignore)]
    members: &'p Map<String, Value>,
}

fn uris() -> Object {
    ObjectBuilder::new().schema_type(Type::String).enum_values(Some(ALL.iter().map(|kind| kind.uri))).build()
}

/// Every fault of a request at once.
#[derive(Serialize, ToSchema)]
pub(crate) struct Faults {
    detail: Vec<RequestFault>,
}

/// A provider without client id or secret.
#[derive(Serialize, ToSchema)]
pub(crate) struct NotConfigured {
    #[schema(inline)]
    detail: Missing,
}

#[derive(Serialize, ToSchema)]
struct Missing {
    message: String,
    hint: String,
}

impl Problem {
    /// Creates a problem of this type. `detail` describes this occurrence and must not hold a
    /// secret.
    pub fn new(kind: &'static ProblemType, detail: impl Into<String>) -> Self {
        Self { kind, detail: Detail::Text(detail.into()), members: Map::new(), headers: Vec::new(), logged: None }
    }

    /// Creates the 422 list: every fault of a request at once.
    pub fn faults(detail: Vec<RequestFault>) -> Self {
        Self::compatible(&INVALID_REQUEST, &Faults { detail })
    }

    /// Creates the 501 object of a provider without client id or secret.
    pub fn not_configured(message: String, hint: String) -> Self {
        Self::compatible(&NOT_CONFIGURED, &NotConfigured { detail: Missing { message, hint } })
    }

    fn compatible(kind: &'static ProblemType, body: &impl Serialize) -> Self {
        let body = serde_json::to_value(body).expect("the names in the body are texts");
        Self { detail: Detail::Compatible(body), ..Self::new(kind, "") }
    }

    /// Adds an extension member (RFC 9457 §3.2).
    #[must_use]
    pub fn with(mut self, member: &str, value: impl Into<Value>) -> Self {
        self.members.insert(member.to_owned(), value.into());
        self
    }

    /// Repeats the detail in `message`. SDKs of providers show this member of an error, and no other.
    pub(crate) fn repeat_detail(&mut self) {
        if let Detail::Text(detail) = &self.detail {
            self.members.insert("message".to_owned(), detail.clone().into());
        }
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: http::HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// Adds `Retry-After` (RFC 9110 §10.2.3), rounded up to a whole second.
    #[must_use]
    pub fn retry_after(self, wait: Duration) -> Self {
        let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        self.header(header::RETRY_AFTER, HeaderValue::from(seconds.max(1)))
    }

    /// Adds the cause that the request's log line names.
    #[must_use]
    pub(crate) fn log_cause(mut self, cause: String) -> Self {
        self.logged = Some(cause);
        self
    }

    /// Returns the cause for the request's log line.
    pub(crate) fn logged_cause(&self) -> Option<&str> {
        self.logged.as_deref()
    }

    /// Returns the row of the table.
    pub fn kind(&self) -> &'static ProblemType {
        self.kind
    }

    /// Writes the body; returns its media type too.
    pub(crate) fn body(&self, id: RequestId) -> (&'static str, Vec<u8>) {
        let ProblemType { uri, title, status } = self.kind;
        let (media_type, body) = match &self.detail {
            Detail::Compatible(body) => ("application/json", serde_json::to_vec(body)),
            Detail::Text(detail) => {
                let (status, request_id) = (status.as_u16(), id.to_string());
                let body = ProblemBody { uri, title, status, detail, request_id, members: &self.members };
                ("application/problem+json", serde_json::to_vec(&body))
            }
        };
        (media_type, body.expect("the names in the body are texts"))
    }

    /// Writes the problem into the response that carries it, if there is one.
    pub(crate) fn render(response: &mut Response, id: RequestId) {
        let Some(problem) = response.extensions_mut().remove::<Self>() else { return };
        let (media_type, body) = problem.body(id);
        *response.body_mut() = Response::new(body.into()).into_body();
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
        // The answer of a provider cannot have this header, so that it tells our own from that one.
        response.headers_mut().insert("strongroom-problem", HeaderValue::from_static(problem.kind.uri));
        for (name, value) in problem.headers {
            response.headers_mut().insert(name, value);
        }
    }
}

impl Reply for Problem {
    fn into_response(self) -> Response {
        let mut response = Response::default();
        *response.status_mut() = self.kind.status;
        response.extensions_mut().insert(self);
        response
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::random::Random;

    #[test]
    fn types_are_unique() {
        let mut uris: Vec<_> = ALL.iter().map(|kind| kind.uri).collect();
        uris.sort_unstable();
        uris.dedup();
        assert_eq!(uris.len(), ALL.len());
    }

    #[test]
    fn api_docs_list_exactly_these_problems() {
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
    fn body_has_the_members_of_rfc_9457() {
        let id = RequestId::fresh(Random);
        let (media_type, body) = Problem::new(&NOT_FOUND, "Not Found").with("extra", 1).body(id);
        let body: Value = serde_json::from_slice(&body).unwrap();
        let expected = json!({"type": "/problems/not-found", "title": "There is nothing here", "status": 404,
            "detail": "Not Found", "request_id": id.to_string(), "extra": 1});
        assert_eq!((media_type, body), ("application/problem+json", expected));
    }

    #[test]
    fn compatible_detail_is_plain_json() {
        let id = RequestId::fresh(Random);
        let (media_type, body) = Problem::not_configured("m".to_owned(), "h".to_owned()).body(id);
        let body: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!((media_type, body), ("application/json", json!({"detail": {"message": "m", "hint": "h"}})));
    }
}
