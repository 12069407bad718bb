//! Backup at the operator's request, into a file or a stream.

use std::io::{self, Write};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::open::is_served;
use crate::broker::admin::scheduled_backup::backup_name;
use crate::broker::vault_admin::VaultAdmin;
use crate::vault::{BackupError, BackupStop, Existing, MadeBackup, StoreError, VaultError, is_backup};

impl VaultAdmin {
    /// Returns the file of a new backup: `asked`, or in this folder a file with the backup's own
    /// name. Without `asked` it is in `backup.directory`; `None` if that is not set.
    pub fn backup_file(&self, asked: Option<&Path>) -> Option<PathBuf> {
        let target = asked.or(self.config.backup.directory.as_deref())?;
        Some(if target.is_dir() { target.join(backup_name(&self.vault, self.clock.now())) } else { target.to_owned() })
    }

    /// Writes a backup to a file. The second value is the error of the audit row, which is written
    /// after the file.
    pub async fn back_up(
        &self,
        target: &Path,
        existing: Existing,
    ) -> Result<(MadeBackup, Result<(), VaultError>), BackupError> {
        check_folder(target)?;
        self.check_target(target, existing)?;
        let made = self.vault.backups().write(target, existing, &BackupStop::default())?;
        Ok((made, self.vault.backups().record(&self.who).await))
    }

    /// Writes a backup to a stream. The value is the result of the audit row.
    pub async fn back_up_to(&self, stream: impl Write) -> Result<Result<(), VaultError>, BackupError> {
        self.vault.backups().write_to(stream, &BackupStop::default())?.0.flush().map_err(BackupError::writing)?;
        Ok(self.vault.backups().record(&self.who).await)
    }
}

impl VaultAdmin {
    /// Checks that a backup may be put at this path: no server has a vault of this path open, and a
    /// replaced file is a backup, not a vault, a key or a configuration.
    fn check_target(&self, target: &Path, existing: Existing) -> Result<(), BackupError> {
        if is_served(target) {
            return Err(VaultError::Store(StoreError::Locked(target.to_owned())).into());
        }
        let Ok(found) = std::fs::metadata(target) else { return Ok(()) };
        if existing == Existing::Keep {
            return Err(BackupError::AlreadyExists(target.to_owned()));
        }
        // The own vault is not opened for this: closing it again would end SQLite's locks on it.
        let own = std::fs::metadata(&self.config.vault.path);
        let is_own = own.is_ok_and(|own| (own.dev(), own.ino()) == (found.dev(), found.ino()));
        if is_own || !found.is_file() || !is_backup(target) {
            Err(BackupError::NotReplaceable(target.to_owned()))
        } else {
            Ok(())
        }
    }
}

/// Checks that the folder of a new file exists. A path that ends with a slash is a folder.
fn check_folder(target: &Path) -> Result<(), BackupError> {
    let is_folder = target.as_os_str().as_encoded_bytes().ends_with(b"/");
    let folder = if is_folder { Some(target) } else { target.parent() };
    match folder.filter(|folder| !folder.as_os_str().is_empty() && !folder.is_dir()) {
        Some(folder) => {
            let source = io::Error::new(io::ErrorKind::NotFound, "it does not exist");
            Err(VaultError::File { what: "cannot write to the folder", path: folder.to_owned(), source }.into())
        }
        None => Ok(()),
    }
}
