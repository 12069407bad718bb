//! One connection's bytes: keeps time while nothing happens, shows the watch what comes, and gives the refusals that hyper
//! writes on its own the same shape as every other answer.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use http::StatusCode;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

use super::conn_state::{Wanted, Watch};
use crate::http::limits::Limits;

/// Makes the whole answer (head and body) to a request that never became one.
pub(crate) type Refusal = Arc<dyn Fn(StatusCode) -> Vec<u8> + Send + Sync>;

/// A stream under watch.
pub(crate) struct Wire<S> {
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
    pub(crate) fn new(stream: S, watch: Arc<Watch>, limits: Arc<Limits>, refusal: Refusal) -> Self {
        let read_timer = Box::pin(tokio::time::sleep(limits.header_time));
        Self { stream, watch, limits, refusal, pending: Vec::new(), read_timer, write_timer: None, ending: Ending::No }
    }

    /// The end of the stream, where the time is over; else nothing.
    fn poll_deadline(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some((deadline, begun)) = self.watch.deadline(&self.limits) else { return Poll::Pending };
        if !begun && self.watch.wants(Wanted::Stop) {
            return Poll::Ready(Ok(()));
        }
        // To set a timer costs more than to let it come for nothing: one that comes too early is set then, and nearly every
        // request is there before.
        if self.read_timer.deadline() > deadline {
            self.read_timer.as_mut().reset(deadline);
        }
        ready!(self.read_timer.as_mut().poll(cx));
        while self.read_timer.deadline() < deadline {
            self.read_timer.as_mut().reset(deadline);
            ready!(self.read_timer.as_mut().poll(cx));
        }
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

    /// What came of a write of an answer.
    fn poll_written(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        match written {
            Poll::Ready(written) => {
                self.write_timer = None;
                self.watch.answer_goes_on();
                Poll::Ready(written)
            }
            Poll::Pending => self.poll_stalled(cx),
        }
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
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.poll_written(cx, written)
    }

    /// Head and body in one call, neither copied.
    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if let [only] = pieces {
            return self.poll_write(cx, only);
        }
        // What hyper writes on its own is one piece.
        ready!(self.poll_pending(cx))?;
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, pieces);
        self.poll_written(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
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
}
