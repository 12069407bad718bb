//! Writing a backup from one read transaction, beside other readers and writers, in bounded memory.

use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde::Serialize;

use super::chunks::{Sealer, Summed};
use super::entries::{BackupContents, EntryWriter};
use super::error::BackupError;
use super::head::BackupHead;
use super::new_file::{Existing, NewFile};
use crate::store::{SCHEMA_VERSION, Table, View};
use crate::vault::crypto::keyring::Keyring;
use crate::vault::error::VaultError;
use crate::vault::hex;
use crate::vault::txn::audit_context::AuditContext;
use crate::vault::txn::audit_row::{Action, Subject};
use crate::vault::txn::core::VaultCore;
use crate::vault::txn::manifest::Manifest;

const BUFFER: usize = 128 * 1024;

/// A completed backup.
#[derive(Clone, Debug, Serialize)]
pub struct MadeBackup {
    /// The file.
    pub path: PathBuf,
    /// Size in bytes.
    pub bytes: u64,
    /// The content.
    #[serde(flatten)]
    pub contents: BackupContents,
}

/// Stops a running backup early; nothing of it is left then.
#[derive(Clone, Debug, Default)]
pub struct BackupStop(Arc<AtomicBool>);

impl BackupStop {
    /// Requests the stop.
    pub fn ask(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn is_asked(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Backups of a vault.
#[derive(Clone, Copy)]
pub struct Backups<'v> {
    pub(crate) core: &'v VaultCore,
}

impl Backups<'_> {
    /// Writes a backup to a file. This takes long, so it must not run on a thread that serves
    /// requests. Readers and writers of the vault do not wait for it; the write-ahead log grows
    /// until it is done.
    pub fn write(self, target: &Path, existing: Existing, stop: &BackupStop) -> Result<MadeBackup, BackupError> {
        let file = BufWriter::with_capacity(BUFFER, NewFile::create(target, existing)?);
        let (file, contents) = self.write_to(file, stop)?;
        let file = file.into_inner().map_err(|error| BackupError::writing(error.into_error()))?;
        Ok(MadeBackup { path: target.to_owned(), bytes: file.publish()?, contents })
    }

    /// Writes a backup to a stream, and returns the stream.
    pub fn write_to<W: Write>(self, out: W, stop: &BackupStop) -> Result<(W, BackupContents), BackupError> {
        let known = self.core.keyring();
        self.core.store.snapshot(|view| {
            // Another process may have changed the keys since they were read.
            let changed = known.read_again(view)?;
            self.write_view(view, changed.as_ref().unwrap_or(&known), out, stop)
        })
    }

    /// Writes the audit row of a backup, after the file: on a full disk a backup to another
    /// disk still succeeds.
    pub async fn record(self, who: &AuditContext) -> Result<(), VaultError> {
        self.core.write(who, |txn| txn.record(Action::VaultBackup, Subject::default())).await
    }

    /// Returns the beginning of the names of automatic backups, which contains the vault's id.
    pub fn file_prefix(self) -> String {
        format!("strongroom-{}-", hex::write(&self.core.keyring().vault_id))
    }

    fn write_view<W: Write>(
        self,
        view: &View<'_>,
        keyring: &Keyring,
        out: W,
        stop: &BackupStop,
    ) -> Result<(W, BackupContents), BackupError> {
        let contents = self.contents(view, keyring)?;
        let head = BackupHead::new(&view.vault()?, view.slots()?, contents.created_at, self.core.random);
        let mut out = Summed::new(out);
        let (keys, bound_to) = head.begin(&mut out, keyring)?;
        let mut entries = EntryWriter::new(Sealer::new(out, &keys.chunks, bound_to));
        entries.contents(&contents)?;
        for table in Table::all()? {
            entries.table(&table)?;
            view.each_row(&table, |row| if stop.is_asked() { Err(BackupError::GivenUp) } else { entries.row(row) })?;
        }
        Ok((entries.finish()?, contents))
    }

    fn contents(self, view: &View<'_>, keyring: &Keyring) -> Result<BackupContents, BackupError> {
        let (counts, manifest) = (view.counts()?, Manifest::load(view, keyring)?);
        Ok(BackupContents {
            vault_id: hex::write(&keyring.vault_id),
            created_at: self.core.clock.now(),
            epoch: manifest.epoch,
            schema_version: SCHEMA_VERSION,
            users: counts.users,
            credentials: counts.credentials,
            api_keys: counts.api_keys,
            audit: counts.audit,
        })
    }
}
