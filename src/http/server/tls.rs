//! TLS from PEM files, which are read again when they change. If the new files are invalid, the old
//! ones stay in use.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use zeroize::Zeroizing;

use crate::pem;

/// Error of a certificate or key that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("cannot read {}: {_1}", _0.display())]
    Unreadable(PathBuf, io::Error),
    /// A file is not PEM, or has no certificate or no private key.
    #[error("{} holds no {_1} in PEM form: {_2}", _0.display())]
    NotPem(PathBuf, &'static str, &'static str),
    /// The key does not belong to the certificate, or rustls does not support it.
    #[error("the certificate and the key do not make a pair: {0}")]
    Mismatch(rustls::Error),
}

/// The certificate in use.
#[derive(Debug)]
pub struct Tls {
    certificate: PathBuf,
    key: PathBuf,
    current: ArcSwap<ServerConfig>,
    seen: Mutex<Seen>,
}

#[derive(Debug)]
struct Seen {
    looked: Instant,
    stamps: [Stamp; 2],
}

/// Modification time and size of a file; another value means that the file has changed.
type Stamp = Option<(SystemTime, u64)>;

impl Tls {
    /// Reads both files: the certificate chain with the server's own certificate first, and the
    /// private key.
    pub fn load(certificate: &Path, key: &Path) -> Result<Self, TlsError> {
        let stamps = [stamp(certificate), stamp(key)];
        Ok(Self {
            certificate: certificate.to_owned(),
            key: key.to_owned(),
            current: ArcSwap::from_pointee(read(certificate, key)?),
            seen: Mutex::new(Seen { looked: Instant::now(), stamps }),
        })
    }

    /// Returns the configuration for a new connection. Checks the files if the last check was at
    /// least `every` ago.
    pub(crate) fn current(&self, every: Duration) -> Arc<ServerConfig> {
        if self.changed(every) {
            match read(&self.certificate, &self.key) {
                Ok(config) => {
                    self.current.store(Arc::new(config));
                    tracing::info!("the TLS certificate was read again");
                }
                Err(error) => tracing::error!(%error, "the new TLS files cannot be used; the old ones stay in use"),
            }
        }
        self.current.load_full()
    }

    fn changed(&self, every: Duration) -> bool {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.looked.elapsed() < every {
            return false;
        }
        let stamps = [stamp(&self.certificate), stamp(&self.key)];
        let changed = stamps != seen.stamps;
        *seen = Seen { looked: Instant::now(), stamps };
        changed
    }
}

fn stamp(path: &Path) -> Stamp {
    let metadata = fs::metadata(path).ok()?;
    Some((metadata.modified().ok()?, metadata.len()))
}

fn read(certificate: &Path, key: &Path) -> Result<ServerConfig, TlsError> {
    let open = |path: &Path| match fs::read(path) {
        Ok(bytes) => Ok(Zeroizing::new(bytes)),
        Err(source) => Err(TlsError::Unreadable(path.to_owned(), source)),
    };
    let (chain_pem, key_pem) = (open(certificate)?, open(key)?);
    let none = |path: &Path, what, bytes: &[u8]| TlsError::NotPem(path.to_owned(), what, pem::describe(bytes));
    let chain: Vec<_> = CertificateDer::pem_slice_iter(pem::repaired(&chain_pem).as_bytes())
        .collect::<Result<_, _>>()
        .map_err(|_| none(certificate, "certificate", &chain_pem))?;
    if chain.is_empty() {
        return Err(none(certificate, "certificate", &chain_pem));
    }
    let private = PrivateKeyDer::from_pem_slice(pem::repaired(&key_pem).as_bytes())
        .map_err(|_| none(key, "private key", &key_pem))?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("the ring provider has cipher suites for TLS 1.2 and 1.3")
        .with_no_client_auth()
        .with_single_cert(chain, private)
        .map_err(TlsError::Mismatch)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}
