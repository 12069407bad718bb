//! Listeners: a TCP port, with or without TLS, or a Unix socket that only its owner may open.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixStream as StdUnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::net::{TcpListener, TcpStream, ToSocketAddrs, UnixListener, UnixSocket, UnixStream};
use tokio_util::either::Either;

use super::tls::{Tls, TlsError};
use crate::config::{Listen, TlsFiles};

/// Error of a listener that cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// The address or the path cannot be listened on.
    #[error("cannot listen on {listen}: {source}")]
    Address {
        /// Address in the settings.
        listen: Listen,
        /// Error of the system.
        source: io::Error,
    },
    /// The certificate or its key cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// A bound listener.
#[derive(Debug)]
pub struct Listener {
    pub(crate) socket: Socket,
    pub(crate) tls: Option<Arc<Tls>>,
    /// True if it is the forward proxy's, and not the API's.
    pub(crate) is_forward_proxy: bool,
    /// Removed when the listener is dropped.
    _file: Option<SocketFile>,
}

#[derive(Debug)]
pub(crate) enum Socket {
    Tcp(TcpListener),
    Unix(UnixListener),
}

/// An accepted connection, with the address of its peer unless it is a Unix socket.
pub(crate) type Accepted = (Either<TcpStream, UnixStream>, Option<IpAddr>);

impl Listener {
    /// Listens on an address of the settings, with TLS if they name a certificate.
    pub async fn open(listen: &Listen, tls: Option<&TlsFiles>) -> Result<Self, ListenError> {
        let failed = |source| ListenError::Address { listen: listen.clone(), source };
        let listener = match listen {
            Listen::Tcp { host, port } => Self::tcp((host.as_str(), *port)).await.map_err(failed)?,
            Listen::Unix(path) => Self::unix(path).map_err(failed)?,
        };
        Ok(match tls {
            Some(files) => listener.with_tls(Tls::load(&files.certificate, &files.key)?),
            None => listener,
        })
    }

    /// Listens on a TCP port; port 0 picks a free one.
    pub async fn tcp(address: impl ToSocketAddrs) -> io::Result<Self> {
        Ok(Self {
            socket: Socket::Tcp(TcpListener::bind(address).await?),
            tls: None,
            is_forward_proxy: false,
            _file: None,
        })
    }

    /// Listens on a Unix socket with the mode 0600.
    ///
    /// The socket of a server that no longer runs is replaced. The socket of a running server, or a
    /// file that is not a socket, is an error.
    pub fn unix(path: &Path) -> io::Result<Self> {
        remove_stale(path)?;
        let socket = UnixSocket::new_stream()?;
        socket.bind(path)?;
        // No client can connect before the socket listens.
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
        let listener = socket.listen(1024)?;
        let file = SocketFile { path: path.to_owned(), inode: std::fs::metadata(path)?.ino() };
        Ok(Self { socket: Socket::Unix(listener), tls: None, is_forward_proxy: false, _file: Some(file) })
    }

    /// Adds TLS.
    #[must_use]
    pub fn with_tls(self, tls: Tls) -> Self {
        Self { tls: Some(Arc::new(tls)), ..self }
    }

    /// Makes it the listener of the forward proxy.
    #[must_use]
    pub fn for_forward_proxy(self) -> Self {
        Self { is_forward_proxy: true, ..self }
    }

    /// Returns the address of a TCP listener, with the port that was picked.
    pub fn address(&self) -> Option<SocketAddr> {
        match &self.socket {
            Socket::Tcp(listener) => listener.local_addr().ok(),
            Socket::Unix(_) => None,
        }
    }

    pub(crate) async fn accept(&self) -> io::Result<Accepted> {
        match &self.socket {
            Socket::Tcp(listener) => {
                let (stream, address) = listener.accept().await?;
                // A response is written in one piece: Nagle's algorithm would only delay it.
                stream.set_nodelay(true).ok();
                Ok((Either::Left(stream), Some(address.ip())))
            }
            Socket::Unix(listener) => Ok((Either::Right(listener.accept().await?.0), None)),
        }
    }
}

/// File of a Unix socket. Dropping it removes the file, unless another server has replaced it.
#[derive(Debug)]
struct SocketFile {
    path: PathBuf,
    inode: u64,
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if std::fs::symlink_metadata(&self.path).is_ok_and(|file| file.ino() == self.inode) {
            std::fs::remove_file(&self.path).ok();
        }
    }
}

fn remove_stale(path: &Path) -> io::Result<()> {
    let Ok(file) = std::fs::symlink_metadata(path) else { return Ok(()) };
    if !file.file_type().is_socket() {
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, "the path exists and is not a socket"));
    }
    if StdUnixStream::connect(path).is_ok() {
        return Err(io::Error::new(io::ErrorKind::AddrInUse, "another server answers on this socket"));
    }
    std::fs::remove_file(path)
}
