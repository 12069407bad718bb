//! Bytes over a socket, for what no well-behaved client would send.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// An answer as it came over the wire.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: String,
}

/// A socket that is spoken to in bytes.
pub struct Raw<S> {
    stream: S,
    /// Bytes after the last response.
    ahead: Vec<u8>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Raw<S> {
    pub fn new(stream: S) -> Self {
        Self { stream, ahead: Vec::new() }
    }

    /// Returns the socket, if nothing more was read from it.
    pub fn into_stream(self) -> S {
        assert!(self.ahead.is_empty(), "bytes after the last response");
        self.stream
    }

    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).await.expect("the server takes the bytes");
    }

    /// Sends what the server may be unwilling to take; false if the connection has ended.
    pub async fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.stream.write_all(bytes.as_ref()).await.is_ok()
    }

    /// One whole answer with a `Content-Length`; nothing where the connection ends without one.
    pub async fn answer(&mut self) -> Option<Answer> {
        let mut bytes = std::mem::take(&mut self.ahead);
        let end = loop {
            if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
                break end + 4;
            }
            if self.more(&mut bytes).await == 0 {
                return None;
            }
        };
        let head = String::from_utf8(bytes[..end].to_vec()).expect("a head is ASCII").to_lowercase();
        let length = head.split("content-length: ").nth(1).and_then(|rest| rest.split("\r\n").next()).unwrap_or("0");
        let length: usize = length.parse().expect("a number");
        while bytes.len() < end + length && self.more(&mut bytes).await > 0 {}
        self.ahead = bytes.split_off(bytes.len().min(end + length));
        let status = head.split(' ').nth(1).expect("a status line").parse().expect("a status");
        Some(Answer { status, head, body: String::from_utf8_lossy(&bytes[end..]).into_owned() })
    }

    /// Sends a request and gives its answer.
    pub async fn ask(&mut self, bytes: impl AsRef<[u8]>) -> Answer {
        self.send(bytes).await;
        self.answer().await.expect("an answer")
    }

    /// Waits until the server ends the connection; what it said before that.
    pub async fn end(&mut self) -> String {
        let mut bytes = std::mem::take(&mut self.ahead);
        while self.more(&mut bytes).await > 0 {}
        String::from_utf8_lossy(&bytes).into_owned()
    }

    async fn more(&mut self, bytes: &mut Vec<u8>) -> usize {
        let read = tokio::time::timeout(Duration::from_secs(20), self.stream.read_buf(bytes)).await;
        read.expect("the server does something within 20 s").unwrap_or(0)
    }
}

/// The head and body of a GET.
pub fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: test\r\n\r\n")
}
