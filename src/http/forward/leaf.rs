//! Certificates of the hosts in tunnels, signed by the proxy's own authority: one for each host, and
//! one key for all of them in this process.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rcgen::{CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, KeyPair, KeyUsagePurpose, SanType};
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use crate::broker::{ProxyCa, set_dates_and_serial};
use crate::clock::UnixTime;
use crate::random::Random;

/// Validity of a certificate in seconds: 72 hours.
const VALIDITY: u64 = 72 * 3_600;

/// Time for which a certificate is used.
const USED_FOR: Duration = Duration::from_secs(24 * 3_600);

/// Maximum number of hosts with a certificate.
const MAX_HOSTS: usize = 1_024;

/// The certificates in use.
pub(super) struct Leaves {
    key: KeyPair,
    random: Random,
    hosts: Mutex<HashMap<String, Leaf>>,
}

struct Leaf {
    config: Arc<ServerConfig>,
    /// Certificate of the authority that signed it.
    signer: Vec<u8>,
    made: Instant,
    used: Instant,
}

impl Leaves {
    /// Creates the key of this process.
    ///
    /// # Panics
    /// If the operating system has no random bytes.
    pub(super) fn new(random: Random) -> Self {
        let key = KeyPair::generate().expect("the operating system's random source never fails after boot");
        Self { key, random, hosts: Mutex::default() }
    }

    /// Returns the TLS of a host, with a new certificate at first and after a day. `None` if the host
    /// cannot have one.
    pub(super) fn config(&self, host: &str, ca: &ProxyCa, now: UnixTime) -> Option<Arc<ServerConfig>> {
        let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        let is_current = |leaf: &Leaf| leaf.made.elapsed() < USED_FOR && leaf.signer == ca.certificate.as_ref();
        if let Some(leaf) = hosts.get_mut(host).filter(|leaf| is_current(leaf)) {
            leaf.used = Instant::now();
            return Some(leaf.config.clone());
        }
        let config = Arc::new(self.sign(host, ca, now).ok()?);
        if hosts.len() >= MAX_HOSTS
            && let Some(oldest) = hosts.iter().min_by_key(|(_, leaf)| leaf.used).map(|(host, _)| host.clone())
        {
            hosts.remove(&oldest);
        }
        let (made, signer) = (Instant::now(), ca.certificate.to_vec());
        hosts.insert(host.to_owned(), Leaf { config: config.clone(), signer, made, used: made });
        Some(config)
    }

    fn sign(&self, host: &str, ca: &ProxyCa, now: UnixTime) -> Result<ServerConfig, rustls::Error> {
        let failed = |error: rcgen::Error| rustls::Error::General(error.to_string());
        let mut parameters = CertificateParams::default();
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let name = match bare.parse::<IpAddr>() {
            Ok(address) => SanType::IpAddress(address),
            Err(_) => SanType::DnsName(bare.try_into().map_err(failed)?),
        };
        parameters.subject_alt_names = vec![name];
        parameters.distinguished_name = DistinguishedName::new();
        parameters.distinguished_name.push(DnType::CommonName, "Strongroom proxy");
        parameters.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        // Python 3.13 rejects certificates without it.
        parameters.use_authority_key_identifier_extension = true;
        set_dates_and_serial(&mut parameters, now, VALIDITY, self.random);
        let certificate = parameters.signed_by(&self.key, &ca.issuer).map_err(failed)?;
        let chain = vec![certificate.der().clone(), ca.certificate.clone()];
        let key = PrivatePkcs8KeyDer::from(self.key.serialize_der());
        let mut config = builder().with_single_cert(chain, key.into())?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(config)
    }
}

fn builder() -> rustls::ConfigBuilder<ServerConfig, rustls::server::WantsServerCert> {
    ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("the ring provider has cipher suites for TLS 1.2 and 1.3")
        .with_no_client_auth()
}

/// Returns a TLS without a certificate: every handshake ends with an alert.
pub(super) fn refusing() -> Arc<ServerConfig> {
    Arc::new(builder().with_cert_resolver(Arc::new(NoCertificate)))
}

#[derive(Debug)]
struct NoCertificate;

impl ResolvesServerCert for NoCertificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the contents of the serial number in a certificate.
    fn serial(config: &rcgen::Certificate) -> Vec<u8> {
        // Two SEQUENCEs, the version (5 bytes), and an INTEGER.
        let content = |der: &[u8]| der[if der[1] < 128 { 2 } else { 2 + usize::from(der[1] & 127) }..].to_vec();
        let fields = content(&content(config.der()))[5..].to_vec();
        assert_eq!(fields[0], 2, "an INTEGER");
        fields[2..2 + usize::from(fields[1])].to_vec()
    }

    #[test]
    fn serial_numbers_are_random_and_minimal() {
        let key = KeyPair::generate().unwrap();
        let mut seen = std::collections::HashSet::new();
        for _ in 0..10_000 {
            let mut parameters = CertificateParams::new(vec!["a.example".to_owned()]).unwrap();
            set_dates_and_serial(&mut parameters, UnixTime(1_800_000_000), VALIDITY, Random);
            let serial = serial(&parameters.self_signed(&key).unwrap());
            assert!(serial.len() == 16 && (0x40..0x80).contains(&serial[0]), "{serial:x?}");
            assert!(seen.insert(serial));
        }
    }

    #[test]
    fn flood_of_hosts_leaves_the_latest_certificates() {
        let key = KeyPair::generate().unwrap();
        let parameters = CertificateParams::default();
        let certificate = parameters.self_signed(&key).unwrap().der().clone();
        let ca = ProxyCa { certificate, issuer: rcgen::Issuer::new(parameters, key) };
        let leaves = Leaves::new(Random);
        let config = |host: &str| leaves.config(host, &ca, UnixTime(1_800_000_000)).unwrap();
        let used = config("used.example");
        for n in 0..MAX_HOSTS + 100 {
            config(&format!("{n}.example"));
            assert!(Arc::ptr_eq(&used, &config("used.example")), "a host in use keeps its certificate");
            assert!(leaves.hosts.lock().unwrap().len() <= MAX_HOSTS);
        }
    }
}
