//! What a connection's bytes, its requests and the rest of the server know of each other: how long it has been waiting, what
//! the bytes of each head say, and whether it is to end.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::Duration;

use futures_util::task::AtomicWaker;
use tokio::time::Instant;
use zeroize::Zeroizing;

use super::head::HeadFacts;
use crate::http::limits::Limits;
use crate::secret;

/// What the connection's bytes and its requests know of each other, and what others want of it.
#[derive(Debug)]
pub(crate) struct Watch {
    born: Instant,
    /// Milliseconds after `born` since when the next request is awaited; 0 while one is being answered.
    waiting_since: AtomicU64,
    wanted: AtomicU8,
    /// The connection's task, to be told of that.
    task: AtomicWaker,
    recording: Mutex<Recording>,
}

/// How a connection is wanted to go on; never back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Wanted {
    Serve,
    /// It ends when what is under way is answered.
    Stop,
    /// It ends now.
    Cut,
}

/// The bytes since the end of the last request. There are API keys in them, and secrets of bodies.
#[derive(Debug, Default)]
struct Recording {
    bytes: Zeroizing<Vec<u8>>,
    /// Bytes of the last request's body that have not come yet.
    body_left: u64,
    /// After a chunked body nobody here knows where the next head begins: such a connection is closed.
    over: bool,
    started: Option<Instant>,
    /// Whether a request was answered already on this connection.
    used: bool,
}

impl Recording {
    /// Forgets the first bytes: they are not kept for as long as the connection is.
    fn pass_over(&mut self, length: usize) {
        let rest = Zeroizing::new(self.bytes[length..].to_vec());
        self.bytes = rest;
    }
}

impl Watch {
    /// A connection that has just been accepted.
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            born: Instant::now(),
            waiting_since: AtomicU64::new(1),
            wanted: AtomicU8::new(Wanted::Serve as u8),
            task: AtomicWaker::new(),
            recording: Mutex::default(),
        })
    }

    /// Since when it has been waiting for a request; nothing while one is being answered. It looks at no clock: thousands are asked.
    pub(crate) fn waiting_since(&self) -> Option<Instant> {
        let since = self.waiting_since.load(Ordering::Relaxed);
        (since > 0).then(|| self.born + Duration::from_millis(since))
    }

    /// Tells the connection how it is wanted to go on.
    pub(crate) fn want(&self, wanted: Wanted) {
        self.wanted.fetch_max(wanted as u8, Ordering::AcqRel);
        self.task.wake();
    }

    pub(crate) fn wants(&self, wanted: Wanted) -> bool {
        self.wanted.load(Ordering::Acquire) >= wanted as u8
    }

    /// Runs what a connection does, until it is cut.
    pub(crate) async fn until_cut(&self, mut work: Pin<&mut impl Future<Output = ()>>) {
        poll_fn(|cx| {
            self.task.register(cx.waker());
            if self.wants(Wanted::Cut) { Poll::Ready(()) } else { work.as_mut().poll(cx) }
        })
        .await;
    }

    /// Runs what speaks HTTP, within `until_cut`; where it is wanted to stop, `stop` tells it so, once.
    pub(crate) async fn until_done<C: Future>(
        &self,
        mut connection: Pin<&mut C>,
        stop: impl FnOnce(Pin<&mut C>),
    ) -> C::Output {
        let mut stop = Some(stop);
        poll_fn(|cx| {
            if self.wants(Wanted::Stop)
                && let Some(stop) = stop.take()
            {
                stop(connection.as_mut());
            }
            connection.as_mut().poll(cx)
        })
        .await
    }

    /// A request was dispatched: what its head said. `body` is the length of its body, or nothing where it is chunked.
    pub(crate) fn request_begins(&self, body: Option<u64>) -> HeadFacts {
        self.waiting_since.store(0, Ordering::Relaxed);
        let mut recording = self.recording();
        let (facts, length) = HeadFacts::read(&recording.bytes).unwrap_or_default();
        recording.pass_over(length);
        recording.used = true;
        recording.started = None;
        match body {
            None => (recording.over, recording.bytes) = (true, Zeroizing::default()),
            Some(body) => {
                let here = usize::try_from(body).unwrap_or(usize::MAX).min(recording.bytes.len());
                recording.pass_over(here);
                recording.body_left = body - here as u64;
            }
        }
        facts
    }

    /// The answer was handed over: the time until the next request begins to count.
    pub(crate) fn request_ends(&self) {
        self.waiting_since.store(self.now(), Ordering::Relaxed);
        let mut recording = self.recording();
        if !recording.bytes.is_empty() {
            recording.started = Some(Instant::now());
        }
    }

    /// The caller took a part of its answer: that is not idleness.
    pub(crate) fn answer_goes_on(&self) {
        if self.waiting_since.load(Ordering::Relaxed) > 0 {
            self.waiting_since.store(self.now(), Ordering::Relaxed);
        }
    }

    /// Milliseconds after the connection's beginning, never 0.
    fn now(&self) -> u64 {
        u64::try_from(self.born.elapsed().as_millis()).unwrap_or(u64::MAX).max(1)
    }

    pub(crate) fn record(&self, fresh: &[u8]) {
        let mut recording = self.recording();
        if recording.over {
            return;
        }
        let body = usize::try_from(recording.body_left).unwrap_or(usize::MAX).min(fresh.len());
        recording.body_left -= body as u64;
        let head = &fresh[body..];
        if !head.is_empty() {
            recording.started.get_or_insert_with(Instant::now);
            secret::append(&mut recording.bytes, head);
        }
    }

    /// Until when the next bytes may come, and whether a part of a head is there; nothing while a request is answered.
    pub(crate) fn deadline(&self, limits: &Limits) -> Option<(Instant, bool)> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_head_begins_where_the_body_ends() {
        let watch = Watch::new();
        watch.record(b"POST / HTTP/1.1\r\nHost: x\r\n\r\nab");
        assert_eq!(watch.request_begins(Some(4)).fault(), None);
        watch.record(b"cdGET / HTTP/1.1\r\n");
        watch.record(b"\r\n");
        assert!(watch.request_begins(Some(0)).fault().is_some(), "the second request has no Host");
        assert_eq!(watch.recording().bytes.capacity(), 0, "nothing of what was in a head is kept");
    }

    #[test]
    fn a_connection_waits_only_between_requests() {
        let watch = Watch::new();
        assert!(watch.waiting_since().is_some());
        watch.request_begins(Some(0));
        assert!(watch.waiting_since().is_none());
        watch.request_ends();
        assert!(watch.waiting_since().is_some());
    }
}
