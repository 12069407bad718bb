//! Bodies on their way through the proxy: streamed, with limits of time, and masked.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::BodyExt as _;
use http_body_util::combinators::UnsyncBoxBody;
use hyper::body::{Body, Frame, SizeHint};
use tokio::time::Sleep;

use super::mask::{MaskStream, MaskedForms};
use super::refusal::ProxyError;
use super::share::{Reservation, Reserve};
use crate::egress::BoxError;
use crate::permits::KeyedPermit;

/// A streamed body.
pub type StreamedBody = UnsyncBoxBody<Bytes, BoxError>;

/// The progress of a request body.
#[derive(Clone, Debug)]
pub(super) struct Progress(Arc<BodyState>);

#[derive(Debug)]
struct BodyState {
    begun: Instant,
    /// Milliseconds from the beginning to the last frame.
    last: AtomicU64,
    /// True if the body of the caller ended early or is malformed.
    has_failed: AtomicBool,
}

impl Progress {
    pub(super) fn begin() -> Self {
        let state = BodyState { begun: Instant::now(), last: AtomicU64::new(0), has_failed: AtomicBool::new(false) };
        Self(Arc::new(state))
    }

    pub(super) fn note(&self) {
        let elapsed = u64::try_from(self.0.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.0.last.store(elapsed, Ordering::Relaxed);
    }

    pub(super) fn has_failed(&self) -> bool {
        self.0.has_failed.load(Ordering::Acquire)
    }

    /// Waits until there was no progress for this time.
    pub(super) async fn stalls_for(&self, limit: Duration) {
        loop {
            let last = self.0.begun + Duration::from_millis(self.0.last.load(Ordering::Relaxed));
            let left = limit.saturating_sub(last.elapsed());
            if left.is_zero() {
                return;
            }
            tokio::time::sleep(left).await;
        }
    }
}

/// A request body whose progress is noted.
pub(super) struct NotedBody {
    body: StreamedBody,
    progress: Progress,
}

impl NotedBody {
    pub(super) fn new(body: StreamedBody, progress: Progress) -> Self {
        Self { body, progress }
    }
}

impl Body for NotedBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        if polled.is_ready() {
            self.progress.note();
        }
        if let Poll::Ready(Some(Err(_))) = polled {
            self.progress.0.has_failed.store(true, Ordering::Release);
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A body in memory, with its reservation.
struct Held {
    bytes: Vec<u8>,
    _reservation: Reservation,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// Reads a body of at most `most` bytes, for which memory is reserved first; `None` if it is longer.
/// Trailers are dropped.
pub(super) async fn hold(mut body: StreamedBody, most: usize, reserve: &Reserve) -> Result<Option<Bytes>, ProxyError> {
    let announced = body.size_hint().exact().and_then(|length| usize::try_from(length).ok());
    if announced == Some(0) {
        return Ok(Some(Bytes::new()));
    }
    let wanted = announced.unwrap_or(most);
    if wanted > most {
        return Ok(None);
    }
    let reservation = reserve(wanted).ok_or(ProxyError::NoMemory)?;
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|_| ProxyError::Body)?.into_data() else { continue };
        if bytes.len() + data.len() > most {
            return Ok(None);
        }
        bytes.extend_from_slice(&data);
    }
    Ok(Some(Bytes::from_owner(Held { bytes, _reservation: reservation })))
}

/// A response body that may pause only for some time, and whose secrets are masked.
pub(super) struct FilteredBody<B> {
    body: B,
    idle: Duration,
    sleep: Pin<Box<Sleep>>,
    /// True if `sleep` runs: the origin has no data for a caller that reads.
    waiting: bool,
    forms: Arc<MaskedForms>,
    /// Masks the data; `None` if the data pass unchanged.
    masked: Option<MaskStream>,
    /// Trailers that wait for the last masked bytes.
    trailers: Option<http::HeaderMap>,
    ended: bool,
    /// Place of the request among those of its caller.
    _place: RequestPlace,
}

/// Place of a request among those of its caller that are under way.
pub(super) type RequestPlace = KeyedPermit<String>;

impl<B> FilteredBody<B> {
    /// `is_text` is true if the data are masked too, and not only the trailers.
    pub(super) fn new(body: B, idle: Duration, forms: Arc<MaskedForms>, is_text: bool, place: RequestPlace) -> Self {
        let masked = (is_text && !forms.is_empty()).then(|| MaskStream::new(Arc::clone(&forms)));
        let sleep = Box::pin(tokio::time::sleep(idle));
        Self { body, idle, sleep, waiting: false, forms, masked, trailers: None, ended: false, _place: place }
    }
}

/// The origin paused for too long.
#[derive(Debug, thiserror::Error)]
#[error("the provider paused for too long")]
struct Paused;

impl<B> Body for FilteredBody<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        loop {
            if let Some(trailers) = self.trailers.take() {
                return Poll::Ready(Some(Ok(Frame::trailers(trailers))));
            }
            if self.ended {
                return Poll::Ready(None);
            }
            let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) else {
                // The time of a caller that did not read does not count.
                if !self.waiting {
                    self.waiting = true;
                    let end = tokio::time::Instant::now() + self.idle;
                    self.sleep.as_mut().reset(end);
                }
                if self.sleep.as_mut().poll(cx).is_ready() {
                    self.ended = true;
                    return Poll::Ready(Some(Err(Paused.into())));
                }
                return Poll::Pending;
            };
            self.waiting = false;
            let released = match frame {
                None => {
                    self.ended = true;
                    self.masked.as_mut().map(MaskStream::finish).unwrap_or_default()
                }
                Some(Err(error)) => {
                    self.ended = true;
                    return Poll::Ready(Some(Err(error.into())));
                }
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => match &mut self.masked {
                        Some(masked) => masked.push(&data),
                        None => return Poll::Ready(Some(Ok(Frame::data(data)))),
                    },
                    Err(frame) => {
                        if let Ok(mut trailers) = frame.into_trailers() {
                            self.forms.mask_headers(&mut trailers);
                            self.trailers = Some(trailers);
                        }
                        self.masked.as_mut().map(MaskStream::finish).unwrap_or_default()
                    }
                },
            };
            if !released.is_empty() {
                return Poll::Ready(Some(Ok(Frame::data(released.into()))));
            }
        }
    }

    fn size_hint(&self) -> SizeHint {
        // Masking keeps the length; what is held back is not known to the inner body any more.
        if self.masked.is_some() { SizeHint::default() } else { self.body.size_hint() }
    }

    fn is_end_stream(&self) -> bool {
        self.ended && self.trailers.is_none() || self.masked.is_none() && self.body.is_end_stream()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::permits::KeyedSemaphore;

    /// A body that has a frame when the test puts one.
    #[derive(Clone, Default)]
    struct Origin(Arc<Mutex<Option<Bytes>>>);

    impl Body for Origin {
        type Data = Bytes;
        type Error = BoxError;

        fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
            self.0.lock().unwrap().take().map_or(Poll::Pending, |data| Poll::Ready(Some(Ok(Frame::data(data)))))
        }
    }

    #[tokio::test]
    async fn pause_of_the_caller_is_not_one_of_the_origin() {
        let idle = Duration::from_millis(1);
        let (origin, place) = (Origin::default(), KeyedSemaphore::new(1).try_acquire("a".to_owned()).unwrap());
        let forms = Arc::new(MaskedForms::new(&[], &[]));
        let mut body = FilteredBody::new(origin.clone(), idle, forms, false, place);
        let mut poll = || Pin::new(&mut body).poll_frame(&mut Context::from_waker(std::task::Waker::noop()));
        tokio::time::sleep(2 * idle).await;
        assert!(poll().is_pending(), "the caller did not read");
        *origin.0.lock().unwrap() = Some(Bytes::from_static(b"a"));
        assert!(matches!(poll(), Poll::Ready(Some(Ok(_)))));
        tokio::time::sleep(2 * idle).await;
        assert!(poll().is_pending(), "the caller did not read again");
        tokio::time::sleep(2 * idle).await;
        assert!(matches!(poll(), Poll::Ready(Some(Err(_)))), "the origin had its time");
    }
}
