//! Private keys for signatures: read from PKCS#8 or generated, and published as JWKs.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::rand::SystemRandom;
use ring::signature::{self, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RsaKeyPair, RsaPublicKeyComponents};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

use super::algorithm::Algorithm;
use crate::pem;

/// Reason why a private key cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Not PEM, or without an unencrypted PKCS#8 key.
    #[error("the file has no PKCS#8 private key (\"BEGIN PRIVATE KEY\"): {0}")]
    NotPkcs8(&'static str),
    /// The key is damaged, or no algorithm uses such a key.
    #[error("the key is damaged or unsupported; use RSA (2048 to 4096 bits), P-256, P-384 or Ed25519")]
    Unusable,
}

/// DER bytes before the seed of an Ed25519 key in PKCS#8 (RFC 8410 §7).
const ED25519_PKCS8: [u8; 16] = [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];

/// DER bytes before the point of an Ed25519 public key in a SubjectPublicKeyInfo (RFC 8410 §4).
const ED25519_SPKI: [u8; 12] = [0x30, 0x2a, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 3, 0x21, 0];

/// A private key for signatures.
pub struct SigningKey {
    pair: Pair,
    id: String,
    pkcs8: Zeroizing<Vec<u8>>,
}

enum Pair {
    Rsa(Box<RsaKeyPair>),
    P256(EcdsaKeyPair),
    P384(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

impl SigningKey {
    /// Generates a key for [`Algorithm::Es256`].
    ///
    /// # Panics
    /// If the operating system has no random bytes.
    pub fn generate() -> Self {
        let algorithm = &signature::ECDSA_P256_SHA256_FIXED_SIGNING;
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(algorithm, &SystemRandom::new())
            .expect("the operating system's random source never fails after boot");
        Self::from_pkcs8(pkcs8.as_ref()).expect("a generated key can be read")
    }

    /// Returns the Ed25519 key of this seed (RFC 8032 §5.1.5).
    pub fn ed25519(seed: &[u8; 32]) -> Self {
        let mut pkcs8 = Zeroizing::new([0; ED25519_PKCS8.len() + 32]);
        pkcs8[..ED25519_PKCS8.len()].copy_from_slice(&ED25519_PKCS8);
        pkcs8[ED25519_PKCS8.len()..].copy_from_slice(seed);
        Self::from_pkcs8(&*pkcs8).expect("every 32 bytes are a seed")
    }

    /// Reads the first PKCS#8 key of a PEM text, and repairs the text if it was pasted.
    ///
    /// # Errors
    /// See [`KeyError`].
    pub fn from_pem(text: &str) -> Result<Self, KeyError> {
        let der = PrivatePkcs8KeyDer::from_pem_slice(pem::repaired(text.as_bytes()).as_bytes())
            .map_err(|_| KeyError::NotPkcs8(pem::describe(text.as_bytes())))?;
        Self::from_pkcs8(der.secret_pkcs8_der())
    }

    /// Reads a PKCS#8 key (RFC 5958). Its id is its thumbprint unless [`SigningKey::with_id`]
    /// sets another.
    ///
    /// # Errors
    /// [`KeyError::Unusable`].
    pub fn from_pkcs8(der: &[u8]) -> Result<Self, KeyError> {
        let random = SystemRandom::new();
        let ec = |algorithm| EcdsaKeyPair::from_pkcs8(algorithm, der, &random).ok();
        let pair = ec(&signature::ECDSA_P256_SHA256_FIXED_SIGNING)
            .map(Pair::P256)
            .or_else(|| ec(&signature::ECDSA_P384_SHA384_FIXED_SIGNING).map(Pair::P384))
            .or_else(|| Ed25519KeyPair::from_pkcs8_maybe_unchecked(der).ok().map(Pair::Ed25519))
            .or_else(|| RsaKeyPair::from_pkcs8(der).ok().map(|pair| Pair::Rsa(Box::new(pair))))
            .ok_or(KeyError::Unusable)?;
        let mut key = Self { pair, id: String::new(), pkcs8: Zeroizing::new(der.to_vec()) };
        key.id = key.thumbprint();
        Ok(key)
    }

    /// Sets the key's id.
    #[must_use]
    pub fn with_id(self, id: impl Into<String>) -> Self {
        Self { id: id.into(), ..self }
    }

    /// Returns the value of `kid`.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Returns the private key in PKCS#8, to be sealed.
    pub fn pkcs8(&self) -> &[u8] {
        &self.pkcs8
    }

    /// Returns the algorithms of the key, the most common first.
    pub fn algorithms(&self) -> &'static [Algorithm] {
        match self.pair {
            Pair::Rsa(_) => &[Algorithm::Rs256, Algorithm::Ps256, Algorithm::Rs384, Algorithm::Rs512],
            Pair::P256(_) => &[Algorithm::Es256],
            Pair::P384(_) => &[Algorithm::Es384],
            Pair::Ed25519(_) => &[Algorithm::EdDsa],
        }
    }

    /// Returns the public key as a JWK with only the members that define the key, for DPoP
    /// proofs.
    pub fn bare_jwk(&self) -> Map<String, Value> {
        let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let on_curve = |name: &str, point: &[u8]| {
            // Uncompressed: a 4, then both coordinates.
            let (x, y) = point[1..].split_at(point.len() / 2);
            json!({"kty": "EC", "crv": name, "x": encode(x), "y": encode(y)})
        };
        let jwk = match &self.pair {
            Pair::Rsa(pair) => {
                let public = RsaPublicKeyComponents::<Vec<u8>>::from(pair.public());
                json!({"kty": "RSA", "n": encode(&public.n), "e": encode(&public.e)})
            }
            Pair::P256(pair) => on_curve("P-256", pair.public_key().as_ref()),
            Pair::P384(pair) => on_curve("P-384", pair.public_key().as_ref()),
            Pair::Ed25519(pair) => json!({"kty": "OKP", "crv": "Ed25519", "x": encode(pair.public_key().as_ref())}),
        };
        let Value::Object(members) = jwk else { unreachable!("each of them is an object") };
        members
    }

    /// Returns the public key as it is published (RFC 7517 §4): with `kid`, `use`, and `alg` if
    /// the key has only one algorithm.
    pub fn public_jwk(&self) -> Map<String, Value> {
        let mut jwk = self.bare_jwk();
        jwk.insert("kid".to_owned(), json!(self.id));
        jwk.insert("use".to_owned(), json!("sig"));
        if let [only] = self.algorithms() {
            jwk.insert("alg".to_owned(), json!(only.name()));
        }
        jwk
    }

    /// Returns the public key in PEM, as OpenSSL reads it; `None` if it is not Ed25519.
    pub fn public_pem(&self) -> Option<String> {
        let Pair::Ed25519(pair) = &self.pair else { return None };
        let der = STANDARD.encode([&ED25519_SPKI, pair.public_key().as_ref()].concat());
        Some(format!("-----BEGIN PUBLIC KEY-----\n{der}\n-----END PUBLIC KEY-----\n"))
    }

    /// Returns the SHA-256 thumbprint of the public key (RFC 7638), the `jkt` of bound tokens.
    pub fn thumbprint(&self) -> String {
        // RFC 7638 §3.2 hashes exactly these members in lexical order, which a BTreeMap
        // keeps.
        let members: std::collections::BTreeMap<String, Value> = self.bare_jwk().into_iter().collect();
        let digest = ring::digest::digest(&ring::digest::SHA256, json!(members).to_string().as_bytes());
        URL_SAFE_NO_PAD.encode(digest)
    }

    /// Signs `message`; `None` if the key cannot sign with `algorithm`.
    pub(super) fn signature(&self, algorithm: Algorithm, message: &[u8]) -> Option<Vec<u8>> {
        if !self.algorithms().contains(&algorithm) {
            return None;
        }
        let random = SystemRandom::new();
        match &self.pair {
            Pair::Rsa(pair) => {
                let padding: &dyn signature::RsaEncoding = match algorithm {
                    Algorithm::Ps256 => &signature::RSA_PSS_SHA256,
                    Algorithm::Rs384 => &signature::RSA_PKCS1_SHA384,
                    Algorithm::Rs512 => &signature::RSA_PKCS1_SHA512,
                    _ => &signature::RSA_PKCS1_SHA256,
                };
                let mut signature = vec![0; pair.public().modulus_len()];
                pair.sign(padding, &random, message, &mut signature).ok()?;
                Some(signature)
            }
            Pair::P256(pair) | Pair::P384(pair) => Some(pair.sign(&random, message).ok()?.as_ref().to_vec()),
            Pair::Ed25519(pair) => Some(pair.sign(message).as_ref().to_vec()),
        }
    }
}

impl std::fmt::Debug for SigningKey {
    /// Shows the id only.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SigningKey").field("id", &self.id).finish_non_exhaustive()
    }
}
