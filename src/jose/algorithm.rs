//! Signature algorithms (RFC 7518 §3.1, RFC 8037): asymmetric ones only.

use serde::{Deserialize, Serialize};

/// A signature algorithm. There is no `none` and no symmetric algorithm, because verification uses
/// published keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Algorithm {
    /// ECDSA on P-256 with SHA-256.
    #[serde(rename = "ES256")]
    Es256,
    /// ECDSA on P-384 with SHA-384.
    #[serde(rename = "ES384")]
    Es384,
    /// Ed25519 (RFC 8037 §3.1). The name `Ed25519` of RFC 9864 is accepted too.
    #[serde(rename = "EdDSA", alias = "Ed25519")]
    EdDsa,
    /// RSASSA-PSS with SHA-256.
    #[serde(rename = "PS256")]
    Ps256,
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    #[serde(rename = "RS256")]
    Rs256,
    /// RSASSA-PKCS1-v1_5 with SHA-384.
    #[serde(rename = "RS384")]
    Rs384,
    /// RSASSA-PKCS1-v1_5 with SHA-512.
    #[serde(rename = "RS512")]
    Rs512,
}

impl Algorithm {
    /// All algorithms.
    pub const ALL: [Self; 7] =
        [Self::Es256, Self::Es384, Self::EdDsa, Self::Ps256, Self::Rs256, Self::Rs384, Self::Rs512];

    /// Returns the value of `alg` in a header.
    pub fn name(self) -> &'static str {
        match self {
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::EdDsa => "EdDSA",
            Self::Ps256 => "PS256",
            Self::Rs256 => "RS256",
            Self::Rs384 => "RS384",
            Self::Rs512 => "RS512",
        }
    }

    /// Returns the algorithm with this name, or `None`. The name `Ed25519` of RFC 9864 means EdDSA.
    pub(super) fn from_name(name: &str) -> Option<Self> {
        let known = Self::ALL.into_iter().find(|algorithm| algorithm.name() == name);
        known.or((name == "Ed25519").then_some(Self::EdDsa))
    }

    /// Hashes with the algorithm's hash, whose left half is an `at_hash` (OpenID Connect Core
    /// §3.1.3.6). For EdDSA this is the hash of Ed25519, SHA-512.
    pub fn digest(self, bytes: &[u8]) -> Vec<u8> {
        use ring::digest::{SHA256, SHA384, SHA512, digest};
        let hash = match self {
            Self::Es256 | Self::Ps256 | Self::Rs256 => &SHA256,
            Self::Es384 | Self::Rs384 => &SHA384,
            Self::EdDsa | Self::Rs512 => &SHA512,
        };
        digest(hash, bytes).as_ref().to_vec()
    }
}
