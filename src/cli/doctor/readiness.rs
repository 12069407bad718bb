//! Readiness check of the running server, as an orchestrator's probe does it.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpStream, UnixStream};

use crate::config::{Listen, TlsFiles};

/// Time limit of the check.
const TIME_LIMIT: Duration = Duration::from_secs(5);

/// Request for the state of the server.
pub(in crate::cli) const READYZ: &str = "GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

/// Request to the forward proxy without an API key, which it answers with 407.
pub(in crate::cli) const CONNECT: &str = "CONNECT localhost:443 HTTP/1.1\r\nHost: localhost:443\r\n\r\n";

/// Sends a request and returns the status. With TLS no request is sent and the result is `None` if
/// the server accepts a connection, because the certificate names another host than the address.
pub(in crate::cli) async fn ask(listen: &Listen, tls: Option<&TlsFiles>, request: &str) -> io::Result<Option<u16>> {
    let answer = async {
        match listen {
            Listen::Tcp { host, port } => {
                let stream = TcpStream::connect((host.as_str(), *port)).await?;
                if tls.is_some() { Ok(None) } else { exchange(stream, request).await.map(Some) }
            }
            Listen::Unix(path) => exchange(UnixStream::connect(path).await?, request).await.map(Some),
        }
    };
    within(TIME_LIMIT, answer).await
}

async fn within<T>(limit: Duration, answer: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    match tokio::time::timeout(limit, answer).await {
        Ok(answer) => answer,
        Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, format!("no answer within {} s", limit.as_secs()))),
    }
}

async fn exchange(mut stream: impl AsyncRead + AsyncWrite + Unpin, request: &str) -> io::Result<u16> {
    let mut line = [0; 12];
    stream.write_all(request.as_bytes()).await?;
    stream.read_exact(&mut line).await?;
    let status = line.strip_prefix(b"HTTP/1.1 ").and_then(|digits| std::str::from_utf8(digits).ok()?.parse().ok());
    status.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "the server there does not speak HTTP"))
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn answered(bytes: &[u8]) -> io::Result<u16> {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        theirs.write_all(bytes).await.unwrap();
        theirs.shutdown().await.unwrap();
        exchange(ours, READYZ).await
    }

    #[tokio::test]
    async fn readiness_is_read_from_the_status_line() {
        assert_eq!(answered(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap(), 200);
        assert_eq!(answered(b"HTTP/1.1 503 Service Unavailable\r\n\r\n").await.unwrap(), 503);
        for bytes in [b"SSH-2.0-OpenSSH_9.2".as_slice(), b"HTTP/1.1 ", b""] {
            assert!(answered(bytes).await.is_err());
        }
    }

    #[tokio::test]
    async fn silent_server_times_out() {
        let (ours, _theirs) = UnixStream::pair().unwrap();
        let answer = within(Duration::from_millis(20), exchange(ours, READYZ)).await;
        assert_eq!(answer.unwrap_err().kind(), io::ErrorKind::TimedOut);
    }
}
