//! The keyring: all keys that the root key opens.

use std::collections::BTreeMap;
use std::sync::Arc;

use zeroize::Zeroizing;

use super::key_slot;
use super::keyring_rows::{KeyringRows, purpose};
use super::keys::{ApiKeyKey, AuditKey, DataKey, Key, Root};
use super::master_key::MasterKey;
use crate::clock::UnixTime;
use crate::random::Random;
use crate::store::{SlotRow, Tx, VaultRow, View};
use crate::vault::error::VaultError;

/// The opened keys of a vault.
pub(crate) struct Keyring {
    /// The keys derived from the root.
    pub(crate) root: Root,
    pub(crate) vault_id: [u8; 16],
    pub(crate) created_at: UnixTime,
    mac: [u8; 32],
    pub(crate) data: Versions<Arc<DataKey>>,
    pub(crate) audit: Versions<AuditKey>,
    pub(crate) api_key: Versions<ApiKeyKey>,
}

/// The versions of one purpose's key that are not destroyed. The current one is used for new data.
pub(crate) struct Versions<K> {
    /// The current version.
    pub(crate) version: u32,
    /// The keys, oldest first.
    pub(crate) all: BTreeMap<u32, K>,
}

impl<K> Versions<K> {
    pub(crate) fn current(&self) -> &K {
        &self.all[&self.version]
    }
}

impl Keyring {
    /// Creates identity, slot and keys of a new vault, and writes them.
    pub(crate) fn create(tx: &Tx<'_>, master: &MasterKey, now: UnixTime, random: Random) -> Result<Self, VaultError> {
        let vault_id = random.bytes();
        let root_key: Key = Zeroizing::new(random.bytes());
        let slot = key_slot::make(1, master, &root_key, &vault_id, now, random)?;
        let rows = KeyringRows::fresh(vault_id, &root_key, slot, now, random)?;
        rows.write(tx)?;
        Self::assemble(Root::new(&root_key, &vault_id), &rows)
    }

    /// Opens the keyring with a master key.
    pub(crate) fn open(view: &View<'_>, master: &MasterKey) -> Result<Self, VaultError> {
        let rows = KeyringRows::read(view)?;
        let (root, _) = rows.find_root(master)?;
        Self::assemble(Root::new(&root, &rows.vault.vault_id), &rows)
    }

    /// Reloads the keyring under the known root; `None` if it has not changed.
    pub(crate) fn read_again(&self, view: &View<'_>) -> Result<Option<Self>, VaultError> {
        let rows = KeyringRows::read(view)?;
        if rows.vault.keyring_mac == self.mac {
            return Ok(None);
        }
        Self::assemble(self.root.clone(), &rows).map(Some)
    }

    /// Checks that these rows hold this keyring; if not, it has to be reloaded.
    pub(crate) fn is_of(&self, rows: &KeyringRows) -> Result<(), VaultError> {
        if rows.vault.keyring_mac == self.mac { rows.check(&self.root) } else { Err(VaultError::Contended) }
    }

    /// Builds the keyring from rows whose MAC is valid under this root.
    pub(crate) fn assemble(root: Root, rows: &KeyringRows) -> Result<Self, VaultError> {
        rows.check(&root)?;
        let id = &rows.vault.vault_id;
        Ok(Self {
            data: versions(&root, rows, purpose::DATA, |version, key| Arc::new(DataKey::new(version, key, id)))?,
            audit: versions(&root, rows, purpose::AUDIT, |_, key| AuditKey::new(key, id))?,
            api_key: versions(&root, rows, purpose::API_KEY, |_, key| ApiKeyKey::new(key, id))?,
            vault_id: rows.vault.vault_id,
            created_at: UnixTime(rows.vault.created_at),
            mac: rows.vault.keyring_mac,
            root,
        })
    }

    /// Derives the backup key from the slots in the head of a backup.
    pub(crate) fn backup_key_by(vault: &VaultRow, slots: &[SlotRow], master: &MasterKey) -> Result<Key, VaultError> {
        let rows = KeyringRows { vault: vault.clone(), slots: slots.to_vec(), keys: Vec::new() };
        let root = Root::new(&rows.find_root(master)?.0, &vault.vault_id);
        rows.check_root(&root)?;
        Ok(root.backup)
    }

    #[cfg(any(test, fuzzing))]
    pub(crate) fn for_tests() -> Self {
        let (vault_id, key): ([u8; 16], Key) = ([9; 16], Zeroizing::new([7; 32]));
        Self {
            root: Root::new(&key, &vault_id),
            vault_id,
            created_at: UnixTime(0),
            mac: [0; 32],
            data: Versions { version: 1, all: [(1, Arc::new(DataKey::new(1, &key, &vault_id)))].into() },
            audit: Versions { version: 1, all: [(1, AuditKey::new(&key, &vault_id))].into() },
            api_key: Versions { version: 1, all: [(1, ApiKeyKey::new(&key, &vault_id))].into() },
        }
    }
}

fn versions<K>(
    root: &Root,
    rows: &KeyringRows,
    purpose: &str,
    make: impl Fn(u32, &Key) -> K,
) -> Result<Versions<K>, VaultError> {
    let (all, version) = rows.unwrapped(root, purpose)?;
    Ok(Versions { version, all: all.iter().map(|(version, key)| (*version, make(*version, key))).collect() })
}
