//! The body of a request, lent to the handler. An unread rest is discarded before the response is
//! sent. If it cannot be, the connection lingers at its end (see `linger.rs`).

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};

use crate::http::limits::Limits;

/// A request body. Dropping it keeps the connection's side of it.
pub(crate) struct RequestBody(Option<Arc<Mutex<Lent>>>);

/// The connection's side of a body that was lent.
pub(crate) struct Unread(Option<Arc<Mutex<Lent>>>);

/// A body that was lent. Dropping one that was not read to its end notes that.
struct Lent {
    body: Incoming,
    ended: bool,
    left_unread: Arc<AtomicBool>,
}

impl Lent {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        self.ended |= matches!(polled, Poll::Ready(None));
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.ended || self.body.is_end_stream()
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if !self.is_end_stream() {
            self.left_unread.store(true, Ordering::Relaxed);
        }
    }
}

impl RequestBody {
    /// Lends a body. One that is empty is not kept. `left_unread` becomes true if it is dropped before
    /// its end.
    pub(crate) fn lend(body: Incoming, left_unread: &Arc<AtomicBool>) -> (Self, Unread) {
        if body.is_end_stream() {
            return (Self(None), Unread(None));
        }
        let lent = Lent { body, ended: false, left_unread: left_unread.clone() };
        let shared = Some(Arc::new(Mutex::new(lent)));
        (Self(shared.clone()), Unread(shared))
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let Some(body) = &self.0 else { return Poll::Ready(None) };
        body.lock().unwrap_or_else(PoisonError::into_inner).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.0.as_ref().is_none_or(|body| body.lock().unwrap_or_else(PoisonError::into_inner).is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        let hint = |lent: &Arc<Mutex<Lent>>| lent.lock().unwrap_or_else(PoisonError::into_inner).body.size_hint();
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
            while let Some(frame) = poll_fn(|cx| body.poll_frame(cx)).await {
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
