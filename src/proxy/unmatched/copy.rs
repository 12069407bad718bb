//! Copies the bytes of a tunnel. An idle tunnel holds no buffer: one is taken when there is something
//! to read, and given back when all of it is written.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::io::{poll_read_buf, poll_write_buf};

use crate::proxy::body::Progress;

/// Bytes that are read at once.
const CHUNK: usize = 16 * 1024;

/// Time that may pass without a byte after one side has failed, for what the other one had sent
/// before.
const LEFT_OVER: Duration = Duration::from_secs(30);

/// Copies bytes in both directions until both have ended. The end of one direction is passed on, and
/// the other one goes on. If a side takes no more bytes, those that it sent are still delivered.
pub(super) async fn copy_both<A, B>(a: &mut A, b: &mut B, progress: &Progress)
where
    A: AsyncRead + AsyncWrite + Unpin,
    B: AsyncRead + AsyncWrite + Unpin,
{
    let (mut there, mut back) = (Direction::default(), Direction::default());
    let mut until = async |may_fail: bool| {
        poll_fn(|cx| {
            let there_ended = there.poll(cx, &mut *a, &mut *b, progress).is_ready();
            let back_ended = back.poll(cx, &mut *b, &mut *a, progress).is_ready();
            let has_failed = there.state == State::Discarding || back.state == State::Discarding;
            if there_ended && back_ended || has_failed && !may_fail { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    };
    until(false).await;
    tokio::select! {
        () = until(true) => {}
        () = progress.stalls_for(LEFT_OVER) => {}
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Copying,
    /// The target takes no more bytes. They are still read: a socket that is closed with
    /// unread bytes resets the connection, and its peer would lose what we sent last.
    Discarding,
    /// The source has ended, and the end is passed on.
    Ending,
    Ended,
}

/// One direction of a tunnel.
#[derive(Debug, Default)]
struct Direction {
    state: State,
    /// Bytes that are read and not written.
    held: BytesMut,
    /// True if bytes were written and not flushed.
    is_written: bool,
}

impl Direction {
    /// Copies as much as possible. Ready when the direction has ended.
    fn poll<R, W>(&mut self, cx: &mut Context<'_>, from: &mut R, to: &mut W, progress: &Progress) -> Poll<()>
    where
        R: AsyncRead + Unpin,
        W: AsyncWrite + Unpin,
    {
        let (mut from, mut to) = (Pin::new(from), Pin::new(to));
        loop {
            match self.state {
                State::Ended => return Poll::Ready(()),
                State::Ending => {
                    _ = ready!(to.as_mut().poll_shutdown(cx));
                    self.state = State::Ended;
                }
                State::Copying if !self.held.is_empty() => {
                    match ready!(poll_write_buf(to.as_mut(), cx, &mut self.held)) {
                        Ok(written) if written > 0 => {
                            self.is_written = true;
                            progress.note();
                        }
                        _ => {
                            self.held.clear();
                            self.state = State::Discarding;
                        }
                    }
                }
                State::Copying | State::Discarding => {
                    self.held.reserve(CHUNK);
                    match poll_read_buf(from.as_mut(), cx, &mut self.held) {
                        Poll::Pending => {
                            self.held = BytesMut::new();
                            return self.poll_flush(cx, to);
                        }
                        Poll::Ready(Ok(read)) if read > 0 => {
                            if self.state == State::Discarding {
                                self.held.clear();
                            } else {
                                progress.note();
                            }
                        }
                        Poll::Ready(_) => {
                            self.held = BytesMut::new();
                            self.state = if self.state == State::Copying { State::Ending } else { State::Ended };
                        }
                    }
                }
            }
        }
    }

    /// Flushes what was written: TLS would keep it.
    fn poll_flush<W: AsyncWrite>(&mut self, cx: &mut Context<'_>, to: Pin<&mut W>) -> Poll<()> {
        if self.is_written && to.poll_flush(cx).is_ready() {
            self.is_written = false;
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex, join};

    use super::*;

    /// A target that takes no bytes.
    struct Broken;

    impl AsyncWrite for Broken {
        fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, _: &[u8]) -> Poll<io::Result<usize>> {
            Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    #[tokio::test]
    async fn bytes_of_a_side_that_takes_no_more_are_delivered() {
        let (mut peer, mut ours) = duplex(64);
        let answer = vec![5; 100_000];
        let mut server = join(&answer[..], Broken);
        let progress = Progress::begin();
        let peer_side = async {
            // More than fits: it is read, although the server takes none of it.
            peer.write_all(&vec![1; 100_000]).await.unwrap();
            let mut read = vec![0; 100_000];
            peer.read_exact(&mut read).await.unwrap();
            assert!(read == answer && peer.read(&mut [0]).await.unwrap() == 0, "all of it, then the end");
            drop(peer);
        };
        let ours_first = async { copy_both(&mut ours, &mut server, &progress).await };
        tokio::join!(peer_side, ours_first);
    }

    #[test]
    fn idle_direction_holds_no_buffer() {
        let (mut peer, mut from) = duplex(64);
        let (mut to, mut target) = duplex(64);
        let (mut direction, progress) = (Direction::default(), Progress::begin());
        let mut poll = |direction: &mut Direction, to: &mut DuplexStream| {
            let mut cx = Context::from_waker(std::task::Waker::noop());
            direction.poll(&mut cx, &mut from, to, &progress)
        };
        assert!(poll(&mut direction, &mut to).is_pending() && direction.held.capacity() == 0);
        let mut cx = Context::from_waker(std::task::Waker::noop());
        assert!(Pin::new(&mut peer).poll_write(&mut cx, b"bytes").is_ready());
        assert!(poll(&mut direction, &mut to).is_pending() && direction.held.capacity() == 0, "all is written");
        let mut read = [0; 5];
        let mut read = tokio::io::ReadBuf::new(&mut read);
        assert!(Pin::new(&mut target).poll_read(&mut cx, &mut read).is_ready() && read.filled() == b"bytes");
        drop(peer);
        assert!(poll(&mut direction, &mut to).is_ready() && direction.state == State::Ended);
    }
}
