//! A key set as its issuer publishes it (RFC 7517): read strictly, and of its keys only those that can verify.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{self, RsaPublicKeyComponents, UnparsedPublicKey};
use serde_json::{Map, Value};

use super::Algorithm;
use crate::json;

/// Keys in one set; the largest public ones have two dozen.
const MOST_KEYS: usize = 100;
/// The longest `kid`, in bytes.
const LONGEST_ID: usize = 1024;

/// Why a text is no key set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JwksError {
    /// Not JSON, or it says something twice.
    #[error("the key set is not JSON, or says something twice")]
    NotJson,
    /// No list `keys` of objects.
    #[error("the key set has no list of keys")]
    NoKeys,
    /// More keys than any honest set has.
    #[error("the key set has more than 100 keys")]
    TooMany,
}

/// Public keys that can verify a signature. Keys of another use, of a type or curve that is not known here, or malformed
/// ones are left out (RFC 7517 §5), and so is every symmetric or private one: what is published is no secret.
#[derive(Clone, Debug, Default)]
pub struct Jwks(Vec<PublicKey>);

#[derive(Clone, Debug)]
pub(super) struct PublicKey {
    id: Option<String>,
    /// What the key says that it is for, where it says so.
    algorithm: Option<Algorithm>,
    material: Material,
}

#[derive(Clone, Debug)]
enum Material {
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
    /// Reads `{"keys": […]}`.
    ///
    /// # Errors
    /// See [`JwksError`]. A set of which no key can be used is none: it is one without keys.
    pub fn parse(bytes: &[u8]) -> Result<Self, JwksError> {
        let value = json::parse(bytes).ok_or(JwksError::NotJson)?;
        let keys = value.get("keys").and_then(Value::as_array).ok_or(JwksError::NoKeys)?;
        if keys.len() > MOST_KEYS {
            return Err(JwksError::TooMany);
        }
        let objects = keys.iter().map(|key| key.as_object().ok_or(JwksError::NoKeys));
        let objects: Vec<&Map<String, Value>> = objects.collect::<Result<_, _>>()?;
        Ok(Self(objects.into_iter().filter_map(PublicKey::read).collect()))
    }

    /// A set of one key, given as a JWK.
    pub fn single(jwk: &Map<String, Value>) -> Self {
        Self(PublicKey::read(jwk).into_iter().collect())
    }

    /// Whether no key can verify anything.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The keys that a token with this header may be signed with. One without `kid` names its key only where there is
    /// just one of its kind (OpenID Connect Core §10.1).
    pub(super) fn candidates(&self, id: Option<&str>, algorithm: Algorithm) -> Vec<&PublicKey> {
        let fitting = self.0.iter().filter(|key| key.takes(algorithm));
        match id {
            Some(id) => fitting.filter(|key| key.id.as_deref() == Some(id)).collect(),
            None => Some(fitting.collect::<Vec<_>>()).filter(|keys| keys.len() == 1).unwrap_or_default(),
        }
    }
}

impl PublicKey {
    fn read(jwk: &Map<String, Value>) -> Option<Self> {
        let text = |name: &str| jwk.get(name).map(|value| value.as_str().ok_or(()));
        let private = ["d", "p", "q", "k"].iter().any(|name| jwk.contains_key(*name));
        let other_use = text("use").is_some_and(|word| word != Ok("sig"));
        let verifies = jwk.get("key_ops").is_none_or(|operations| {
            operations.as_array().is_some_and(|operations| operations.iter().any(|operation| operation == "verify"))
        });
        if private || other_use || !verifies {
            return None;
        }
        let id = text("kid").transpose().ok()?;
        if id.is_some_and(|id| id.len() > LONGEST_ID) {
            return None;
        }
        let algorithm = match text("alg").transpose().ok()? {
            Some(name) => Some(name.parse().ok()?),
            None => None,
        };
        let key = Self { id: id.map(str::to_owned), algorithm, material: Material::read(jwk)? };
        let consistent = algorithm.is_none_or(|algorithm| key.material.takes(algorithm));
        consistent.then_some(key)
    }

    fn takes(&self, algorithm: Algorithm) -> bool {
        self.algorithm.is_none_or(|own| own == algorithm) && self.material.takes(algorithm)
    }

    /// Whether `signature` over `message` is this key's.
    pub(super) fn verifies(&self, algorithm: Algorithm, message: &[u8], signature: &[u8]) -> bool {
        if !self.takes(algorithm) {
            return false;
        }
        match &self.material {
            Material::Rsa { n, e } => {
                let parameters = match algorithm {
                    Algorithm::Ps256 => &signature::RSA_PSS_2048_8192_SHA256,
                    Algorithm::Rs384 => &signature::RSA_PKCS1_2048_8192_SHA384,
                    Algorithm::Rs512 => &signature::RSA_PKCS1_2048_8192_SHA512,
                    _ => &signature::RSA_PKCS1_2048_8192_SHA256,
                };
                RsaPublicKeyComponents { n, e }.verify(parameters, message, signature).is_ok()
            }
            Material::P256(point) => good(&signature::ECDSA_P256_SHA256_FIXED, point, message, signature),
            Material::P384(point) => good(&signature::ECDSA_P384_SHA384_FIXED, point, message, signature),
            Material::Ed25519(point) => good(&signature::ED25519, point, message, signature),
        }
    }
}

fn good(
    algorithm: &'static dyn signature::VerificationAlgorithm,
    key: &[u8],
    message: &[u8],
    signature: &[u8],
) -> bool {
    UnparsedPublicKey::new(algorithm, key).verify(message, signature).is_ok()
}

impl Material {
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

    fn takes(&self, algorithm: Algorithm) -> bool {
        use Algorithm::{EdDsa, Es256, Es384, Ps256, Rs256, Rs384, Rs512};
        match self {
            Self::Rsa { .. } => matches!(algorithm, Ps256 | Rs256 | Rs384 | Rs512),
            Self::P256(_) => algorithm == Es256,
            Self::P384(_) => algorithm == Es384,
            Self::Ed25519(_) => algorithm == EdDsa,
        }
    }
}

/// Some servers put a zero before a number whose first bit is set, against RFC 7518 §6.3.1.1.
fn number(bytes: &[u8]) -> Vec<u8> {
    bytes.iter().copied().skip_while(|byte| *byte == 0).collect()
}
