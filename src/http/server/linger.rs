//! The end of a connection whose peer is still sending.
//!
//! If a server closes a socket that has unread bytes, the peer gets a reset, and that can overtake an
//! early 401 or 413 (RFC 9112 §9.6). So the server ends its own direction first, and discards what
//! still arrives.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

/// A stream whose shutdown goes on until the peer ends its direction too, if a body was left unread.
pub(super) struct LingeringStream<S> {
    stream: S,
    left_unread: Arc<AtomicBool>,
    limit: Duration,
    /// The end of this, once the own direction is ended.
    lingering: Option<Pin<Box<Sleep>>>,
}

impl<S> LingeringStream<S> {
    /// It lingers for at most `limit`.
    pub(super) fn new(stream: S, left_unread: Arc<AtomicBool>, limit: Duration) -> Self {
        Self { stream, left_unread, limit, lingering: None }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for LingeringStream<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, to: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, to)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for LingeringStream<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.lingering.is_none() {
            ready!(Pin::new(&mut this.stream).poll_shutdown(cx))?;
        }
        if !this.left_unread.load(Ordering::Relaxed) {
            return Poll::Ready(Ok(()));
        }
        let limit = this.limit;
        let end = this.lingering.get_or_insert_with(|| Box::pin(tokio::time::sleep(limit)));
        let mut buffer = [0; 8 * 1024];
        while end.as_mut().poll(cx).is_pending() {
            let mut read = ReadBuf::new(&mut buffer);
            let is_read = ready!(Pin::new(&mut this.stream).poll_read(cx, &mut read)).is_ok();
            if !is_read || read.filled().is_empty() {
                break;
            }
        }
        Poll::Ready(Ok(()))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, parts)
    }
}
