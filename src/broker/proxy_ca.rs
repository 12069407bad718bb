//! The certification authority of the forward proxy. Its key is created when first needed, sealed in
//! the vault, and never exported.

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    PKCS_ECDSA_P256_SHA256, SerialNumber,
};
use ring::digest;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use zeroize::Zeroizing;

use super::error::Error;
use super::parts::Broker;
use super::vault_admin::VaultAdmin;
use crate::clock::UnixTime;
use crate::random::Random;
use crate::vault::{AuditContext, SealedCa, Vault};

/// Validity of the certificate in seconds: five years.
const VALIDITY: u64 = 5 * 365 * 86_400;

/// Time before now at which certificates begin, for clients whose clocks are behind.
const LEEWAY: u64 = 3_600;

/// Issuer of the certificates that clients of the forward proxy see.
pub struct ProxyCa {
    /// The certificate.
    pub certificate: CertificateDer<'static>,
    /// The name and the key that sign.
    pub issuer: Issuer<'static, KeyPair>,
}

impl ProxyCa {
    fn open(sealed: &SealedCa) -> Result<Self, Error> {
        let key = key_of(&sealed.key)?;
        let issuer = Issuer::new(parameters(&key), key);
        Ok(Self { certificate: sealed.certificate.clone().into(), issuer })
    }

    /// Returns the certificate in PEM.
    pub fn pem(&self) -> String {
        pem(&self.certificate)
    }

    /// Returns the SHA-256 of the certificate as `openssl x509 -fingerprint` writes it.
    pub fn fingerprint(&self) -> String {
        let digest = digest::digest(&digest::SHA256, &self.certificate);
        digest.as_ref().iter().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>().join(":")
    }
}

fn pem(der: &[u8]) -> String {
    use base64::Engine as _;
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    let lines: Vec<&str> = text.as_bytes().chunks(64).filter_map(|line| std::str::from_utf8(line).ok()).collect();
    format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"))
}

fn key_of(pkcs8: &[u8]) -> Result<KeyPair, Error> {
    let der = PrivatePkcs8KeyDer::from(pkcs8);
    KeyPair::from_pkcs8_der_and_sign_algo(&der, &PKCS_ECDSA_P256_SHA256).map_err(|_| Error::ProxyCa)
}

/// Returns the parameters of the authority, without its dates. Its name tells authorities of several
/// vaults apart.
fn parameters(key: &KeyPair) -> CertificateParams {
    let digest = digest::digest(&digest::SHA256, key.public_key_raw());
    let short = digest.as_ref().iter().take(4).fold(0_u32, |short, byte| short << 8 | u32::from(*byte));
    let mut parameters = CertificateParams::default();
    parameters.distinguished_name = DistinguishedName::new();
    parameters.distinguished_name.push(DnType::CommonName, format!("Strongroom proxy {short:08x}"));
    parameters.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    parameters
}

/// Sets dates around now, and a random serial number.
pub fn set_dates_and_serial(parameters: &mut CertificateParams, now: UnixTime, seconds: u64, random: Random) {
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    let now = u64::try_from(now.0).unwrap_or_default();
    let at = |seconds| epoch + std::time::Duration::from_secs(seconds);
    parameters.not_before = at(now.saturating_sub(LEEWAY));
    parameters.not_after = at(now + seconds - LEEWAY);
    let mut serial: [u8; 16] = random.bytes();
    // Positive and without a zero at its beginning, so that it has one encoding (DER).
    serial[0] = serial[0] & 0x7f | 0x40;
    parameters.serial_number = Some(SerialNumber::from_slice(&serial));
}

fn generate(now: UnixTime, random: Random) -> Result<SealedCa, Error> {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(|_| Error::ProxyCa)?;
    let mut parameters = parameters(&key);
    set_dates_and_serial(&mut parameters, now, VALIDITY, random);
    let certificate = parameters.self_signed(&key).map_err(|_| Error::ProxyCa)?;
    Ok(SealedCa { key: Zeroizing::new(key.serialize_der()), certificate: certificate.der().to_vec() })
}

async fn current_or_new(vault: &Vault, now: UnixTime, who: &AuditContext) -> Result<ProxyCa, Error> {
    let sealed = match vault.proxy_cas().current()? {
        Some(sealed) => sealed,
        None => vault.proxy_cas().keep(generate(now, Random)?, false, who).await?,
    };
    ProxyCa::open(&sealed)
}

impl Broker {
    /// Returns the authority; the first call creates it.
    pub async fn proxy_ca(&self) -> Result<ProxyCa, Error> {
        current_or_new(&self.0.vault, self.0.clock.now(), &AuditContext::system()).await
    }
}

impl VaultAdmin {
    /// Returns the authority of the forward proxy; the first call creates it.
    pub async fn proxy_ca(&self) -> Result<ProxyCa, Error> {
        current_or_new(&self.vault, self.clock.now(), &self.who).await
    }

    /// Replaces the authority of the forward proxy. Clients must trust the new certificate.
    pub async fn renew_proxy_ca(&self) -> Result<ProxyCa, Error> {
        let new = generate(self.clock.now(), Random)?;
        ProxyCa::open(&self.vault.proxy_cas().keep(new, true, &self.who).await?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn authority_signs_no_other_authority() {
        let sealed = generate(UnixTime(1_800_000_000), Random).unwrap();
        let holds = |der: &[u8]| sealed.certificate.windows(der.len()).any(|window| window == der);
        // Critical extension basicConstraints: cA TRUE, pathLenConstraint 0 (RFC 5280 §4.2.1.9).
        let constraints =
            [0x55, 0x1d, 0x13, 0x01, 0x01, 0xff, 0x04, 0x08, 0x30, 0x06, 0x01, 0x01, 0xff, 0x02, 0x01, 0x00];
        // keyUsage: keyCertSign and cRLSign (§4.2.1.3).
        let usage = [0x55, 0x1d, 0x0f, 0x01, 0x01, 0xff, 0x04, 0x04, 0x03, 0x02, 0x01, 0x06];
        assert!(holds(&constraints) && holds(&usage), "{:02x?}", sealed.certificate);
        assert!(!holds(&sealed.key) && ProxyCa::open(&sealed).is_ok());
    }
}
