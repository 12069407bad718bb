//! Keys and what is derived from them.

use hkdf::Hkdf;
use sha2::Sha256;

/// What tells a master key from others: 8 bytes that open nothing.
pub(super) fn fingerprint(key: &[u8; 32]) -> [u8; 8] {
    let mut fingerprint = [0; 8];
    Hkdf::<Sha256>::new(None, key)
        .expand(b"strongroom v1 fingerprint", &mut fingerprint)
        .expect("8 bytes are within HKDF's limit of 255 hashes");
    fingerprint
}
