//! Restore of a backup, and its verification: both run the same checks.

use std::path::Path;

use serde::Serialize;

use super::contents::BackupContents;
use super::error::BackupError;
use super::read::OpenBackup;
use super::source::BackupSource;
use crate::clock::Clock;
use crate::random::Random;
use crate::store::{RestoreTarget, SCHEMA_VERSION, Tx, View};
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
        txn.record(Action::VaultRestore, Subject::default())?;
        if live {
            txn.record(Action::VaultPromote, Subject::default())?;
        }
        txn.close();
        Ok(())
    }
}
