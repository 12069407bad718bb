//! The export file: credentials sealed with a passphrase, to move them from one vault to another.
//!
//! ```text
//! "strongroom export 1\n" | memory 4 | time 4 | lanes 4 | salt 16 | vault 16 | made at 8 | check 16
//! then the chunks of `backup/chunks.rs`; in them for each credential: length 4 | fields | zeros
//! ```
//!
//! The key is derived from the passphrase by Argon2id, as in a key slot. Each chunk is bound to the
//! whole head, to its position, and to the mark of the last chunk. So a chunk that was removed,
//! moved, cut or added is detected before any credential is used.

use std::io::{self, Write};

use zeroize::Zeroizing;

use super::import::Transfer;
use super::transferred_credential::TransferredCredential;
use crate::clock::UnixTime;
use crate::random::Random;
use crate::secret::Secret;
use crate::vault::backup::chunks::{Opener, Sealer, Summed};
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
    sealer: Sealer<W>,
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
        let (head, key) = head_of(key_slot::DEFAULT, &self.core.keyring().vault_id, now, passphrase, random)?;
        Ok(ExportWriter::begin(out, &head, &key))
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
    fn begin(mut out: W, head: &[u8; HEAD], key: &Key) -> io::Result<Self> {
        out.write_all(head)?;
        Ok(Self { sealer: Sealer::new(Summed::new(out), key, keys::mac(key, [head.as_slice()])) })
    }

    /// Adds a credential.
    pub fn add(&mut self, credential: &TransferredCredential) -> io::Result<()> {
        let fields = encode(credential);
        let length = u32::try_from(fields.len()).expect("a credential is far below 4 GiB: requests end at 1 MiB");
        self.sealer.put(&length.to_be_bytes())?;
        self.sealer.put(&fields)?;
        self.sealer.put(&[0; PADDING][..padding(fields.len())])
    }

    /// Writes the last chunk, without which the file is not complete, and returns the output.
    pub fn finish(self) -> io::Result<W> {
        self.sealer.finish()
    }
}

/// Returns the number of zeros after a record of this length.
fn padding(length: usize) -> usize {
    (4 + length).next_multiple_of(PADDING) - 4 - length
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
    chunks: &[u8],
    key: &Key,
) -> Result<Vec<Option<TransferredCredential>>, ExportFault> {
    let mut opener = Opener::new(Summed::new(chunks), key, keys::mac(key, [head.as_slice()]));
    let mut found = Vec::new();
    for index in 0.. {
        let damaged = |_| ExportFault::Damaged(index);
        let (mut length, mut record) = ([0; 4], Zeroizing::default());
        if !opener.take(&mut length).map_err(damaged)? {
            break;
        }
        let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
        opener.append(&mut record, length).map_err(damaged)?;
        opener.take(&mut [0; PADDING][..padding(length)]).map_err(damaged)?;
        found.push(TransferredCredential::read(&record));
    }
    Ok(found)
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
    use crate::vault::backup::chunks::CHUNK;
    use crate::vault::credentials::credential_record::summary_of;
    use crate::vault::{CredentialSecret, NewCredential};

    /// The lowest cost that is accepted.
    const COST: Argon2Cost = Argon2Cost { memory_kib: 19 * 1024, time: 2, lanes: 1 };

    fn portable(at: u8, length: usize) -> TransferredCredential {
        let (alice, github) = ("alice".parse().unwrap(), "github".parse().unwrap());
        let key = CredentialSecret::ApiKey(Secret::new("s".repeat(length)));
        let new = NewCredential::plain(alice, github, format!("key {at}"), key);
        let id: CredentialId = format!("0192d3f0-7c3a-7000-8000-0000000000{at:02}").parse().unwrap();
        TransferredCredential {
            summary: summary_of(id, &new, UnixTime(1), UnixTime(2)),
            material: new.material,
            registration: None,
        }
    }

    /// A file with three credentials whose secrets have this length, and the key of its chunks.
    fn export(length: usize) -> (Vec<u8>, Key) {
        let (head, key) = head_of(COST, &[7; 16], UnixTime(9), &Secret::new("correct horse"), Random).unwrap();
        let mut writer = ExportWriter::begin(Vec::new(), &head, &key).unwrap();
        (0..3).for_each(|at| writer.add(&portable(at, length)).unwrap());
        (writer.finish().unwrap(), key)
    }

    fn opened(bytes: &[u8], key: &Key) -> Result<Vec<String>, ExportFault> {
        let (head, rest) = split_head(bytes)?;
        Ok(open_records(head, rest, key)?.into_iter().map(|one| one.unwrap().summary.title).collect())
    }

    #[test]
    fn export_opens_with_its_passphrase_only() {
        let (bytes, _) = export(10);
        let opened = read_export(&bytes, &Secret::new("correct horse")).unwrap();
        assert_eq!(opened.len(), 3);
        assert_eq!(opened[1].as_ref().unwrap().summary, portable(1, 10).summary);
        assert_eq!(read_export(&bytes, &Secret::new("another horse")).err(), Some(ExportFault::Passphrase));
    }

    #[test]
    fn changed_byte_is_detected_before_use() {
        let (bytes, key) = export(10);
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            assert!(opened(&changed, &key).is_err(), "byte {at}");
        }
    }

    #[test]
    fn cut_moved_or_added_records_are_detected() {
        let (bytes, key) = export(10);
        assert_eq!(opened(&bytes, &key).unwrap(), ["key 0", "key 1", "key 2"]);
        for end in 0..bytes.len() {
            assert!(opened(&bytes[..end], &key).is_err(), "cut at {end}");
        }
        // Three credentials of 50 kB are in three chunks, the last with the checksum behind it.
        let (bytes, key) = export(50_000);
        let (head, rest) = bytes.split_at(HEAD);
        let chunks: Vec<&[u8]> = rest.chunks(4 + CHUNK + 16).collect();
        let [first, second, last] = chunks[..] else { panic!("{} chunks", chunks.len()) };
        let with = |chunks: &[&[u8]]| [head, &chunks.concat()].concat();
        assert!(opened(&with(&[first, second, last]), &key).is_ok());
        let other = export(50_000).0;
        let foreign = &other[HEAD..HEAD + first.len()];
        for wrong in [
            with(&[second, first, last]),
            with(&[first, last]),
            with(&[first, first, second, last]),
            with(&[first, second, last, last]),
            with(&[first, second]),
            with(&[last]),
            with(&[]),
            with(&[foreign, second, last]),
        ] {
            assert!(matches!(opened(&wrong, &key), Err(ExportFault::Damaged(_))));
        }
    }

    #[test]
    fn expensive_parameters_are_rejected_before_argon2_runs() {
        let (bytes, _) = export(10);
        for (at, value) in [(0, u32::MAX), (0, 8), (4, 11), (4, 1), (8, 0), (8, 1_000)] {
            let mut changed = bytes.clone();
            changed[MAGIC.len() + at..][..4].copy_from_slice(&value.to_be_bytes());
            assert_eq!(read_export(&changed, &Secret::new("correct horse")).err(), Some(ExportFault::Parameters));
        }
        assert_eq!(read_export(b"strongroom export 2\n", &Secret::new("x")).err(), Some(ExportFault::Newer));
        assert_eq!(read_export(b"[]", &Secret::new("x")).err(), Some(ExportFault::NotAnExport));
    }
}
