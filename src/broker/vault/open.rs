//! Opening the vault of this installation.

use std::fs::File;
use std::path::Path;

use rustix::fs::{FlockOperation, flock};

use super::key_file;
use super::master_key::UnlockError;
use crate::broker::installation::Installation;
use crate::broker::vault_admin::VaultAdmin;
use crate::clock::Clock;
use crate::random::Random;
use crate::vault::{AuditContext, MasterKey, OpenMode, OpenOptions, Vault, VaultError};

impl Installation {
    /// Opens the vault for the local operator.
    pub fn open(&self, key: &MasterKey, mode: OpenMode) -> Result<VaultAdmin, VaultError> {
        let settings = &self.config.vault;
        let options = OpenOptions {
            mode,
            ballast: settings.ballast,
            epoch_file: settings.epoch_file.clone(),
            accept_rollback: settings.accept_rollback,
        };
        Ok(self.admin(Vault::open(&settings.path, key, options, Clock::system(), Random)?))
    }

    /// Opens the vault, or creates it, in [`OpenMode::Server`]. Its master key is in `key_file`.
    pub fn open_or_create(&self, key_file: &Path) -> Result<VaultAdmin, UnlockError> {
        let vault = &self.config.vault.path;
        if vault.exists() && !key_file.exists() {
            return Err(UnlockError::KeyMissing { vault: vault.clone(), key: key_file.to_owned() });
        }
        self.refuse_world_writable()?;
        let key = key_file::read_or_create(key_file)?;
        if vault.exists() {
            return Ok(self.open(&key, OpenMode::Server)?);
        }
        Ok(self.admin(Vault::create(vault, &key, Clock::system(), Random)?))
    }

    /// Checks before a server starts that no file or folder of the installation can be changed by
    /// every user of the machine.
    pub fn refuse_world_writable(&self) -> Result<(), UnlockError> {
        let open: Vec<_> = self.exposures().into_iter().filter(|one| one.by_everyone).collect();
        if open.is_empty() { Ok(()) } else { Err(UnlockError::WorldWritable(open)) }
    }

    /// Names the master keys that open the vault, each with its slot. It needs no key. Empty if there
    /// is no vault, or if it cannot be read.
    pub fn names_of_slots(&self) -> Vec<String> {
        let path = &self.config.vault.path;
        if path.exists() { Vault::names_of_slots(path).unwrap_or_default() } else { Vec::new() }
    }

    fn admin(&self, vault: Vault) -> VaultAdmin {
        let (config, who) = (self.config.clone(), AuditContext::command_line());
        VaultAdmin { config, vault, clock: Clock::system(), who }
    }
}

/// Returns true if a server holds the lock of the vault.
pub fn is_served(vault: &Path) -> bool {
    let mut lock = vault.as_os_str().to_owned();
    lock.push(".lock");
    let Ok(file) = File::open(lock) else { return false };
    flock(&file, FlockOperation::NonBlockingLockShared) == Err(rustix::io::Errno::WOULDBLOCK)
}
