//! The body of a request, lent to the handler. An unread rest is discarded before the
//! response is sent.
//!
//! If a server closes a socket that has unread bytes, the peer gets a reset, and that can overtake
//! an early 401 or 413.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::body::{Body, Frame, Incoming, SizeHint};

use crate::http::limits::Limits;

/// A request body. Dropping it keeps the connection's side of it.
pub(crate) struct RequestBody(Option<Arc<Mutex<Incoming>>>);

/// The connection's side of a body that was lent.
pub(crate) struct Unread(Option<Arc<Mutex<Incoming>>>);

impl RequestBody {
    /// Lends a body. One that is empty is not kept.
    pub(crate) fn lend(body: Incoming) -> (Self, Unread) {
        let shared = (!body.is_end_stream()).then(|| Arc::new(Mutex::new(body)));
        (Self(shared.clone()), Unread(shared))
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let Some(body) = &self.0 else { return Poll::Ready(None) };
        Pin::new(&mut *body.lock().unwrap_or_else(PoisonError::into_inner)).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.0.as_ref().is_none_or(|body| body.lock().unwrap_or_else(PoisonError::into_inner).is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        let hint = |body: &Arc<Mutex<Incoming>>| body.lock().unwrap_or_else(PoisonError::into_inner).size_hint();
        self.0.as_ref().map_or_else(|| SizeHint::with_exact(0), hint)
    }
}

impl Unread {
    /// Returns true if the request had no body.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// Discards the rest of the body within the limits; returns true if all of it was read.
    ///
    /// A body that the handler still holds is left alone: a proxy may go on sending it while it
    /// responds.
    pub(crate) async fn discard(self, limits: &Limits) -> bool {
        let Some(body) = self.0.and_then(Arc::into_inner) else { return true };
        let mut body = body.into_inner().unwrap_or_else(PoisonError::into_inner);
        if body.is_end_stream() {
            return true;
        }
        let discard = async {
            let mut left = limits.discard_bytes;
            while let Some(frame) = body.frame().await {
                let length = frame.as_ref().ok().and_then(Frame::data_ref).map_or(0, Bytes::len);
                if frame.is_err() || length > left {
                    return false;
                }
                left -= length;
            }
            true
        };
        tokio::time::timeout(limits.discard_time, discard).await.unwrap_or(false)
    }
}
