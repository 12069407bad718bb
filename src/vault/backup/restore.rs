//! Restore of a backup, and its verification: both read it into a new vault file and run the same
//! checks.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::chunks::{Opener, Summed};
use super::entries::{BackupContents, BackupEntry, EntryReader};
use super::error::BackupError;
use super::head::BackupHead;
use crate::clock::Clock;
use crate::random::Random;
use crate::store::{RestoreTarget, SCHEMA_VERSION, StoreError, Table, Tx, View};
use crate::vault::approvals::store as approvals;
use crate::vault::credentials::metadata::CredentialMetadata;
use crate::vault::crypto::keyring::Keyring;
use crate::vault::crypto::master_key::MasterKey;
use crate::vault::error::VaultError;
use crate::vault::integrity::verify::verify;
use crate::vault::txn::audit_context::AuditContext;
use crate::vault::txn::audit_row::{Action, Subject};
use crate::vault::txn::manifest::{Manifest, RestoreMark};
use crate::vault::txn::write_txn::WriteTxn;
use crate::vault::{hex, standby};

const BUFFER: usize = 128 * 1024;

/// A backup that is read once, from its first byte to its last.
pub struct BackupSource {
    pub(super) path: PathBuf,
    pub(super) reader: Box<dyn Read>,
}

impl BackupSource {
    /// Opens a file.
    pub fn open(path: &Path) -> Result<Self, BackupError> {
        let file = File::open(path);
        let file = file.map_err(|source| VaultError::File { what: "cannot read", path: path.to_owned(), source })?;
        Ok(Self { path: path.to_owned(), reader: Box::new(BufReader::with_capacity(BUFFER, file)) })
    }

    /// Opens standard input.
    pub fn stdin() -> Self {
        let reader = BufReader::with_capacity(BUFFER, io::stdin());
        Self { path: PathBuf::from("standard input"), reader: Box::new(reader) }
    }
}

/// Master key and environment of a restore.
pub struct Restorer<'m> {
    /// The master key of the time of the backup.
    pub master: &'m MasterKey,
    /// The clock, for the standby mark and the audit row.
    pub clock: Clock,
    /// Randomness for new records.
    pub random: Random,
}

/// The result of a restore.
#[derive(Clone, Debug, Serialize)]
pub struct RestoredVault {
    /// The content of the backup.
    #[serde(flatten)]
    pub contents: BackupContents,
    /// The vault's schema version.
    #[serde(rename = "schema_version_now")]
    pub schema_version: u32,
    /// Number of sealed records that were opened.
    #[serde(rename = "opened_records")]
    pub opened: u64,
    /// Number of credentials whose refresh tokens may be used up by another vault.
    pub may_be_stale: u64,
}

impl Restorer<'_> {
    /// Restores a backup to `target`, never over an existing file. The vault gets a standby
    /// mark: it refreshes and revokes nothing on its own until the operator promotes it. With
    /// `live` it is promoted at once.
    pub fn restore(
        &self,
        source: BackupSource,
        target: &Path,
        live: bool,
        who: &AuditContext,
    ) -> Result<RestoredVault, BackupError> {
        let backup = OpenBackup::open(source, self.master)?;
        let unique = hex::write(&self.random.bytes::<8>());
        let mut target_file = RestoreTarget::beside(target, backup.contents.schema_version, &unique)?;
        let (restored, keyring) = self.fill(backup, &mut target_file)?;
        target_file.write(|tx| self.mark(tx, &keyring, &restored.contents, live, who))?;
        target_file.publish(target)?;
        Ok(restored)
    }

    /// Opens every record of a backup in an unnamed temporary file.
    pub fn verify(&self, source: BackupSource) -> Result<RestoredVault, BackupError> {
        let backup = OpenBackup::open(source, self.master)?;
        let mut target_file = RestoreTarget::scratch(backup.contents.schema_version)?;
        Ok(self.fill(backup, &mut target_file)?.0)
    }

    fn fill(
        &self,
        backup: OpenBackup,
        target_file: &mut RestoreTarget,
    ) -> Result<(RestoredVault, Keyring), BackupError> {
        let contents = backup.fill(target_file)?;
        let keyring = target_file.read(|view| Keyring::open(view, self.master))?;
        let (opened, may_be_stale) = target_file.read(|view| Self::check(view, &keyring))?;
        let epoch = target_file.read(|view| Manifest::load(view, &keyring))?.epoch;
        if (epoch, hex::write(&keyring.vault_id)) != (contents.epoch, contents.vault_id.clone()) {
            return Err(BackupError::Damaged("it is not the vault that it says it is"));
        }
        Ok((RestoredVault { contents, schema_version: SCHEMA_VERSION, opened, may_be_stale }, keyring))
    }

    /// Verifies everything. Returns the number of opened records, and the number of credentials
    /// that may have a refresh token.
    fn check(view: &View<'_>, keyring: &Keyring) -> Result<(u64, u64), VaultError> {
        let found = verify(view, keyring)?;
        found.must_hold()?;
        Ok((found.records + found.api_keys, standby::count(view, keyring, CredentialMetadata::may_have_refresh_token)?))
    }

    fn mark(
        &self,
        tx: &Tx<'_>,
        keyring: &Keyring,
        contents: &BackupContents,
        live: bool,
        who: &AuditContext,
    ) -> Result<(), VaultError> {
        let now = self.clock.now();
        let mut txn = WriteTxn::open(tx, keyring, who, now, self.random)?;
        let manifest = txn.manifest_mut();
        manifest.restores = manifest.restores.saturating_add(1);
        manifest.restored = (!live).then_some(RestoreMark { at: now, backup_at: contents.created_at });
        // The epoch file of the other vault may be on another machine.
        manifest.epoch_file = false;
        approvals::remove_all(&mut txn)?;
        txn.record(Action::VaultRestore, Subject::default())?;
        if live {
            txn.record(Action::VaultPromote, Subject::default())?;
        }
        txn.close();
        Ok(())
    }
}

/// A backup whose head is authenticated, and whose rows are still to be read.
pub(super) struct OpenBackup {
    pub(super) contents: BackupContents,
    entries: EntryReader<Box<dyn Read>>,
}

impl OpenBackup {
    pub(super) fn open(source: BackupSource, master: &MasterKey) -> Result<Self, BackupError> {
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
    pub(super) fn fill(mut self, target: &mut RestoreTarget) -> Result<BackupContents, BackupError> {
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
