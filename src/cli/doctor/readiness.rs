//! Asks the running server whether it is ready, at the address of the settings, as a probe of an orchestrator would.

use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use crate::config::{Listen, ServerSettings};

/// How long the server may take for each step.
const PATIENCE: Duration = Duration::from_secs(5);

/// What came of it.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::cli) enum Answer {
    /// It is ready.
    Ready,
    /// It takes connections; with TLS nothing is asked, for its certificate is for another name than the address.
    TakesConnections,
    /// It answered with this status.
    NotReady(u16),
}

/// Asks `GET /readyz`. `None` where the settings leave the port open, so that nobody can know it.
pub(in crate::cli) fn ask(server: &ServerSettings) -> Option<io::Result<Answer>> {
    match &server.listen {
        Listen::Tcp { port: 0, .. } => None,
        Listen::Tcp { host, port } => Some(connect(host, *port).and_then(|stream| match &server.tls {
            Some(_) => Ok(Answer::TakesConnections),
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

fn exchange(mut stream: impl Read + Write) -> io::Result<Answer> {
    let mut line = [0; 12];
    stream
        .write_all(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        .and_then(|()| stream.read_exact(&mut line))
        .map_err(|error| match error.kind() {
            // What a socket says whose time is up.
            io::ErrorKind::WouldBlock => {
                io::Error::new(io::ErrorKind::TimedOut, format!("no answer within {} s", PATIENCE.as_secs()))
            }
            _ => error,
        })?;
    let status = line.strip_prefix(b"HTTP/1.1 ").and_then(|digits| std::str::from_utf8(digits).ok()?.parse().ok());
    match status {
        Some(200) => Ok(Answer::Ready),
        Some(status) => Ok(Answer::NotReady(status)),
        None => Err(io::Error::new(io::ErrorKind::InvalidData, "what answers there is no HTTP server")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(bytes: &[u8]) -> io::Result<Answer> {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        theirs.write_all(bytes).unwrap();
        theirs.shutdown(std::net::Shutdown::Write).unwrap();
        exchange(ours)
    }

    #[test]
    fn readiness_is_read_from_the_status_line() {
        assert_eq!(answered(b"HTTP/1.1 200 OK\r\n\r\n").unwrap(), Answer::Ready);
        assert_eq!(answered(b"HTTP/1.1 503 Service Unavailable\r\n\r\n").unwrap(), Answer::NotReady(503));
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
