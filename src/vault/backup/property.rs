//! For the property tests and the fuzz targets: a backup is read to what was put into it, or
//! refused.

#![allow(clippy::unwrap_used, reason = "a property that does not hold panics")]

use std::path::PathBuf;

use super::chunks::{CHUNK, Opener, Sealer, Summed};
use super::entries::{BackupContents, BackupEntry, EntryReader, EntryWriter};
use super::error::BackupError;
use super::head::BackupHead;
use super::restore::{BackupSource, OpenBackup};
use crate::clock::UnixTime;
use crate::property::Script;
use crate::random::Random;
use crate::store::{RestoreTarget, SCHEMA_VERSION, SlotRow, StoreError, Table, ValueRef, VaultRow};
use crate::vault::crypto::keyring::Keyring;
use crate::vault::crypto::master_key::MasterKey;

/// Owned copy of the content of a backup.
#[derive(Debug, PartialEq)]
enum Owned {
    Table(Table),
    Row(Vec<(u8, i64, Vec<u8>)>),
}

/// A vault whose backups these are.
pub(crate) struct BackupSubject {
    pub(crate) master: MasterKey,
    pub(crate) keyring: Keyring,
    pub(crate) vault: VaultRow,
    pub(crate) slots: Vec<SlotRow>,
}

const MADE_AT: UnixTime = UnixTime(1_800_000_000);

impl BackupSubject {
    /// The first byte says what the rest is: what is done to a good file of one chunk or of
    /// several, a file that was found, or what stands in one that we sealed.
    pub(crate) fn holds(&self, bytes: &[u8], good: &[Vec<u8>; 2]) {
        let mut script = Script::new(bytes);
        match script.byte() % 4 {
            0 => self.edited(&good[0], 1, script),
            1 => self.edited(&good[1], CHUNKS, script),
            2 => self.found(script.rest()),
            _ => self.inside(script.rest()),
        }
    }

    /// A whole backup with one row of so many bytes.
    pub(crate) fn backup(&self, large: usize) -> Vec<u8> {
        let large = vec![b'x'; large];
        self.sealed(|entries| {
            entries.contents(&self.contents())?;
            let name = |name: &str| Table { name: name.into(), columns: vec!["a".into(), "b".into()] };
            entries.table(&name("first"))?;
            entries.row(&[ValueRef::Integer(-7), ValueRef::Text(b"sealed")])?;
            entries.table(&name("second"))?;
            entries.row(&[ValueRef::Null, ValueRef::Blob(&large)])
        })
    }

    /// The plaintext of a backup that has rows of a real table.
    #[cfg(test)]
    pub(crate) fn plaintext(&self) -> Vec<u8> {
        let sealed = self.sealed(|entries| {
            entries.contents(&self.contents())?;
            let columns = ["id", "created_at", "revision", "data_key", "sealed"].map(str::to_owned).to_vec();
            entries.table(&Table { name: "user".into(), columns })?;
            let numbers = [ValueRef::Integer(1); 3];
            entries.row(&[&[ValueRef::Text(b"alice")], numbers.as_slice(), &[ValueRef::Blob(b"sealed")]].concat())
        });
        let mut opener = self.opener(&sealed).unwrap_or_else(|error| panic!("{error}"));
        let (mut plain, mut byte) = (Vec::new(), [0]);
        while opener.take(&mut byte).unwrap() {
            plain.push(byte[0]);
        }
        plain
    }

    fn contents(&self) -> BackupContents {
        BackupContents {
            vault_id: self.head().vault_id(),
            created_at: MADE_AT,
            epoch: 5,
            schema_version: SCHEMA_VERSION,
            users: 1,
            credentials: 0,
            api_keys: 0,
            audit: 0,
        }
    }

    fn head(&self) -> BackupHead {
        BackupHead::new(&self.vault, self.slots.clone(), MADE_AT, Random)
    }

    fn sealed(&self, write: impl FnOnce(&mut EntryWriter<Vec<u8>>) -> Result<(), BackupError>) -> Vec<u8> {
        let mut entries = EntryWriter::new(self.sealer());
        write(&mut entries).unwrap();
        entries.finish().unwrap()
    }

    fn sealer(&self) -> Sealer<Vec<u8>> {
        let mut out = Summed::new(Vec::new());
        let (keys, bound_to) = self.head().begin(&mut out, &self.keyring).unwrap();
        Sealer::new(out, &keys.chunks, bound_to)
    }

    fn opener<'f>(&self, file: &'f [u8]) -> Result<Opener<&'f [u8]>, BackupError> {
        let mut from = Summed::new(file);
        let (_, keys, bound_to) = BackupHead::open(&mut from, &PathBuf::from("f"), &self.master)?;
        Ok(Opener::new(from, &keys.chunks, bound_to))
    }

    /// Everything in a backup, where all of it is as it was written.
    fn read(&self, file: &[u8]) -> Result<(BackupContents, Vec<Owned>), BackupError> {
        let mut entries = EntryReader::new(self.opener(file)?);
        let (contents, mut all) = (entries.contents()?, Vec::new());
        loop {
            all.push(match entries.next()? {
                BackupEntry::Table(table) => Owned::Table(table),
                BackupEntry::Row(row) => Owned::Row(row.iter().map(owned).collect()),
                BackupEntry::End => return Ok((contents, all)),
            });
        }
    }

    fn edited(&self, good: &[u8], chunks: usize, mut script: Script<'_>) {
        let mut file = good.to_vec();
        while !script.is_over() {
            match script.byte() % 8 {
                0 => move_chunk(&mut file, chunks, &mut script),
                // Where a change is most telling.
                1 => {
                    let at = (file.len().saturating_sub(script.below(80))).min(file.len().saturating_sub(1));
                    file.get_mut(at).into_iter().for_each(|byte| *byte ^= script.byte());
                }
                _ => script.edit(&mut file),
            }
        }
        match self.read(&file) {
            Ok(_) => assert!(file == good, "a backup that was changed is read"),
            Err(error) => {
                assert!(file != good, "{error}");
                is_refusal(&error);
            }
        }
    }

    /// A backup that opens holds what the seeds hold: only we can seal.
    fn found(&self, file: &[u8]) {
        match self.read(file) {
            Ok(read) => assert!(read == self.read(&self.backup(SMALL)).unwrap(), "nobody sealed this"),
            Err(error) => is_refusal(&error),
        }
    }

    /// Whatever stands behind the seal is understood and is the same when it is written again, or
    /// is refused; and rows that no vault has are refused by the file that they would go into.
    fn inside(&self, plain: &[u8]) {
        let mut sealer = self.sealer();
        sealer.put(plain).unwrap();
        let file = sealer.finish().unwrap();
        match self.read(&file) {
            Ok((contents, all)) => {
                let again = self.sealed(|entries| {
                    entries.contents(&contents)?;
                    all.iter().try_for_each(|entry| match entry {
                        Owned::Table(table) => entries.table(table),
                        Owned::Row(row) => entries.row(&row.iter().map(cell).collect::<Vec<_>>()),
                    })
                });
                assert_eq!(self.read(&again).unwrap(), (contents, all));
            }
            Err(error) => is_refusal(&error),
        }
        let source = BackupSource { path: PathBuf::from("f"), reader: Box::new(std::io::Cursor::new(file)) };
        let filled = OpenBackup::open(source, &self.master).and_then(|backup| {
            let mut target_file = RestoreTarget::scratch(backup.contents.schema_version)?;
            backup.fill(&mut target_file)
        });
        if let Err(error) = filled {
            is_refusal(&error);
        }
    }
}

/// The sizes of the large row: all in one chunk, and over three.
const SMALL: usize = 10;
const CHUNKS: usize = 3;
pub(crate) const SIZES: [usize; 2] = [SMALL, 2 * CHUNK + 100];

fn is_refusal(error: &BackupError) {
    let is_expected = match error {
        BackupError::Damaged(_) | BackupError::CutOff | BackupError::NotABackup(_) => true,
        BackupError::NewerFormat { found, known } => found > known,
        BackupError::Vault(error) => matches!(
            error,
            crate::vault::VaultError::WrongKey { .. }
                | crate::vault::VaultError::DamagedKeyring(_)
                | crate::vault::VaultError::Store(StoreError::NewerFormat { .. })
        ),
        _ => false,
    };
    assert!(is_expected, "{error:?}");
    crate::property::is_fit_to_be_shown(&error.to_string());
}

/// Takes a chunk out, puts it elsewhere, or puts it in twice.
fn move_chunk(file: &mut Vec<u8>, chunks: usize, script: &mut Script<'_>) {
    const WHOLE: usize = 4 + CHUNK + 16;
    let (from, to) = (script.below(chunks.saturating_sub(1)), script.below(chunks));
    let Some(first) = first_chunk(file) else { return };
    let Some(chunk) = file.get(first + from * WHOLE..first + (from + 1) * WHOLE).map(<[u8]>::to_vec) else { return };
    if script.byte().is_multiple_of(2) {
        file.drain(first + from * WHOLE..first + (from + 1) * WHOLE);
    }
    let at = (first + to * WHOLE).min(file.len());
    drop(file.splice(at..at, chunk));
}

/// Behind the head and its MAC.
fn first_chunk(file: &[u8]) -> Option<usize> {
    let length = u32::from_be_bytes(file.get(20..24)?.try_into().ok()?);
    Some(24 + usize::try_from(length).ok()? + 32)
}

fn owned(cell: &ValueRef<'_>) -> (u8, i64, Vec<u8>) {
    match cell {
        ValueRef::Null | ValueRef::Real(_) => (0, 0, Vec::new()),
        ValueRef::Integer(number) => (1, *number, Vec::new()),
        ValueRef::Text(text) => (2, 0, text.to_vec()),
        ValueRef::Blob(bytes) => (3, 0, bytes.to_vec()),
    }
}

fn cell((kind, number, bytes): &(u8, i64, Vec<u8>)) -> ValueRef<'_> {
    match kind {
        0 => ValueRef::Null,
        1 => ValueRef::Integer(*number),
        2 => ValueRef::Text(bytes),
        _ => ValueRef::Blob(bytes),
    }
}
