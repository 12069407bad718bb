//! A backup is read: into a file that is being filled, from its first byte to its last.

use std::io::Read;

use super::chunks::{Opener, Summed};
use super::contents::BackupContents;
use super::entries::{Entry, EntryReader};
use super::error::BackupError;
use super::head::BackupHead;
use super::source::BackupSource;
use crate::store::{RestoreTarget, StoreError, Table};
use crate::vault::crypto::master_key::MasterKey;
use crate::vault::error::VaultError;

/// A backup whose head is proved, with all of its rows still to be read.
pub(in crate::vault) struct OpenBackup {
    pub(in crate::vault) contents: BackupContents,
    entries: EntryReader<Box<dyn Read>>,
}

impl OpenBackup {
    pub(in crate::vault) fn open(source: BackupSource, master: &MasterKey) -> Result<Self, BackupError> {
        let mut from = Summed::new(source.reader);
        let (head, keys, bound_to) = BackupHead::read(&mut from, &source.path, master)?;
        let mut entries = EntryReader::new(Opener::new(from, &keys.chunks, bound_to));
        let contents = entries.contents()?;
        if (&contents.vault_id, contents.created_at) != (&head.vault_id(), head.made_at()) {
            return Err(BackupError::Damaged("its head is of another backup"));
        }
        Ok(Self { contents, entries })
    }

    /// Puts every row into `target`, and brings the schema up to date.
    pub(in crate::vault) fn fill(mut self, target: &mut RestoreTarget) -> Result<BackupContents, BackupError> {
        let mut table: Option<Table> = None;
        loop {
            match self.entries.next()? {
                Entry::Table(next) => table = Some(next),
                Entry::Row(row) => {
                    let table = table.as_ref().ok_or(BackupError::Damaged("a row belongs to no table"))?;
                    target.insert(table, &row).map_err(unfit)?;
                }
                Entry::End => break,
            }
        }
        target.end_rows().map_err(unfit)?;
        Ok(self.contents)
    }
}

/// All of it was authenticated, so rows that do not go in were wrong when they were written.
fn unfit(error: StoreError) -> BackupError {
    match error {
        StoreError::Corrupt(_) | StoreError::Sqlite(_) => {
            BackupError::Damaged("its rows do not make a vault of the version that it names")
        }
        other => VaultError::from(other).into(),
    }
}
