//! Results of tools: the response of a provider as text, or a problem.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, StatusCode};
use serde_json::{Map, Value, json};

/// Headers of a response that a tool returns, in addition to those of rate limits.
const HEADERS: [&str; 9] = [
    "content-type",
    "content-range",
    "etag",
    "last-modified",
    "link",
    "location",
    "retry-after",
    "www-authenticate",
    "x-request-id",
];

/// Beginnings of the names of headers about rate limits.
const RATE_LIMITS: [&str; 2] = ["ratelimit", "x-ratelimit"];

/// The response of a provider.
#[derive(Debug)]
pub struct ToolResponse {
    /// The status.
    pub status: StatusCode,
    /// All headers.
    pub headers: HeaderMap,
    /// The body, or the beginning of it.
    pub body: Vec<u8>,
    /// True if the body is longer.
    pub truncated: bool,
}

impl ToolResponse {
    /// Writes the result: a text body as it is, other bodies in base64.
    pub(super) fn text(self) -> String {
        let mut result = json!({
            "status": self.status.as_u16(),
            "headers": shown_headers(&self.headers),
            "truncated": self.truncated,
        });
        match as_text(self.body, self.truncated) {
            Ok(text) => result["body"] = Value::String(text),
            Err(bytes) => result["body_base64"] = Value::String(STANDARD.encode(bytes)),
        }
        result.to_string()
    }
}

fn shown_headers(headers: &HeaderMap) -> Map<String, Value> {
    let is_shown = |name: &str| HEADERS.contains(&name) || RATE_LIMITS.iter().any(|limit| name.starts_with(limit));
    let mut shown = Map::new();
    for name in headers.keys().filter(|name| is_shown(name.as_str())) {
        let values = headers.get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes()));
        shown.insert(name.to_string(), Value::String(values.collect::<Vec<_>>().join(", ")));
    }
    shown
}

/// Returns the text of a body, or its bytes if it is binary. A cut may have split the last
/// character.
fn as_text(body: Vec<u8>, truncated: bool) -> Result<String, Vec<u8>> {
    if body.contains(&0) {
        return Err(body);
    }
    String::from_utf8(body).or_else(|error| {
        let whole = error.utf8_error().valid_up_to();
        let is_split = truncated && error.utf8_error().error_len().is_none();
        let mut body = error.into_bytes();
        if is_split {
            body.truncate(whole);
        }
        String::from_utf8(body).map_err(std::string::FromUtf8Error::into_bytes)
    })
}

/// The reason why a tool has no result: a problem (RFC 9457) without a secret.
#[derive(Debug)]
pub struct ToolError(pub Value);

impl ToolError {
    /// A fault of the arguments.
    pub(super) fn arguments(detail: impl Into<String>) -> Self {
        let detail: String = detail.into();
        Self(json!({"type": "/problems/invalid-request", "title": "The arguments have faults", "detail": detail}))
    }

    pub(super) fn text(&self) -> String {
        self.0.to_string()
    }
}
