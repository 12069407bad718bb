//! The export file: credentials sealed with a passphrase, to move them from one vault to another.
//!
//! ```text
//! "strongroom export 1\n" | memory 4 | time 4 | lanes 4 | salt 16 | vault 16 | made at 8 | check 16
//! then for each record: length 4 | nonce 24 | ciphertext | tag 16
//! ```
//!
//! The key is derived from the passphrase by Argon2id, as in a key slot. Each record is sealed with
//! XChaCha20-Poly1305. Its associated data contains the whole head, its position, and a mark on the
//! last record, which holds the number of records before it. So a record that was removed, moved,
//! cut or added is detected before any record is used.

use std::io::{self, Write};

use zeroize::Zeroizing;

use super::import::Transfer;
use super::transferred_credential::TransferredCredential;
use crate::clock::UnixTime;
use crate::random::Random;
use crate::secret::Secret;
use crate::vault::crypto::encoding::cover;
use crate::vault::crypto::fields::{Value as _, encode};
use crate::vault::crypto::key_slot::{self, Argon2Cost};
use crate::vault::crypto::keys::{self, Key};
use crate::vault::error::VaultError;

const MAGIC: &[u8; 20] = b"strongroom export 1\n";
/// The beginning of the files of every version.
const FAMILY: &[u8] = b"strongroom export ";
const CHECK: usize = 16;
const HEAD: usize = MAGIC.len() + 3 * 4 + 16 + 16 + 8 + CHECK;
/// A record is padded to a multiple of this, because the length of a password is confidential.
const PADDING: usize = 64;
/// Maximum size of a record, far above any credential.
const LARGEST: usize = 16 << 20;

/// The reason why an export is rejected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ExportFault {
    /// It is not an export of Strongroom.
    #[error("this is not an export of Strongroom")]
    NotAnExport,
    /// A later version made it.
    #[error("a newer Strongroom wrote this export")]
    Newer,
    /// Its Argon2id parameters are out of bounds.
    #[error("the export's parameters for Argon2id are out of bounds: its head was changed")]
    Parameters,
    /// The passphrase is wrong.
    #[error("this passphrase does not open the export, or its head was changed")]
    Passphrase,
    /// There is not enough memory to derive the key.
    #[error("the passphrase could not be stretched: there is not enough memory for it")]
    Memory,
    /// The file was changed.
    #[error("the export is damaged: record {0} was changed, is not where it was put, or is not there")]
    Damaged(u64),
}

/// Writer of an export, record by record.
pub struct ExportWriter<W> {
    out: W,
    key: Key,
    head: [u8; HEAD],
    count: u64,
    random: Random,
}

impl Transfer<'_> {
    /// Begins an export of this vault's credentials into `out`. It derives the key from the
    /// passphrase, which takes a moment.
    ///
    /// # Errors
    /// The outer error is a lack of memory for the passphrase; the inner one is a failed write.
    pub fn begin_export<W: Write>(
        self,
        out: W,
        passphrase: &Secret,
    ) -> Result<io::Result<ExportWriter<W>>, VaultError> {
        let (random, now) = (self.core.random, self.core.clock.now());
        let (head, key) = head_of(key_slot::DEFAULT, self.core.keyring().vault_id(), now, passphrase, random)?;
        Ok(ExportWriter::begin(out, head, key, random))
    }
}

fn head_of(
    cost: Argon2Cost,
    vault_id: &[u8; 16],
    now: UnixTime,
    passphrase: &Secret,
    random: Random,
) -> Result<([u8; HEAD], Key), VaultError> {
    let salt: [u8; 16] = random.bytes();
    let stretched = key_slot::stretch_at(cost, &salt, passphrase)?;
    let (memory, time, lanes) = (cost.memory_kib.to_be_bytes(), cost.time.to_be_bytes(), cost.lanes.to_be_bytes());
    let (made_at, check) = (now.0.to_be_bytes(), keys::derive::<CHECK>(&stretched, vault_id, "export: check"));
    let parts: [&[u8]; 8] = [MAGIC, &memory, &time, &lanes, &salt, vault_id, &made_at, check.as_slice()];
    let head = parts.concat().try_into().expect("the parts are as long as the head");
    Ok((head, keys::derive(&stretched, vault_id, "export: record")))
}

impl<W: Write> ExportWriter<W> {
    fn begin(mut out: W, head: [u8; HEAD], key: Key, random: Random) -> io::Result<Self> {
        out.write_all(&head)?;
        Ok(Self { out, key, head, count: 0, random })
    }

    /// Adds a credential.
    pub fn add(&mut self, credential: &TransferredCredential) -> io::Result<()> {
        self.put(&encode(credential), false)
    }

    /// Writes the last record, without which the file is not complete, and returns the output.
    pub fn finish(mut self) -> io::Result<W> {
        let count = self.count.to_be_bytes();
        self.put(&count, true)?;
        Ok(self.out)
    }

    fn put(&mut self, fields: &[u8], last: bool) -> io::Result<()> {
        if fields.len() > LARGEST - PADDING {
            return Err(io::Error::other("a credential is too large for an export"));
        }
        let length = u32::try_from(fields.len()).expect("at most LARGEST");
        let padded = (4 + fields.len()).next_multiple_of(PADDING);
        let mut plain = Zeroizing::new(Vec::with_capacity(padded));
        plain.extend_from_slice(&length.to_be_bytes());
        plain.extend_from_slice(fields);
        plain.resize(padded, 0);
        let sealed = keys::encrypt(&self.key, &[], &covered(&self.head, self.count, last), &mut plain, self.random);
        let length = u32::try_from(sealed.len()).expect("hardly more than LARGEST");
        self.count += 1;
        self.out.write_all(&length.to_be_bytes())?;
        self.out.write_all(&sealed)
    }
}

fn covered(head: &[u8], index: u64, last: bool) -> Vec<u8> {
    cover([b"strongroom export record".as_slice(), head, &index.to_be_bytes(), &[u8::from(last)]])
}

/// Opens a whole export or nothing. A valid record in the format of a later version is `None`.
///
/// # Errors
/// See [`ExportFault`].
pub fn read_export(bytes: &[u8], passphrase: &Secret) -> Result<Vec<Option<TransferredCredential>>, ExportFault> {
    let (head, rest) = split_head(bytes)?;
    let number = |at: usize| u32::from_be_bytes(field(head, at));
    let at = MAGIC.len();
    let cost = Argon2Cost { memory_kib: number(at), time: number(at + 4), lanes: number(at + 8) };
    if !cost.is_within_bounds() {
        return Err(ExportFault::Parameters);
    }
    let (salt, vault_id): ([u8; 16], [u8; 16]) = (field(head, at + 12), field(head, at + 28));
    let stretched = key_slot::stretch_at(cost, &salt, passphrase).map_err(|_| ExportFault::Memory)?;
    let check: [u8; CHECK] = field(head, HEAD - CHECK);
    if *keys::derive::<CHECK>(&stretched, &vault_id, "export: check") != check {
        return Err(ExportFault::Passphrase);
    }
    open_records(head, rest, &keys::derive(&stretched, &vault_id, "export: record"))
}

/// Splits the head from the rest.
pub(crate) fn split_head(bytes: &[u8]) -> Result<(&[u8; HEAD], &[u8]), ExportFault> {
    if !bytes.starts_with(MAGIC) {
        return Err(if bytes.starts_with(FAMILY) { ExportFault::Newer } else { ExportFault::NotAnExport });
    }
    bytes.split_first_chunk().ok_or(ExportFault::Damaged(0))
}

fn field<const N: usize>(head: &[u8; HEAD], at: usize) -> [u8; N] {
    head[at..at + N].try_into().expect("the head is as long as its fields")
}

fn open_records(
    head: &[u8; HEAD],
    mut rest: &[u8],
    key: &Key,
) -> Result<Vec<Option<TransferredCredential>>, ExportFault> {
    let mut found = Vec::new();
    for index in 0.. {
        let (sealed, after) = split_record(rest).ok_or(ExportFault::Damaged(index))?;
        let is_last = after.is_empty();
        let plain = keys::decrypt(key, &covered(head, index, is_last), sealed).ok_or(ExportFault::Damaged(index))?;
        let fields = fields_of(&plain).ok_or(ExportFault::Damaged(index))?;
        if is_last {
            return if fields == index.to_be_bytes() { Ok(found) } else { Err(ExportFault::Damaged(index)) };
        }
        found.push(TransferredCredential::read(fields));
        rest = after;
    }
    unreachable!("each record takes some of the file")
}

/// Splits the first record from the rest.
fn split_record(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    rest.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)
}

fn fields_of(plain: &[u8]) -> Option<&[u8]> {
    let (length, rest) = plain.split_first_chunk::<4>()?;
    rest.get(..usize::try_from(u32::from_be_bytes(*length)).ok()?)
}

/// For property tests and fuzz targets: bytes that were made without the passphrase never open, and
/// the content of a record is read or rejected.
#[cfg(any(test, fuzzing))]
pub(crate) fn holds(bytes: &[u8]) {
    super::transferred_credential::reads_as_written(bytes);
    if let Ok((head, rest)) = split_head(bytes) {
        let opened = open_records(head, rest, &Zeroizing::new([7; 32]));
        assert!(matches!(opened, Err(ExportFault::Damaged(_))), "nobody sealed this");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::CredentialId;
    use crate::vault::credentials::credential_record::summary_of;
    use crate::vault::{CredentialSecret, NewCredential};

    /// The lowest cost that is accepted.
    const COST: Argon2Cost = Argon2Cost { memory_kib: 19 * 1024, time: 2, lanes: 1 };

    fn portable(at: u8) -> TransferredCredential {
        let (alice, github) = ("alice".parse().unwrap(), "github".parse().unwrap());
        let key = CredentialSecret::ApiKey(Secret::new(format!("secret {at}")));
        let new = NewCredential::plain(alice, github, format!("key {at}"), key);
        let id: CredentialId = format!("0192d3f0-7c3a-7000-8000-0000000000{at:02}").parse().unwrap();
        TransferredCredential {
            summary: summary_of(id, &new, UnixTime(1), UnixTime(2)),
            material: new.material,
            registration: None,
        }
    }

    /// A file with three credentials, and the key of its records.
    fn export() -> (Vec<u8>, Key) {
        let (head, key) = head_of(COST, &[7; 16], UnixTime(9), &Secret::new("correct horse"), Random).unwrap();
        let mut writer = ExportWriter::begin(Vec::new(), head, key.clone(), Random).unwrap();
        (0..3).for_each(|at| writer.add(&portable(at)).unwrap());
        (writer.finish().unwrap(), key)
    }

    fn opened(bytes: &[u8], key: &Key) -> Result<Vec<String>, ExportFault> {
        let (head, rest) = split_head(bytes)?;
        Ok(open_records(head, rest, key)?.into_iter().map(|one| one.unwrap().summary.title).collect())
    }

    /// The start of each record, and the end of the file.
    fn borders(bytes: &[u8]) -> Vec<usize> {
        let mut borders = vec![HEAD];
        while *borders.last().unwrap() < bytes.len() {
            let at = *borders.last().unwrap();
            let length = u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap());
            borders.push(at + 4 + usize::try_from(length).unwrap());
        }
        borders
    }

    #[test]
    fn export_opens_with_its_passphrase_only() {
        let (bytes, _) = export();
        let opened = read_export(&bytes, &Secret::new("correct horse")).unwrap();
        assert_eq!(opened.len(), 3);
        assert_eq!(opened[1].as_ref().unwrap().summary, portable(1).summary);
        assert_eq!(read_export(&bytes, &Secret::new("another horse")).err(), Some(ExportFault::Passphrase));
    }

    #[test]
    fn changed_byte_is_detected_before_use() {
        let (bytes, key) = export();
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            assert!(opened(&changed, &key).is_err(), "byte {at}");
        }
    }

    #[test]
    fn cut_moved_or_added_records_are_detected() {
        let (bytes, key) = export();
        assert_eq!(opened(&bytes, &key).unwrap(), ["key 0", "key 1", "key 2"]);
        for end in 0..bytes.len() {
            assert!(opened(&bytes[..end], &key).is_err(), "cut at {end}");
        }
        let borders = borders(&bytes);
        let record = |at: usize| &bytes[borders[at]..borders[at + 1]];
        let with = |records: &[&[u8]]| [&bytes[..HEAD], &records.concat()].concat();
        assert!(opened(&with(&[record(0), record(1), record(2), record(3)]), &key).is_ok());
        for wrong in [
            with(&[record(1), record(0), record(2), record(3)]),
            with(&[record(0), record(2), record(3)]),
            with(&[record(0), record(1), record(1), record(2), record(3)]),
            with(&[record(0), record(1), record(2), record(3), record(3)]),
            with(&[record(3)]),
            with(&[]),
        ] {
            assert!(matches!(opened(&wrong, &key), Err(ExportFault::Damaged(_))));
        }
        let other = export().0;
        let foreign = &other[borders[0]..borders[1]];
        assert!(opened(&with(&[foreign, record(1), record(2), record(3)]), &key).is_err(), "of another export");
    }

    #[test]
    fn expensive_parameters_are_rejected_before_argon2_runs() {
        let (bytes, _) = export();
        for (at, value) in [(0, u32::MAX), (0, 8), (4, 11), (4, 1), (8, 0), (8, 1_000)] {
            let mut changed = bytes.clone();
            changed[MAGIC.len() + at..][..4].copy_from_slice(&value.to_be_bytes());
            assert_eq!(read_export(&changed, &Secret::new("correct horse")).err(), Some(ExportFault::Parameters));
        }
        assert_eq!(read_export(b"strongroom export 2\n", &Secret::new("x")).err(), Some(ExportFault::Newer));
        assert_eq!(read_export(b"[]", &Secret::new("x")).err(), Some(ExportFault::NotAnExport));
    }
}
