//! TLS settings of every request: certificates are always verified, with Mozilla's roots and the
//! operator's own authorities.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

use super::error::{AuthorityFileError, EgressSetupError};
use crate::pem;

/// Reads Mozilla's roots and the certificates of PEM files, each with the setting that names it.
pub(super) fn roots<'f>(
    files: impl IntoIterator<Item = (String, &'f Path)>,
) -> Result<RootCertStore, EgressSetupError> {
    let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    for (key, path) in files {
        add(&mut roots, path).map_err(|source| EgressSetupError::Authorities { key, source })?;
    }
    Ok(roots)
}

/// Returns settings for TLS 1.2 and 1.3. Sessions are resumed only by clients with the same settings,
/// so two clients with other roots never share one.
pub(super) fn client_config(roots: RootCertStore) -> Result<ClientConfig, EgressSetupError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|_| EgressSetupError::Client)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    // A vault talks to few servers; the default keeps 256 sessions.
    config.resumption = Resumption::in_memory_sessions(16);
    Ok(config)
}

/// Checks that a file has certificates of authorities, all of them usable.
pub fn check_authorities(path: &Path) -> Result<(), AuthorityFileError> {
    add(&mut RootCertStore::empty(), path)
}

fn add(roots: &mut RootCertStore, path: &Path) -> Result<(), AuthorityFileError> {
    let bytes = fs::read(path).map_err(|source| AuthorityFileError::Unreadable { path: path.to_owned(), source })?;
    let none = || AuthorityFileError::NoCertificate(path.to_owned());
    let certificates: Vec<CertificateDer<'_>> = CertificateDer::pem_slice_iter(pem::repaired(&bytes).as_bytes())
        .collect::<Result<_, _>>()
        .map_err(|_| none())?;
    if certificates.is_empty() {
        return Err(none());
    }
    for certificate in certificates {
        roots.add(certificate).map_err(|_| none())?;
    }
    Ok(())
}
