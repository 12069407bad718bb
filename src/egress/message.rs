//! Requests, responses and their limits.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};
use url::Url;
use zeroize::Zeroizing;

/// An error of a streamed body.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// A request to a provider. `Debug` is not implemented, because headers and body contain secrets.
pub struct EgressRequest {
    /// The method.
    pub method: Method,
    /// The URL. User info in it is rejected; a fragment is not sent.
    pub url: Url,
    /// The headers. Those that frame the message (`Host`, `Content-Length`, …) are rejected.
    pub headers: HeaderMap,
    /// The body; wiped from memory after it is sent.
    pub body: Option<Zeroizing<Vec<u8>>>,
    /// True if a caller, or a server that a caller chose, named the host. `egress.allow` does not
    /// cover it then.
    pub chosen: bool,
}

/// A complete response of any status; redirects are not followed. `Debug` is not implemented,
/// because the body may contain tokens.
pub struct EgressResponse {
    /// The status.
    pub status: StatusCode,
    /// The headers, without `Content-Encoding` if the body was decoded.
    pub headers: HeaderMap,
    /// The decoded body, at most 1 MiB; wiped from memory when the last clone is dropped.
    pub body: Bytes,
}

/// Limits of one request. Tests that wait for a limit use shorter ones than the default.
#[derive(Clone, Copy, Debug)]
pub struct EgressLimits {
    /// Time for name resolution, TCP and TLS together.
    pub connect: Duration,
    /// The same for streaming requests.
    pub stream_connect: Duration,
    /// Time from the call to the last byte of the response.
    pub total: Duration,
    /// Size of the decoded body, in bytes.
    pub body: usize,
    /// Size of all header names and values, in bytes.
    pub headers: usize,
}

/// The limits outside of tests.
pub(super) const LIMITS: EgressLimits = EgressLimits {
    connect: Duration::from_secs(5),
    stream_connect: Duration::from_secs(10),
    total: Duration::from_secs(15),
    body: 1024 * 1024,
    headers: 64 * 1024,
};

impl Default for EgressLimits {
    fn default() -> Self {
        LIMITS
    }
}
