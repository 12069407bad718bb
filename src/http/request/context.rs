//! Facts about a request that the connection knows, and everything that a handler reads of it.

use std::net::IpAddr;
use std::pin::Pin;

use bytes::Bytes;
use futures_util::Stream;
use http::{HeaderMap, Method, Version};

use crate::id::{ApiKeyId, ProviderName, RequestId};

/// Facts that the server puts into the extensions of each request before warp sees it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RequestContext {
    pub(crate) id: RequestId,
    /// Address of the caller; `None` on a Unix socket without a proxy.
    pub(crate) address: Option<IpAddr>,
    /// True if the request came over our own TLS listener.
    pub(crate) tls: bool,
    pub(crate) version: Version,
    /// Exact length of the body in bytes; `None` if the body is chunked.
    pub(crate) body_length: Option<u64>,
}

/// Facts about a handled request for the log; travels in the extensions of its response.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    /// Pattern of the route, never the path.
    pub(crate) pattern: &'static str,
    pub(crate) api_key: Option<ApiKeyId>,
    /// The provider of the path, if a request to it failed.
    pub(crate) provider: Option<ProviderName>,
    /// The cause of that failure, sanitized.
    pub(crate) cause: Option<String>,
}

/// Chunks of a request body.
pub(crate) type BodyStream = Pin<Box<dyn Stream<Item = Result<Bytes, warp::Error>> + Send>>;

/// A request as the context filter extracts it.
pub(crate) struct ApiRequest {
    pub(crate) head: RequestHead,
    pub(crate) body: BodyStream,
}

/// A request without its body.
pub(crate) struct RequestHead {
    pub(crate) context: RequestContext,
    pub(crate) method: Method,
    /// Path as it was sent.
    pub(crate) path: String,
    /// Query without its question mark; empty for a URL without one.
    pub(crate) query: String,
    pub(crate) headers: HeaderMap,
}
