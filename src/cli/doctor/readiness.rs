//! Readiness check of the running server, as an orchestrator's probe does it.

use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use crate::config::{Listen, ServerSettings};

/// Time limit of each step.
const PATIENCE: Duration = Duration::from_secs(5);

/// Result of the check.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::cli) enum Readiness {
    /// The server is ready.
    Ready,
    /// The server accepts connections. With TLS no request is sent, because the certificate names
    /// another host than the address.
    TakesConnections,
    /// The server answered with this status.
    NotReady(u16),
}

/// Sends `GET /readyz`. Returns `None` if the settings do not fix the port.
pub(in crate::cli) fn ask(server: &ServerSettings) -> Option<io::Result<Readiness>> {
    match &server.listen {
        Listen::Tcp { port: 0, .. } => None,
        Listen::Tcp { host, port } => Some(connect(host, *port).and_then(|stream| match &server.tls {
            Some(_) => Ok(Readiness::TakesConnections),
            None => exchange(stream),
        })),
        Listen::Unix(path) => Some(UnixStream::connect(path).and_then(|stream| {
            stream.set_read_timeout(Some(PATIENCE))?;
            stream.set_write_timeout(Some(PATIENCE))?;
            exchange(stream)
        })),
    }
}

fn connect(host: &str, port: u16) -> io::Result<TcpStream> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
    for address in (host, port).to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, PATIENCE) {
            Ok(stream) => {
                stream.set_read_timeout(Some(PATIENCE))?;
                stream.set_write_timeout(Some(PATIENCE))?;
                return Ok(stream);
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn exchange(mut stream: impl Read + Write) -> io::Result<Readiness> {
    let mut line = [0; 12];
    stream
        .write_all(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        .and_then(|()| stream.read_exact(&mut line))
        .map_err(|error| match error.kind() {
            // A socket reports its read timeout as WouldBlock.
            io::ErrorKind::WouldBlock => {
                io::Error::new(io::ErrorKind::TimedOut, format!("no answer within {} s", PATIENCE.as_secs()))
            }
            _ => error,
        })?;
    let status = line.strip_prefix(b"HTTP/1.1 ").and_then(|digits| std::str::from_utf8(digits).ok()?.parse().ok());
    match status {
        Some(200) => Ok(Readiness::Ready),
        Some(status) => Ok(Readiness::NotReady(status)),
        None => Err(io::Error::new(io::ErrorKind::InvalidData, "the server there does not speak HTTP")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(bytes: &[u8]) -> io::Result<Readiness> {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        theirs.write_all(bytes).unwrap();
        theirs.shutdown(std::net::Shutdown::Write).unwrap();
        exchange(ours)
    }

    #[test]
    fn readiness_is_read_from_the_status_line() {
        assert_eq!(answered(b"HTTP/1.1 200 OK\r\n\r\n").unwrap(), Readiness::Ready);
        assert_eq!(answered(b"HTTP/1.1 503 Service Unavailable\r\n\r\n").unwrap(), Readiness::NotReady(503));
        for bytes in [b"SSH-2.0-OpenSSH_9.2".as_slice(), b"HTTP/1.1 ", b""] {
            assert!(answered(bytes).is_err());
        }
    }

    #[test]
    fn silent_server_times_out() {
        let (ours, _theirs) = UnixStream::pair().unwrap();
        ours.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        assert_eq!(exchange(ours).unwrap_err().kind(), io::ErrorKind::TimedOut);
    }
}
