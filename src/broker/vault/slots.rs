//! Key slots: the master keys that open the vault.

use super::key_file::NewMasterKey;
use super::master_key::UnlockError;
use crate::broker::vault_admin::VaultAdmin;
use crate::vault::{KeySlot, MasterKey, SlotAdded, SlotRemoved, VaultError};

impl VaultAdmin {
    /// Lists the slots, by number.
    pub fn key_slots(&self) -> Result<Vec<KeySlot>, VaultError> {
        self.vault.key_slots().list()
    }

    /// Adds a slot for `new`; `known` is a master key that opens the vault.
    pub async fn add_slot(&self, known: &MasterKey, new: NewMasterKey) -> Result<SlotAdded, UnlockError> {
        if new.creates_a_file() {
            // Without room, a key file would be created that opens nothing.
            self.vault.key_slots().check_room()?;
        }
        Ok(self.vault.key_slots().add(known, &new.read()?, &self.who).await?)
    }

    /// Removes a slot, unless it is the last. Its master key still opens older backups.
    ///
    /// # Errors
    /// [`UnlockError::OwnSlot`] if `own`, the configuration's master key, opens this slot.
    pub async fn remove_slot(&self, id: i64, own: Option<&MasterKey>) -> Result<SlotRemoved, UnlockError> {
        if let Some(own) = own
            && self.vault.key_slots().find(own)? == Some(id)
        {
            return Err(UnlockError::OwnSlot(id));
        }
        Ok(self.vault.key_slots().remove(id, &self.who).await?)
    }
}
