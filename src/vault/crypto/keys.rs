//! Keys, and what is derived from them: nothing is used for two things.
//!
//! master key → slot key, which wraps the root → HKDF-SHA256 (RFC 5869; salt: the vault's id) → key-encryption key,
//! keyring MAC, key check. The key-encryption key wraps random, versioned keys for data, audit and API keys, and each
//! of those → HKDF → what it is used for.

use hkdf::Hkdf;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

use super::aead::{self, NONCE, TAG};
use super::encoding::cover;
use crate::random::Random;

/// A key of 256 bits, wiped when dropped.
pub(in crate::vault) type Key = Zeroizing<[u8; 32]>;

/// HKDF-SHA256 of `key`, salted with the vault's id, for one purpose.
pub(in crate::vault) fn derive<const N: usize>(
    key: &[u8; 32],
    vault_id: &[u8; 16],
    purpose: &str,
) -> Zeroizing<[u8; N]> {
    let mut derived = Zeroizing::new([0; N]);
    Hkdf::<Sha256>::new(Some(vault_id), key)
        .expand_multi_info(&[b"strongroom v1 ", purpose.as_bytes()], derived.as_mut())
        .expect("32 bytes are within HKDF's limit of 255 hashes");
    derived
}

/// HKDF-SHA256 of `key` with a salt of its own, for what is made new each time.
pub(in crate::vault) fn derive_salted(key: &[u8; 32], salt: &[u8; 32], purpose: &str) -> Key {
    let mut derived = Zeroizing::new([0; 32]);
    Hkdf::<Sha256>::new(Some(salt), key)
        .expand_multi_info(&[b"strongroom v1 ", purpose.as_bytes()], derived.as_mut())
        .expect("32 bytes are within HKDF's limit of 255 hashes");
    derived
}

/// What tells a master key from others: 8 bytes that open nothing.
pub(in crate::vault) fn fingerprint(key: &[u8; 32]) -> [u8; 8] {
    let mut fingerprint = [0; 8];
    Hkdf::<Sha256>::new(None, key)
        .expand(b"strongroom v1 fingerprint", &mut fingerprint)
        .expect("8 bytes are within HKDF's limit of 255 hashes");
    fingerprint
}

/// HMAC-SHA256 (RFC 2104) over length-prefixed parts.
pub(in crate::vault) fn mac<'a>(key: &[u8; 32], parts: impl IntoIterator<Item = &'a [u8]>) -> [u8; 32] {
    let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(key).expect("HMAC takes a key of any length");
    mac.update(&cover(parts));
    mac.finalize().into_bytes().into()
}

/// Seals in place with XChaCha20-Poly1305: `nonce 24 | ciphertext | tag 16`, behind `header`.
pub(in crate::vault) fn encrypt(
    key: &[u8; 32],
    header: &[u8],
    covered: &[u8],
    plain: &mut [u8],
    random: Random,
) -> Vec<u8> {
    let nonce: [u8; NONCE] = random.bytes();
    let tag = aead::seal(key, &nonce, covered, plain);
    [header, &nonce, plain, &tag].concat()
}

/// Opens what [`encrypt`] sealed, without its header; `None` where anything was changed.
pub(in crate::vault) fn decrypt(key: &[u8; 32], covered: &[u8], sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let (nonce, rest) = sealed.split_first_chunk::<NONCE>()?;
    let (cipher, tag) = rest.split_last_chunk::<TAG>()?;
    let mut plain = Zeroizing::new(cipher.to_vec());
    aead::open(key, nonce, covered, &mut plain, tag)?;
    Some(plain)
}

/// Wraps a key under another.
pub(in crate::vault) fn wrap(by: &[u8; 32], covered: &[u8], key: &Key, random: Random) -> Vec<u8> {
    let mut plain = key.clone();
    encrypt(by, &[], covered, plain.as_mut_slice(), random)
}

/// Unwraps what [`wrap`] wrapped.
pub(in crate::vault) fn unwrap(by: &[u8; 32], covered: &[u8], wrapped: &[u8]) -> Option<Key> {
    let plain = decrypt(by, covered, wrapped)?;
    Some(Zeroizing::new(plain.as_slice().try_into().ok()?))
}

/// The root of a vault: made with it, and in the file only wrapped.
#[derive(Clone)]
pub(in crate::vault) struct Root {
    /// Wraps the keys of the keyring.
    pub(in crate::vault) key_encryption: Key,
    /// Covers slots and keyring.
    pub(in crate::vault) keyring_mac: Key,
    /// Tells whether a root is the right one.
    pub(in crate::vault) check: Zeroizing<[u8; 16]>,
    /// What the keys of backups are derived from.
    pub(in crate::vault) backup: Key,
    /// Hashes what is looked up: state tokens, and where a client is registered. It stays when data keys change, for what
    /// is looked up is not known any more then.
    pub(in crate::vault) index: Key,
}

impl Root {
    /// Derives what the root is used for; the root itself is not needed any more.
    pub(in crate::vault) fn new(root: &Key, vault_id: &[u8; 16]) -> Self {
        Self {
            key_encryption: derive(root, vault_id, "key-encryption key"),
            keyring_mac: derive(root, vault_id, "keyring mac"),
            check: derive(root, vault_id, "key check"),
            backup: derive(root, vault_id, "backup"),
            index: derive(root, vault_id, "index"),
        }
    }
}

/// What one version of the data key is used for.
pub(in crate::vault) struct DataKey {
    /// Its version.
    pub(in crate::vault) version: u32,
    /// Seals records.
    pub(in crate::vault) record: Key,
    /// Hashed what is looked up before the root did; rows of that time are found by it.
    pub(in crate::vault) index: Key,
    /// Hashes the rows that the manifest sums up.
    pub(in crate::vault) manifest: Key,
}

impl DataKey {
    pub(in crate::vault) fn new(version: u32, key: &Key, vault_id: &[u8; 16]) -> Self {
        Self {
            version,
            record: derive(key, vault_id, "data: record"),
            index: derive(key, vault_id, "data: index"),
            manifest: derive(key, vault_id, "data: manifest"),
        }
    }
}

/// What one version of the API-key key is used for.
pub(in crate::vault) struct ApiKeyKey {
    /// Hashes presented keys.
    pub(in crate::vault) lookup: Key,
    /// Covers rows.
    pub(in crate::vault) row: Key,
    /// Hashes the rows that the manifest sums up.
    pub(in crate::vault) manifest: Key,
}

impl ApiKeyKey {
    pub(in crate::vault) fn new(key: &Key, vault_id: &[u8; 16]) -> Self {
        Self {
            lookup: derive(key, vault_id, "api key: lookup"),
            row: derive(key, vault_id, "api key: row"),
            manifest: derive(key, vault_id, "api key: manifest"),
        }
    }
}
