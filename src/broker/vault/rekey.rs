//! Rekey: replaces the master key of this configuration. A key file is replaced in place; after a
//! crash at any point, the next call completes it.

use std::path::{Path, PathBuf};

use super::key_file::{self, NewMasterKey};
use super::master_key::UnlockError;
use crate::broker::installation::Installation;
use crate::broker::vault_admin::VaultAdmin;
use crate::config::{Config, SecretSource, Unlock};
use crate::vault::{KeySlot, MasterKey, OpenMode};

/// A master key to be replaced.
#[derive(Clone, Copy)]
pub struct RekeyRequest<'k> {
    /// The master key that opened the vault.
    pub known: &'k MasterKey,
    /// The slot to replace; `None` for the slot that `known` opens.
    pub slot: Option<i64>,
    /// True if the old key may be known to an attacker: every internal key is replaced too, all other
    /// slots are removed, and a rotation has to re-encrypt the records.
    pub compromised: bool,
}

/// The slots before a rekey.
#[derive(Debug)]
pub struct RekeyPlan {
    /// Slots whose master keys will not open the vault any more.
    pub ended: Vec<KeySlot>,
    /// Slots whose master keys will still open it.
    pub kept: Vec<KeySlot>,
}

/// Result of a rekey.
#[derive(Debug)]
pub struct Rekeyed {
    /// Key file that now holds the new key; `None` if the configuration has to name the new key.
    pub replaced: Option<PathBuf>,
    /// Number of slots that open the vault.
    pub slots: usize,
}

impl Installation {
    /// Returns the new key file of an interrupted rekey.
    pub fn interrupted_rekey(&self) -> Option<PathBuf> {
        configured_key_file(&self.config).map(new_file_of).filter(|new| new.exists())
    }

    /// Completes an interrupted rekey: the new key is the only valid one, but its file was not
    /// renamed yet. Returns the key file; `None` if no rekey was interrupted.
    pub fn complete_rekey(&self, mode: OpenMode) -> Result<Option<(VaultAdmin, &Path)>, UnlockError> {
        let (Some(new), Some(old)) = (self.interrupted_rekey(), configured_key_file(&self.config)) else {
            return Ok(None);
        };
        let Ok(admin) = self.open(&key_file::read_or_create(&new)?, mode) else { return Ok(None) };
        key_file::replace(&new, old)?;
        Ok(Some((admin, old)))
    }
}

impl VaultAdmin {
    /// Returns which slots a rekey ends, and which it keeps.
    pub fn plan_rekey(&self, request: &RekeyRequest<'_>) -> Result<RekeyPlan, UnlockError> {
        let replaced = self.slot_to_replace(request)?;
        let slots = self.vault.key_slots().list()?;
        let (ended, kept) = slots.into_iter().partition(|slot| request.compromised || slot.id == replaced);
        Ok(RekeyPlan { ended, kept })
    }

    fn slot_to_replace(&self, request: &RekeyRequest<'_>) -> Result<i64, UnlockError> {
        let slots = self.vault.key_slots();
        match request.slot {
            None => slots.find(request.known)?.ok_or(UnlockError::SlotGone),
            Some(id) if slots.list()?.iter().any(|slot| slot.id == id) => Ok(id),
            Some(id) => Err(UnlockError::NoSlot(id)),
        }
    }

    /// Replaces a master key. Without `new`, the configured key file gets a new key.
    pub async fn rekey(&self, request: &RekeyRequest<'_>, new: Option<NewMasterKey>) -> Result<Rekeyed, UnlockError> {
        let slots = self.vault.key_slots();
        let (old, old_slot) = (request.known, self.slot_to_replace(request)?);
        let in_place = new.is_none();
        let configured = configured_key_file(&self.config).filter(|_| in_place);
        let new = match (new, configured.map(new_file_of)) {
            (Some(new), _) => new,
            (None, Some(new_file)) => {
                key_file::remove_incomplete(&new_file)?;
                NewMasterKey::File(new_file)
            }
            (None, None) => return Err(UnlockError::NotReplaceable),
        };
        if !request.compromised && new.creates_a_file() {
            // The new slot is added before the old one is removed. Without room for it, a key file
            // would be created that opens nothing.
            slots.check_room()?;
        }
        let new = new.read()?;
        if slots.find(&new)? == Some(old_slot) {
            return Err(UnlockError::Unchanged);
        }
        if request.compromised {
            slots.renew_root(old, &new, &self.who).await?;
        } else {
            slots.add(old, &new, &self.who).await?;
        }
        // From here on both keys open the vault, until the old slot is removed.
        if let Some(file) = configured {
            key_file::replace(&new_file_of(file), file)?;
        }
        if !request.compromised {
            slots.remove(old_slot, &self.who).await?;
        }
        Ok(Rekeyed { replaced: configured.map(Path::to_owned), slots: slots.list()?.len() })
    }
}

fn configured_key_file(config: &Config) -> Option<&Path> {
    match &config.vault.unlock {
        Unlock::MasterKey(SecretSource::File(path)) => Some(path),
        _ => None,
    }
}

/// Returns the file in which a rekey prepares the replacement of this key file.
fn new_file_of(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    PathBuf::from(name)
}
