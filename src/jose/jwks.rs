//! JSON Web Key Sets (RFC 7517). Only keys that can verify a signature are kept.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{self, RsaPublicKeyComponents, UnparsedPublicKey};
use serde_json::{Map, Value};

use super::algorithm::Algorithm;
use crate::json;

/// Maximum number of keys; the largest public sets have two dozen.
const MAX_KEYS: usize = 100;
/// Maximum length of a `kid`, in bytes.
const MAX_KEY_ID: usize = 1024;

/// Reason why a key set cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JwksError {
    /// Not JSON, or a member occurs twice.
    #[error("the key set is not JSON, or a member occurs twice")]
    NotJson,
    /// There is no list `keys` of objects.
    #[error("the key set has no list of keys")]
    NoKeys,
    /// There are too many keys.
    #[error("the key set has more than 100 keys")]
    TooMany,
}

/// Public keys for verification. Left out are keys of another use, type or curve, malformed keys
/// (RFC 7517 §5), and all symmetric and private keys: a published secret is worthless.
#[derive(Clone, Debug, Default)]
pub struct Jwks(Vec<PublicKey>);

#[derive(Clone, Debug)]
pub(super) struct PublicKey {
    id: Option<String>,
    /// The key's own `alg`, if it has one.
    algorithm: Option<Algorithm>,
    point: KeyPoint,
}

#[derive(Clone, Debug)]
enum KeyPoint {
    /// Modulus and exponent, big-endian without leading zeros.
    Rsa {
        n: Vec<u8>,
        e: Vec<u8>,
    },
    /// Points, uncompressed (SEC 1 §2.3.3).
    P256(Vec<u8>),
    P384(Vec<u8>),
    Ed25519(Vec<u8>),
}

impl Jwks {
    /// Parses `{"keys": […]}`.
    ///
    /// # Errors
    /// See [`JwksError`]. A set without any usable key is valid and empty.
    pub fn parse(bytes: &[u8]) -> Result<Self, JwksError> {
        let value = json::parse(bytes).ok_or(JwksError::NotJson)?;
        let keys = value.get("keys").and_then(Value::as_array).ok_or(JwksError::NoKeys)?;
        if keys.len() > MAX_KEYS {
            return Err(JwksError::TooMany);
        }
        Ok(Self(keys.iter().filter_map(Value::as_object).filter_map(PublicKey::read).collect()))
    }

    /// Returns a set of one key, given as a JWK.
    pub fn single(jwk: &Map<String, Value>) -> Self {
        Self(PublicKey::read(jwk).into_iter().collect())
    }

    /// Returns true if there is no usable key.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the keys that may have signed a token with this header. Without `kid` there must
    /// be exactly one key for the algorithm (OpenID Connect Core §10.1).
    pub(super) fn candidates(&self, id: Option<&str>, algorithm: Algorithm) -> Vec<&PublicKey> {
        let fitting = self.0.iter().filter(|key| key.supports(algorithm));
        match id {
            Some(id) => fitting.filter(|key| key.id.as_deref() == Some(id)).collect(),
            None => Some(fitting.collect::<Vec<_>>()).filter(|keys| keys.len() == 1).unwrap_or_default(),
        }
    }
}

impl PublicKey {
    fn read(jwk: &Map<String, Value>) -> Option<Self> {
        // An optional member that is empty or of a wrong type counts as absent.
        let text = |name: &str| jwk.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
        let private = ["d", "p", "q", "k"].iter().any(|name| text(name).is_some());
        let other_use = text("use").is_some_and(|word| word != "sig");
        let operations: Vec<&str> =
            jwk.get("key_ops").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
        if private || other_use || !(operations.is_empty() || operations.contains(&"verify")) {
            return None;
        }
        let id = text("kid");
        if id.is_some_and(|id| id.len() > MAX_KEY_ID) {
            return None;
        }
        let algorithm = match text("alg") {
            Some(name) => Some(Algorithm::from_name(name)?),
            None => None,
        };
        let key = Self { id: id.map(str::to_owned), algorithm, point: KeyPoint::read(jwk)? };
        let consistent = algorithm.is_none_or(|algorithm| key.point.supports(algorithm));
        consistent.then_some(key)
    }

    fn supports(&self, algorithm: Algorithm) -> bool {
        self.algorithm.is_none_or(|own| own == algorithm) && self.point.supports(algorithm)
    }

    /// Returns true if `signature` over `message` was made with this key.
    pub(super) fn verifies(&self, algorithm: Algorithm, message: &[u8], signature: &[u8]) -> bool {
        if !self.supports(algorithm) {
            return false;
        }
        match &self.point {
            KeyPoint::Rsa { n, e } => {
                let parameters = match algorithm {
                    Algorithm::Ps256 => &signature::RSA_PSS_2048_8192_SHA256,
                    Algorithm::Rs384 => &signature::RSA_PKCS1_2048_8192_SHA384,
                    Algorithm::Rs512 => &signature::RSA_PKCS1_2048_8192_SHA512,
                    _ => &signature::RSA_PKCS1_2048_8192_SHA256,
                };
                RsaPublicKeyComponents { n, e }.verify(parameters, message, signature).is_ok()
            }
            KeyPoint::P256(point) => is_valid(&signature::ECDSA_P256_SHA256_FIXED, point, message, signature),
            KeyPoint::P384(point) => is_valid(&signature::ECDSA_P384_SHA384_FIXED, point, message, signature),
            KeyPoint::Ed25519(point) => is_valid(&signature::ED25519, point, message, signature),
        }
    }
}

fn is_valid(
    algorithm: &'static dyn signature::VerificationAlgorithm,
    key: &[u8],
    message: &[u8],
    signature: &[u8],
) -> bool {
    UnparsedPublicKey::new(algorithm, key).verify(message, signature).is_ok()
}

impl KeyPoint {
    fn read(jwk: &Map<String, Value>) -> Option<Self> {
        let text = |name: &str| jwk.get(name).and_then(Value::as_str);
        let bytes = |name: &str| URL_SAFE_NO_PAD.decode(text(name)?).ok();
        let coordinate = |name: &str, length: usize| bytes(name).filter(|bytes| bytes.len() == length);
        let point = |length| Some([vec![4], coordinate("x", length)?, coordinate("y", length)?].concat());
        match (text("kty")?, text("crv")) {
            ("RSA", _) => Some(Self::Rsa { n: number(&bytes("n")?), e: number(&bytes("e")?) }),
            ("EC", Some("P-256")) => point(32).map(Self::P256),
            ("EC", Some("P-384")) => point(48).map(Self::P384),
            ("OKP", Some("Ed25519")) => coordinate("x", 32).map(Self::Ed25519),
            _ => None,
        }
    }

    fn supports(&self, algorithm: Algorithm) -> bool {
        use Algorithm::{EdDsa, Es256, Es384, Ps256, Rs256, Rs384, Rs512};
        match self {
            Self::Rsa { .. } => matches!(algorithm, Ps256 | Rs256 | Rs384 | Rs512),
            Self::P256(_) => algorithm == Es256,
            Self::P384(_) => algorithm == Es384,
            Self::Ed25519(_) => algorithm == EdDsa,
        }
    }
}

/// Removes leading zeros. Some servers send one if the first bit is set, which RFC 7518 §6.3.1.1
/// forbids.
fn number(bytes: &[u8]) -> Vec<u8> {
    bytes.iter().copied().skip_while(|byte| *byte == 0).collect()
}
