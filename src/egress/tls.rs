//! TLS settings of every request: certificates are always verified, with Mozilla's roots and the
//! operator's own authorities.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

use super::error::EgressSetupError;
use crate::pem;

/// Returns settings for TLS 1.2 and 1.3 with Mozilla's roots and the certificates of the PEM files.
pub(super) fn client_config(ca_certificates: &[PathBuf]) -> Result<ClientConfig, EgressSetupError> {
    let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    for path in ca_certificates {
        add(&mut roots, path)?;
    }
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

fn add(roots: &mut RootCertStore, path: &Path) -> Result<(), EgressSetupError> {
    let bytes = fs::read(path).map_err(|source| EgressSetupError::Unreadable { path: path.to_owned(), source })?;
    let none = || EgressSetupError::NoCertificate(path.to_owned());
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
