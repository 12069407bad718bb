//! Restore: turns a backup into a vault, or only checks it.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::open::is_served;
use crate::broker::installation::Installation;
use crate::clock::Clock;
use crate::random::Random;
use crate::vault::{
    AuditContext, BackupError, BackupSource, MasterKey, RestoredVault, Restorer, StoreError, VaultError,
};

/// Result of a restore.
#[derive(Debug, Serialize)]
pub struct Restored {
    /// Path of the vault; `None` if the backup was only checked.
    pub path: Option<PathBuf>,
    /// True if the vault is in service.
    pub promote: bool,
    /// Content of the backup.
    #[serde(flatten)]
    pub vault: RestoredVault,
}

impl Installation {
    /// Checks that a restore would overwrite nothing, and that no server has a moved vault of this
    /// path open.
    pub fn check_restore_target(&self) -> Result<(), VaultError> {
        let target = &self.config.vault.path;
        if target.symlink_metadata().is_ok() {
            Err(VaultError::Store(StoreError::AlreadyExists(target.clone())))
        } else if is_served(target) {
            Err(VaultError::Store(StoreError::Locked(target.clone())))
        } else {
            Ok(())
        }
    }

    /// Restores a backup (`-`: the standard input) into a new vault. It sends no request on its own
    /// until it is promoted, unless `promote` is set.
    pub fn restore(&self, backup: &Path, key: &MasterKey, promote: bool) -> Result<Restored, BackupError> {
        let path = self.config.vault.path.clone();
        let vault = restorer(key).restore(source(backup)?, &path, promote, &AuditContext::command_line())?;
        Ok(Restored { path: Some(path), promote, vault })
    }

    /// Opens every record of a backup, and restores nothing.
    pub fn verify_backup(&self, backup: &Path, key: &MasterKey) -> Result<Restored, BackupError> {
        Ok(Restored { path: None, promote: false, vault: restorer(key).verify(source(backup)?)? })
    }
}

fn restorer(master: &MasterKey) -> Restorer<'_> {
    Restorer { master, clock: Clock::system(), random: Random }
}

fn source(backup: &Path) -> Result<BackupSource, BackupError> {
    if backup == Path::new("-") { Ok(BackupSource::stdin()) } else { BackupSource::open(backup) }
}
