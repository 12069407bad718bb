//! The keyring: all keys that the root key opens.

use std::collections::BTreeMap;
use std::sync::Arc;

use zeroize::Zeroizing;

use super::key_slot;
use super::keyring_rows::{KeyringRows, purpose};
use super::keys::{self, ApiKeyKey, DataKey, Key, Root};
use super::master_key::MasterKey;
use crate::clock::UnixTime;
use crate::random::Random;
use crate::store::{SlotRow, Tx, VaultRow, View};
use crate::vault::error::VaultError;

/// The opened keys of a vault.
pub(crate) struct Keyring {
    root: Root,
    vault_id: [u8; 16],
    created_at: UnixTime,
    mac: [u8; 32],
    data: Versions<Arc<DataKey>>,
    audit: Versions<Key>,
    audit_signing: Versions<Key>,
    epoch: Versions<Key>,
    api_key: Versions<ApiKeyKey>,
}

/// The versions of one purpose's key. The current one is used for new data.
struct Versions<K> {
    current: u32,
    all: BTreeMap<u32, K>,
}

impl<K> Versions<K> {
    fn current(&self) -> &K {
        &self.all[&self.current]
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
            audit: versions(&root, rows, purpose::AUDIT, |_, key| keys::derive(key, id, "audit: chain"))?,
            audit_signing: versions(&root, rows, purpose::AUDIT, |_, key| keys::derive(key, id, "audit: signed head"))?,
            epoch: versions(&root, rows, purpose::AUDIT, |_, key| keys::derive(key, id, "audit: epoch file"))?,
            api_key: versions(&root, rows, purpose::API_KEY, |_, key| ApiKeyKey::new(key, id))?,
            vault_id: rows.vault.vault_id,
            created_at: UnixTime(rows.vault.created_at),
            mac: rows.vault.keyring_mac,
            root,
        })
    }

    /// The key from which the keys of backups are derived.
    pub(crate) fn backup_key(&self) -> &Key {
        &self.root.backup
    }

    /// Derives the backup key from the slots in the head of a backup.
    pub(crate) fn backup_key_by(vault: &VaultRow, slots: &[SlotRow], master: &MasterKey) -> Result<Key, VaultError> {
        let rows = KeyringRows { vault: vault.clone(), slots: slots.to_vec(), keys: Vec::new() };
        let root = Root::new(&rows.find_root(master)?.0, &vault.vault_id);
        rows.check_root(&root)?;
        Ok(root.backup)
    }

    /// The keys derived from the root.
    pub(crate) fn root(&self) -> &Root {
        &self.root
    }

    pub(crate) fn vault_id(&self) -> &[u8; 16] {
        &self.vault_id
    }

    pub(crate) fn created_at(&self) -> UnixTime {
        self.created_at
    }

    pub(crate) fn current_data_key(&self) -> &Arc<DataKey> {
        self.data.current()
    }

    pub(crate) fn data_key(&self, version: u32) -> Option<&DataKey> {
        self.data.all.get(&version).map(Arc::as_ref)
    }

    pub(crate) fn audit_key(&self) -> (u32, &Key) {
        (self.audit.current, self.audit.current())
    }

    /// Returns the seeds of the Ed25519 keys that sign audit heads, newest first. The newest is
    /// in use.
    pub(crate) fn audit_signing_keys(&self) -> impl Iterator<Item = &Key> {
        self.audit_signing.all.values().rev()
    }

    /// Returns the audit key of this version.
    pub(crate) fn audit_key_of(&self, version: u32) -> Option<&Key> {
        self.audit.all.get(&version)
    }

    /// Returns the key that covers the epoch file. It is derived from the audit key, which is
    /// kept as long as the log.
    pub(crate) fn current_epoch_key(&self) -> (u32, &Key) {
        (self.epoch.current, self.epoch.current())
    }

    pub(crate) fn epoch_key(&self, version: u32) -> Option<&Key> {
        self.epoch.all.get(&version)
    }

    pub(crate) fn current_api_key_key(&self) -> (u32, &ApiKeyKey) {
        (self.api_key.current, self.api_key.current())
    }

    pub(crate) fn api_key_key(&self, version: u32) -> Option<&ApiKeyKey> {
        self.api_key.all.get(&version)
    }

    /// Returns every API-key key that is not destroyed.
    pub(crate) fn api_key_keys(&self) -> impl Iterator<Item = &ApiKeyKey> {
        self.api_key.all.values()
    }

    #[cfg(any(test, fuzzing))]
    pub(crate) fn for_tests() -> Self {
        let (vault_id, key): ([u8; 16], Key) = ([9; 16], Zeroizing::new([7; 32]));
        Self {
            root: Root::new(&key, &vault_id),
            vault_id,
            created_at: UnixTime(0),
            mac: [0; 32],
            data: Versions { current: 1, all: [(1, Arc::new(DataKey::new(1, &key, &vault_id)))].into() },
            audit: Versions { current: 1, all: [(1, key.clone())].into() },
            audit_signing: Versions { current: 1, all: [(1, key.clone())].into() },
            epoch: Versions { current: 1, all: [(1, key.clone())].into() },
            api_key: Versions { current: 1, all: [(1, ApiKeyKey::new(&key, &vault_id))].into() },
        }
    }
}

fn versions<K>(
    root: &Root,
    rows: &KeyringRows,
    purpose: &str,
    make: impl Fn(u32, &Key) -> K,
) -> Result<Versions<K>, VaultError> {
    let (all, current) = rows.unwrapped(root, purpose)?;
    Ok(Versions { current, all: all.iter().map(|(version, key)| (*version, make(*version, key))).collect() })
}
