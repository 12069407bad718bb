//! The body of a response: warp's, or one that the proxy streams with its trailers.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use hyper::body::{Body, Frame, SizeHint};

use crate::egress::BoxError;

/// The body of a response that the proxy streams.
pub(crate) type ProxiedBody = UnsyncBoxBody<Bytes, BoxError>;

/// warp's body, whose type has no public name.
type ApiBody = <warp::reply::Response as HasBody>::Body;

pub(crate) trait HasBody {
    type Body;
}

impl<B> HasBody for http::Response<B> {
    type Body = B;
}

/// The body of a response.
pub(crate) enum ReplyBody {
    /// Of the API.
    Api(ApiBody),
    /// Of the proxy.
    Proxied(ProxiedBody),
}

impl Body for ReplyBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match self.get_mut() {
            Self::Api(body) => Pin::new(body).poll_frame(cx).map_err(Into::into),
            Self::Proxied(body) => Pin::new(body).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Api(body) => body.is_end_stream(),
            Self::Proxied(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Api(body) => body.size_hint(),
            Self::Proxied(body) => body.size_hint(),
        }
    }
}
