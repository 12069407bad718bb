//! Reading a backup into a new vault file.

use std::io::Read;

use super::chunks::{Opener, Summed};
use super::contents::BackupContents;
use super::entries::{BackupEntry, EntryReader};
use super::error::BackupError;
use super::head::BackupHead;
use super::source::BackupSource;
use crate::store::{RestoreTarget, StoreError, Table};
use crate::vault::crypto::master_key::MasterKey;
use crate::vault::error::VaultError;

/// A backup whose head is authenticated, and whose rows are still to be read.
pub(crate) struct OpenBackup {
    pub(crate) contents: BackupContents,
    entries: EntryReader<Box<dyn Read>>,
}

impl OpenBackup {
    pub(crate) fn open(source: BackupSource, master: &MasterKey) -> Result<Self, BackupError> {
        let mut from = Summed::new(source.reader);
        let (head, keys, bound_to) = BackupHead::open(&mut from, &source.path, master)?;
        let mut entries = EntryReader::new(Opener::new(from, &keys.chunks, bound_to));
        let contents = entries.contents()?;
        if (&contents.vault_id, contents.created_at) != (&head.vault_id(), head.made_at()) {
            return Err(BackupError::Damaged("its head is of another backup"));
        }
        Ok(Self { contents, entries })
    }

    /// Inserts every row into `target`, and migrates the schema.
    pub(crate) fn fill(mut self, target: &mut RestoreTarget) -> Result<BackupContents, BackupError> {
        let mut table: Option<Table> = None;
        loop {
            match self.entries.next()? {
                BackupEntry::Table(next) => table = Some(next),
                BackupEntry::Row(row) => {
                    let table = table.as_ref().ok_or(BackupError::Damaged("a row belongs to no table"))?;
                    target.insert(table, &row).map_err(unfit)?;
                }
                BackupEntry::End => break,
            }
        }
        target.end_rows().map_err(unfit)?;
        Ok(self.contents)
    }
}

/// Converts an error of inserting rows. The rows were authenticated, so invalid ones were already
/// wrong when they were written.
fn unfit(error: StoreError) -> BackupError {
    match error {
        StoreError::Corrupt(_) | StoreError::Sqlite(_) => {
            BackupError::Damaged("its rows do not make a vault of the version that it names")
        }
        other => VaultError::from(other).into(),
    }
}
