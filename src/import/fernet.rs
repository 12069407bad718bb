//! Fernet (github.com/fernet/spec): `0x80 | time 8 | iv 16 | AES-128-CBC | HMAC-SHA256 32`, in
//! URL-safe base64. Only decryption, for files of other programs.

use aes::Aes128;
use aes::cipher::block_padding::Pkcs7;
use aes::cipher::{BlockModeDecrypt, KeyIvInit};
use base64::Engine as _;
use base64::engine::GeneralPurpose;
use base64::engine::general_purpose::GeneralPurposeConfig;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::secret::Secret;

const VERSION: u8 = 0x80;
const HEADER: usize = 1 + 8 + 16;
const BLOCK: usize = 16;
const MAC: usize = 32;

/// URL-safe base64 with or without padding, which is often lost when a key is copied by hand.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(base64::engine::DecodePaddingMode::Indifferent),
);

/// A Fernet key: half of it authenticates, half decrypts.
pub struct FernetKey(Zeroizing<[u8; 32]>);

/// The text is not a Fernet key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a Fernet key: expected 32 bytes in URL-safe base64 (44 characters)")]
pub struct FernetKeyError;

impl FernetKey {
    /// Parses a key as in `ENCRYPTION_KEY`; surrounding white space is ignored.
    pub fn parse(text: &Secret) -> Result<Self, FernetKeyError> {
        let bytes = Zeroizing::new(BASE64.decode(text.expose().trim()).map_err(|_| FernetKeyError)?);
        Ok(Self(Zeroizing::new(bytes.as_slice().try_into().map_err(|_| FernetKeyError)?)))
    }

    /// Decrypts a token of any age; `None` if it was sealed with another key or modified.
    pub(super) fn open(&self, token: &str) -> Option<Zeroizing<Vec<u8>>> {
        let bytes = BASE64.decode(token.trim()).ok()?;
        let (covered, mac) = bytes.split_last_chunk::<MAC>()?;
        let (head, sealed) = covered.split_first_chunk::<HEADER>()?;
        if head[0] != VERSION || sealed.is_empty() || !sealed.len().is_multiple_of(BLOCK) {
            return None;
        }
        let (signing, encryption) = self.0.split_at(16);
        let mut expected = <Hmac<Sha256> as KeyInit>::new_from_slice(signing).ok()?;
        expected.update(covered);
        expected.verify_slice(mac).ok()?;
        let mut plain = Zeroizing::new(sealed.to_vec());
        let opened = cbc::Decryptor::<Aes128>::new_from_slices(encryption, &head[9..])
            .ok()?
            .decrypt_padded::<Pkcs7>(&mut plain)
            .ok()?
            .len();
        plain.truncate(opened);
        Some(plain)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the specification (verify.json).
    const KEY: &str = "cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4=";
    const TOKEN: &str =
        "gAAAAAAdwJ6wAAECAwQFBgcICQoLDA0ODy021cpGVWKZ_eEwCGM4BLLF_5CV9dOPmrhuVUPgJobwOz7JcbmrR64jVmpU4IwqDA==";

    fn key(text: &str) -> Result<FernetKey, FernetKeyError> {
        FernetKey::parse(&Secret::new(text))
    }

    #[test]
    fn the_specifications_example_decrypts() {
        let Ok(key) = key(&format!("{KEY}\n")) else { panic!("it is a key") };
        assert_eq!(key.open(TOKEN).unwrap().as_slice(), b"hello");
        assert_eq!(key.open(TOKEN.trim_end_matches('=')).unwrap().as_slice(), b"hello");
    }

    #[test]
    fn modified_tokens_and_other_keys_do_not_decrypt() {
        let Ok(right) = key(KEY) else { panic!("it is a key") };
        let bytes = BASE64.decode(TOKEN).unwrap();
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            assert!(right.open(&BASE64.encode(&changed)).is_none(), "byte {at}");
            assert!(right.open(&BASE64.encode(&bytes[..at])).is_none(), "cut at {at}");
        }
        let Ok(other) = key(&KEY.replace('c', "d")) else { panic!("it is a key") };
        assert!(other.open(TOKEN).is_none());
        for bad in ["", "hunter2", &KEY[1..], &format!("{KEY}{KEY}")] {
            assert!(key(bad).is_err(), "{bad}");
        }
    }
}
