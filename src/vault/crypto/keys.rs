//! The key hierarchy. Every key has exactly one use.
//!
//! A master key opens a slot, which wraps the root key. HKDF-SHA256 (RFC 5869, salted with the
//! vault's id) derives the key-encryption key, the keyring MAC and the key check from the root. The
//! key-encryption key wraps random, versioned keys for data, audit and API keys. HKDF derives each
//! key in use from one of those.

use hkdf::Hkdf;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

use super::aead::{self, NONCE, TAG};
use super::encoding::cover;
use crate::random::Random;

/// A key of 256 bits, wiped when dropped.
pub(crate) type Key = Zeroizing<[u8; 32]>;

/// Derives a key for one purpose: HKDF-SHA256, salted with the vault's id, or with a random salt for a
/// key that is used once.
pub(crate) fn derive<const N: usize>(key: &[u8; 32], salt: &[u8], purpose: &str) -> Zeroizing<[u8; N]> {
    let mut derived = Zeroizing::new([0; N]);
    Hkdf::<Sha256>::new(Some(salt), key)
        .expand_multi_info(&[b"strongroom v1 ", purpose.as_bytes()], derived.as_mut())
        .expect("32 bytes are within HKDF's limit of 255 hashes");
    derived
}

/// Returns 8 bytes that identify a master key and open nothing.
pub(crate) fn fingerprint(key: &[u8; 32]) -> [u8; 8] {
    let mut fingerprint = [0; 8];
    Hkdf::<Sha256>::new(None, key)
        .expand(b"strongroom v1 fingerprint", &mut fingerprint)
        .expect("8 bytes are within HKDF's limit of 255 hashes");
    fingerprint
}

/// Computes HMAC-SHA256 (RFC 2104) over length-prefixed parts.
pub(crate) fn mac<'a>(key: &[u8; 32], parts: impl IntoIterator<Item = &'a [u8]>) -> [u8; 32] {
    let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(key).expect("HMAC takes a key of any length");
    mac.update(&cover(parts));
    mac.finalize().into_bytes().into()
}

/// Seals in place with XChaCha20-Poly1305. Returns `header | nonce 24 | ciphertext | tag 16`.
pub(crate) fn encrypt(key: &[u8; 32], header: &[u8], covered: &[u8], plain: &mut [u8], random: Random) -> Vec<u8> {
    let nonce: [u8; NONCE] = random.bytes();
    let tag = aead::seal(key, &nonce, covered, plain);
    [header, &nonce, plain, &tag].concat()
}

/// Opens the output of [`encrypt`] without its header; `None` if anything was changed.
pub(crate) fn decrypt(key: &[u8; 32], covered: &[u8], sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let (nonce, rest) = sealed.split_first_chunk::<NONCE>()?;
    let (cipher, tag) = rest.split_last_chunk::<TAG>()?;
    let mut plain = Zeroizing::new(cipher.to_vec());
    aead::open(key, nonce, covered, &mut plain, tag)?;
    Some(plain)
}

/// Wraps a key under another key.
pub(crate) fn wrap(by: &[u8; 32], covered: &[u8], key: &Key, random: Random) -> Vec<u8> {
    let mut plain = key.clone();
    encrypt(by, &[], covered, plain.as_mut_slice(), random)
}

/// Unwraps the output of [`wrap`].
pub(crate) fn unwrap(by: &[u8; 32], covered: &[u8], wrapped: &[u8]) -> Option<Key> {
    let plain = decrypt(by, covered, wrapped)?;
    Some(Zeroizing::new(plain.as_slice().try_into().ok()?))
}

/// The keys derived from a vault's root key. The root key is stored only in wrapped form.
#[derive(Clone)]
pub(crate) struct Root {
    /// Wraps the keys of the keyring.
    pub(crate) key_encryption: Key,
    /// Covers slots and keyring.
    pub(crate) keyring_mac: Key,
    /// Identifies the right root.
    pub(crate) check: Zeroizing<[u8; 16]>,
    /// The keys of backups are derived from it.
    pub(crate) backup: Key,
    /// Hashes lookup values: state tokens, and the places where clients are registered. It
    /// stays the same when data keys are rotated, because the lookup values are not known then.
    pub(crate) index: Key,
}

impl Root {
    /// Derives all keys; the root key itself is not needed afterwards.
    pub(crate) fn new(root: &Key, vault_id: &[u8; 16]) -> Self {
        Self {
            key_encryption: derive(root, vault_id, "key-encryption key"),
            keyring_mac: derive(root, vault_id, "keyring mac"),
            check: derive(root, vault_id, "key check"),
            backup: derive(root, vault_id, "backup"),
            index: derive(root, vault_id, "index"),
        }
    }
}

/// The keys derived from one version of the data key.
pub(crate) struct DataKey {
    /// Its version.
    pub(crate) version: u32,
    /// Seals records.
    pub(crate) record: Key,
    /// Hashes rows for the sum in the manifest.
    pub(crate) manifest: Key,
}

impl DataKey {
    pub(crate) fn new(version: u32, key: &Key, vault_id: &[u8; 16]) -> Self {
        Self {
            version,
            record: derive(key, vault_id, "data: record"),
            manifest: derive(key, vault_id, "data: manifest"),
        }
    }
}

/// The keys derived from one version of the audit key, which is kept as long as the log.
pub(crate) struct AuditKey {
    /// Covers the rows of the log with a chain of MACs.
    pub(crate) chain: Key,
    /// Seed of the Ed25519 key that signs heads of the log.
    pub(crate) signing: Key,
    /// Covers the epoch file.
    pub(crate) epoch: Key,
}

impl AuditKey {
    pub(crate) fn new(key: &Key, vault_id: &[u8; 16]) -> Self {
        Self {
            chain: derive(key, vault_id, "audit: chain"),
            signing: derive(key, vault_id, "audit: signed head"),
            epoch: derive(key, vault_id, "audit: epoch file"),
        }
    }
}

/// The keys derived from one version of the API-key key.
pub(crate) struct ApiKeyKey {
    /// Hashes presented keys.
    pub(crate) lookup: Key,
    /// Covers rows with a MAC.
    pub(crate) row: Key,
    /// Hashes rows for the sum in the manifest.
    pub(crate) manifest: Key,
}

impl ApiKeyKey {
    pub(crate) fn new(key: &Key, vault_id: &[u8; 16]) -> Self {
        Self {
            lookup: derive(key, vault_id, "api key: lookup"),
            row: derive(key, vault_id, "api key: row"),
            manifest: derive(key, vault_id, "api key: manifest"),
        }
    }
}
