//! The sealed record: `format 1 | data-key version 4 | nonce 24 | ciphertext | tag 16`,
//! XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha) with a random nonce.
//!
//! The plaintext is `length 4 | fields | zeros`, padded to a multiple of 64 bytes, because the
//! length of a password is confidential. The associated data contains every plain-text column that
//! affects a decision, so a record opens only in its own row.

use std::sync::Arc;

use zeroize::Zeroizing;

use super::encoding::{cover, number};
use super::keyring::Keyring;
use super::keys::{self, DataKey};
use crate::policy::HostPattern;
use crate::random::Random;
use crate::vault::error::VaultError;

const FORMAT: u8 = 1;
const HEADER: usize = 5;
const NONCE: usize = 24;
const TAG: usize = 16;
const PADDING: usize = 64;

/// Maximum size of the fields. A request (at most 1 MiB) never reaches it.
const LARGEST: usize = 8 << 20;

/// The associated data of a record: its row, and the plain-text columns that are bound to it.
#[derive(Clone, Copy, Default)]
pub(crate) struct RecordAad<'a> {
    pub(crate) table: &'static str,
    pub(crate) column: &'static str,
    pub(crate) row: &'a str,
    pub(crate) revision: i64,
    pub(crate) kind: &'a str,
    pub(crate) provider: &'a str,
    pub(crate) user: &'a str,
    pub(crate) status: &'a str,
    pub(crate) in_doubt: Option<i64>,
    pub(crate) expiry: Option<i64>,
    pub(crate) host: Option<&'a HostPattern>,
    /// Further numbers of the row, in the order of its columns; zeros if it has fewer.
    pub(crate) more: [i64; 3],
}

impl RecordAad<'_> {
    pub(crate) fn associated_data(&self, vault_id: &[u8; 16]) -> Vec<u8> {
        let (scheme, host, port) = match self.host {
            Some(pattern) => (pattern.scheme(), pattern.host(), pattern.port().to_string()),
            None => ("", String::new(), String::new()),
        };
        let (in_doubt, expiry) = (number(self.in_doubt), number(self.expiry));
        let revision = self.revision.to_be_bytes();
        let [first, second, third] = self.more.map(i64::to_be_bytes);
        cover([
            b"strongroom record 1".as_slice(),
            vault_id,
            self.table.as_bytes(),
            self.column.as_bytes(),
            self.row.as_bytes(),
            &revision,
            self.kind.as_bytes(),
            self.provider.as_bytes(),
            self.user.as_bytes(),
            self.status.as_bytes(),
            &in_doubt,
            &expiry,
            scheme.as_bytes(),
            host.as_bytes(),
            port.as_bytes(),
            &first,
            &second,
            &third,
        ])
    }

    fn damaged(&self, what: &'static str) -> VaultError {
        VaultError::DamagedRow { table: self.table, id: self.row.to_owned(), what }
    }
}

/// Seals `fields` under the current data key, bound to `place`.
pub(crate) fn seal(
    keyring: &Keyring,
    place: &RecordAad<'_>,
    fields: &[u8],
    random: Random,
) -> Result<Vec<u8>, VaultError> {
    if fields.len() > LARGEST {
        return Err(VaultError::TooLarge("a credential"));
    }
    Ok(seal_under(keyring.data.current(), &keyring.vault_id, place, fields, random))
}

/// Seals fields that are known to be small, under a given data key of this vault.
pub(crate) fn seal_under(
    key: &DataKey,
    vault_id: &[u8; 16],
    place: &RecordAad<'_>,
    fields: &[u8],
    random: Random,
) -> Vec<u8> {
    let length = u32::try_from(fields.len()).expect("at most LARGEST");
    let padded = (4 + fields.len()).next_multiple_of(PADDING);
    let mut plain = Zeroizing::new(Vec::with_capacity(padded));
    plain.extend_from_slice(&length.to_be_bytes());
    plain.extend_from_slice(fields);
    plain.resize(padded, 0);
    let mut header = [FORMAT; HEADER];
    header[1..].copy_from_slice(&key.version.to_be_bytes());
    let covered = place.associated_data(vault_id);
    keys::encrypt(&key.record, &header, &covered, &mut plain, random)
}

/// Returns the length of the record with fields of this length.
pub(crate) fn sealed_len(fields: usize) -> usize {
    HEADER + NONCE + (4 + fields).next_multiple_of(PADDING) + TAG
}

/// Opens a record. `data_key` is the version in the row's plain-text column. Returns the fields.
pub(crate) fn open(
    keyring: &Keyring,
    place: &RecordAad<'_>,
    data_key: u32,
    sealed: &[u8],
) -> Result<Zeroizing<Vec<u8>>, VaultError> {
    let (header, body) = sealed.split_first_chunk::<HEADER>().ok_or_else(|| place.damaged("the record is cut"))?;
    if header[0] != FORMAT {
        return Err(place.damaged("the record is of no known format"));
    }
    let key = key_of(keyring, place, sealed)?;
    if key.version != data_key {
        return Err(place.damaged("the row names another data key than the record"));
    }
    let mut plain = keys::decrypt(&key.record, &place.associated_data(&keyring.vault_id), body)
        .ok_or_else(|| place.damaged("the record was changed, or is not where it was put"))?;
    let (length, rest) = plain.split_first_chunk::<4>().ok_or_else(|| place.damaged("the record is empty"))?;
    let length = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
    if length > rest.len() {
        return Err(place.damaged("the record's length is wrong"));
    }
    plain.copy_within(4..4 + length, 0);
    plain.truncate(length);
    Ok(plain)
}

/// Returns the hash by which the manifest counts a record, under the data key that sealed it.
pub(crate) fn item(keyring: &Keyring, place: &RecordAad<'_>, sealed: &[u8]) -> Result<[u8; 32], VaultError> {
    let key = key_of(keyring, place, sealed)?;
    let tag = sealed.last_chunk::<TAG>().ok_or_else(|| place.damaged("the record is cut"))?;
    let revision = place.revision.to_be_bytes();
    let parts: [&[u8]; 6] =
        [place.table.as_bytes(), place.column.as_bytes(), place.user.as_bytes(), place.row.as_bytes(), &revision, tag];
    Ok(keys::mac(&key.manifest, parts))
}

fn key_of<'k>(keyring: &'k Keyring, place: &RecordAad<'_>, sealed: &[u8]) -> Result<&'k DataKey, VaultError> {
    let version = sealed.get(1..HEADER).and_then(|bytes| bytes.try_into().ok()).map(u32::from_be_bytes);
    version
        .and_then(|version| keyring.data.all.get(&version).map(Arc::as_ref))
        .ok_or_else(|| place.damaged("the record names a data key that the keyring does not have"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn aad<'a>() -> RecordAad<'a> {
        RecordAad {
            table: "credential",
            column: "summary",
            row: "r",
            revision: 1,
            user: "alice",
            ..RecordAad::default()
        }
    }

    #[test]
    fn record_has_the_documented_layout() {
        let keyring = Keyring::for_tests();
        let sealed = seal(&keyring, &aad(), b"secret", Random).unwrap();
        assert_eq!(sealed[..5], [1, 0, 0, 0, 1]);
        for (length, padded) in [(0, 64), (6, 64), (60, 64), (61, 128), (124, 128), (125, 192)] {
            let sealed = seal(&keyring, &aad(), &vec![b'x'; length], Random).unwrap();
            assert_eq!(sealed.len(), 5 + 24 + padded + 16, "{length}");
            assert_eq!(open(&keyring, &aad(), 1, &sealed).unwrap().len(), length);
        }
    }

    #[test]
    fn every_changed_byte_is_detected() {
        let keyring = Keyring::for_tests();
        let sealed = seal(&keyring, &aad(), b"secret", Random).unwrap();
        for i in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[i] ^= 1;
            assert!(matches!(open(&keyring, &aad(), 1, &changed), Err(VaultError::DamagedRow { .. })), "byte {i}");
            assert!(open(&keyring, &aad(), 1, &sealed[..i]).is_err(), "cut at {i}");
        }
        assert!(open(&keyring, &aad(), 2, &sealed).is_err(), "the version beside it");
    }

    #[test]
    fn record_opens_only_with_its_own_aad() {
        let keyring = Keyring::for_tests();
        let host = "a.example".parse::<HostPattern>().unwrap();
        let other_host = "http://a.example".parse::<HostPattern>().unwrap();
        let own = RecordAad { host: Some(&host), kind: "host_scoped", more: [1, 0, 0], ..aad() };
        let sealed = seal(&keyring, &own, b"secret", Random).unwrap();
        assert!(open(&keyring, &own, 1, &sealed).is_ok());
        let elsewhere = [
            RecordAad { table: "revocation", ..own },
            RecordAad { column: "secret", ..own },
            RecordAad { row: "s", ..own },
            RecordAad { revision: 2, ..own },
            RecordAad { kind: "api_key", ..own },
            RecordAad { provider: "github", ..own },
            RecordAad { user: "bob", ..own },
            RecordAad { status: "active", ..own },
            RecordAad { in_doubt: Some(0), ..own },
            RecordAad { expiry: Some(0), ..own },
            RecordAad { host: Some(&other_host), ..own },
            RecordAad { host: None, ..own },
            RecordAad { more: [2, 0, 0], ..own },
            RecordAad { more: [0, 1, 0], ..own },
        ];
        for (i, place) in elsewhere.iter().enumerate() {
            assert!(open(&keyring, place, 1, &sealed).is_err(), "place {i}");
        }
    }
}
