//! One connection's bytes: keeps time while nothing happens, keeps each head for a second look, and gives the refusals
//! that hyper writes on its own the same shape as every other answer.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http::StatusCode;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

use super::head::HeadFacts;
use super::limits::Limits;

/// What the connection's bytes and its requests know of each other.
#[derive(Debug)]
pub(super) struct Watch {
    born: Instant,
    /// Milliseconds after `born` since when the next request is awaited; 0 while one is being answered.
    waiting_since: AtomicU64,
    stopping: AtomicBool,
    recording: Mutex<Recording>,
}

/// The bytes since the end of the last request.
#[derive(Debug, Default)]
struct Recording {
    bytes: Vec<u8>,
    /// Bytes of the last request's body that have not come yet.
    body_left: u64,
    /// After a chunked body nobody here knows where the next head begins: such a connection is closed.
    over: bool,
    started: Option<Instant>,
    /// Whether a request was answered already on this connection.
    used: bool,
}

impl Watch {
    /// A connection that has just been accepted.
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            born: Instant::now(),
            waiting_since: AtomicU64::new(1),
            stopping: AtomicBool::new(false),
            recording: Mutex::default(),
        })
    }

    /// How long it has been waiting for a request; nothing while one is being answered.
    pub(super) fn waiting(&self) -> Option<Duration> {
        let since = self.waiting_since.load(Ordering::Relaxed);
        (since > 0).then(|| self.born.elapsed().saturating_sub(Duration::from_millis(since)))
    }

    /// From now on an idle connection is at its end.
    pub(super) fn stop(&self) {
        self.stopping.store(true, Ordering::Relaxed);
    }

    /// A request was dispatched: what its head said. `body` is the length of its body, or nothing where it is chunked.
    pub(super) fn request_begins(&self, body: Option<u64>) -> HeadFacts {
        self.waiting_since.store(0, Ordering::Relaxed);
        let mut recording = self.recording();
        let (facts, length) = HeadFacts::read(&recording.bytes).unwrap_or_default();
        recording.bytes.drain(..length);
        recording.used = true;
        recording.started = None;
        match body {
            None => (recording.over, recording.bytes) = (true, Vec::new()),
            Some(body) => {
                let here = usize::try_from(body).unwrap_or(usize::MAX).min(recording.bytes.len());
                recording.bytes.drain(..here);
                recording.body_left = body - here as u64;
            }
        }
        facts
    }

    /// The answer was handed over: the time until the next request begins to count.
    pub(super) fn request_ends(&self) {
        self.waiting_since.store(self.now(), Ordering::Relaxed);
        let mut recording = self.recording();
        if !recording.bytes.is_empty() {
            recording.started = Some(Instant::now());
        }
    }

    /// The caller took a part of its answer: that is not idleness.
    fn answer_goes_on(&self) {
        if self.waiting_since.load(Ordering::Relaxed) > 0 {
            self.waiting_since.store(self.now(), Ordering::Relaxed);
        }
    }

    /// Milliseconds after the connection's beginning, never 0.
    fn now(&self) -> u64 {
        u64::try_from(self.born.elapsed().as_millis()).unwrap_or(u64::MAX).max(1)
    }

    fn record(&self, fresh: &[u8]) {
        let mut recording = self.recording();
        if recording.over {
            return;
        }
        let body = usize::try_from(recording.body_left).unwrap_or(usize::MAX).min(fresh.len());
        recording.body_left -= body as u64;
        let head = &fresh[body..];
        if !head.is_empty() {
            recording.started.get_or_insert_with(Instant::now);
            recording.bytes.extend_from_slice(head);
        }
    }

    /// Until when the next bytes may come, and whether a part of a head is there; nothing while a request is answered.
    fn deadline(&self, limits: &Limits) -> Option<(Instant, bool)> {
        let since = self.waiting_since.load(Ordering::Relaxed);
        if since == 0 {
            return None;
        }
        let recording = self.recording();
        Some(match recording.started {
            Some(started) => (started + limits.header_time, true),
            None if recording.used => (self.born + Duration::from_millis(since) + limits.idle_time, false),
            None => (self.born + limits.header_time, false),
        })
    }

    fn recording(&self) -> std::sync::MutexGuard<'_, Recording> {
        self.recording.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Makes the whole answer (head and body) to a request that never became one.
pub(super) type Refusal = Arc<dyn Fn(StatusCode) -> Vec<u8> + Send + Sync>;

/// A stream under watch.
pub(super) struct Wire<S> {
    stream: S,
    watch: Arc<Watch>,
    limits: Arc<Limits>,
    refusal: Refusal,
    /// Ours, to be written before anything else.
    pending: Vec<u8>,
    read_timer: Pin<Box<Sleep>>,
    write_timer: Option<Pin<Box<Sleep>>>,
    ending: Ending,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Ending {
    No,
    /// The time for the head is over, and the caller is being told.
    TooLate,
    /// Our half is closed; what still comes is thrown away until then.
    Lingering,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Wire<S> {
    pub(super) fn new(stream: S, watch: Arc<Watch>, limits: Arc<Limits>, refusal: Refusal) -> Self {
        let read_timer = Box::pin(tokio::time::sleep(limits.header_time));
        Self { stream, watch, limits, refusal, pending: Vec::new(), read_timer, write_timer: None, ending: Ending::No }
    }

    /// The end of the stream, where the time is over; else nothing.
    fn poll_deadline(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some((deadline, begun)) = self.watch.deadline(&self.limits) else { return Poll::Pending };
        if !begun && self.watch.stopping.load(Ordering::Relaxed) {
            return Poll::Ready(Ok(()));
        }
        if self.read_timer.deadline() != deadline {
            self.read_timer.as_mut().reset(deadline);
        }
        ready!(self.read_timer.as_mut().poll(cx));
        if begun {
            self.pending = (self.refusal)(StatusCode::REQUEST_TIMEOUT);
            self.ending = Ending::TooLate;
            return self.poll_pending(cx);
        }
        Poll::Ready(Ok(()))
    }

    /// Writes what is ours.
    fn poll_pending(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.pending.is_empty() {
            match Pin::new(&mut self.stream).poll_write(cx, &self.pending) {
                Poll::Ready(written) => {
                    self.pending.drain(..written?);
                    self.write_timer = None;
                }
                Poll::Pending => return self.poll_stalled(cx),
            }
        }
        Poll::Ready(Ok(()))
    }

    /// A write that cannot go on: an error once it has been so for too long.
    fn poll_stalled<T>(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        let time = self.limits.write_time;
        let timer = self.write_timer.get_or_insert_with(|| Box::pin(tokio::time::sleep(time)));
        ready!(timer.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Wire<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.ending == Ending::TooLate {
            return self.poll_pending(cx);
        }
        let before = buffer.filled().len();
        match Pin::new(&mut self.stream).poll_read(cx, buffer) {
            Poll::Ready(Ok(())) => {
                self.watch.record(&buffer.filled()[before..]);
                Poll::Ready(Ok(()))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => self.poll_deadline(cx),
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Wire<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        ready!(self.poll_pending(cx))?;
        if let Some(status) = bare_refusal(bytes) {
            self.pending = (self.refusal)(status);
            return Poll::Ready(Ok(bytes.len()));
        }
        match Pin::new(&mut self.stream).poll_write(cx, bytes) {
            Poll::Ready(written) => {
                self.write_timer = None;
                self.watch.answer_goes_on();
                Poll::Ready(written)
            }
            Poll::Pending => self.poll_stalled(cx),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_pending(cx))?;
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    /// Closes our half and reads on for a moment: a socket closed over unread bytes is reset, and the reset can overtake the
    /// answer to, say, a body that was too large.
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.ending != Ending::Lingering {
            ready!(self.poll_pending(cx))?;
            ready!(Pin::new(&mut self.stream).poll_shutdown(cx))?;
            self.ending = Ending::Lingering;
            let until = Instant::now() + self.limits.linger_time;
            self.read_timer.as_mut().reset(until);
        }
        let mut waste = [0; 4096];
        loop {
            if self.read_timer.as_mut().poll(cx).is_ready() {
                return Poll::Ready(Ok(()));
            }
            let mut buffer = ReadBuf::new(&mut waste);
            match ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buffer)) {
                Ok(()) if !buffer.filled().is_empty() => {}
                Ok(()) | Err(_) => return Poll::Ready(Ok(())),
            }
        }
    }
}

/// The status of an answer that hyper wrote on its own: a head alone, and not one of ours, for ours have a request id.
fn bare_refusal(bytes: &[u8]) -> Option<StatusCode> {
    let status = bytes.strip_prefix(b"HTTP/1.1 ")?.get(..3)?;
    let ours = || bytes.windows(ID.len()).any(|window| window.eq_ignore_ascii_case(ID));
    (status[0] == b'4' && bytes.ends_with(b"\r\n\r\n") && !ours()).then(|| StatusCode::from_bytes(status).ok())?
}

const ID: &[u8] = b"x-request-id:";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_answers_that_hyper_wrote_alone_are_replaced() {
        let bare = b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\n\r\n";
        assert_eq!(bare_refusal(bare), Some(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE));
        assert_eq!(bare_refusal(b"HTTP/1.1 404 Not Found\r\nx-request-id: 1\r\ncontent-length: 0\r\n\r\n"), None);
        assert_eq!(bare_refusal(b"HTTP/1.1 100 Continue\r\n\r\n"), None);
        assert_eq!(bare_refusal(b"{}\r\n\r\n"), None);
    }

    #[test]
    fn the_next_head_begins_where_the_body_ends() {
        let watch = Watch::new();
        watch.record(b"POST / HTTP/1.1\r\nHost: x\r\n\r\nab");
        assert_eq!(watch.request_begins(Some(4)).fault(), None);
        watch.record(b"cdGET / HTTP/1.1\r\n");
        watch.record(b"\r\n");
        assert!(watch.request_begins(Some(0)).fault().is_some(), "the second request has no Host");
        assert!(watch.recording().bytes.is_empty());
    }

    #[test]
    fn a_connection_waits_only_between_requests() {
        let watch = Watch::new();
        assert!(watch.waiting().is_some());
        watch.request_begins(Some(0));
        assert!(watch.waiting().is_none());
        watch.request_ends();
        assert!(watch.waiting().is_some());
    }
}
