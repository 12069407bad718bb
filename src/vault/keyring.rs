//! The keyring: what the root opens. Slots and keys are covered by one MAC as a whole.

use std::collections::BTreeMap;

use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::VaultError;
use super::fields::{cover, text};
use super::keys::{self, ApiKeyKey, DataKey, Key, Root};
use super::master_key::MasterKey;
use super::slot::{self, Tried};
use crate::clock::UnixTime;
use crate::random::Random;
use crate::store::{KeyRow, SlotRow, StoreError, Tx, VaultRow, View};

/// The opened keys of a vault, and what may be said about them.
pub(super) struct Keyring {
    root: Root,
    vault_id: [u8; 16],
    created_at: UnixTime,
    mac: [u8; 32],
    slots: Vec<String>,
    data: Versions<DataKey>,
    audit: Versions<Key>,
    audit_signing: Versions<Key>,
    api_key: Versions<ApiKeyKey>,
}

/// The versions of one purpose's key, of which one is used for what is new.
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
    /// Makes identity, slot and keys of a new vault and puts them into it.
    pub(super) fn create(tx: &Tx<'_>, master: &MasterKey, now: UnixTime, random: Random) -> Result<Self, VaultError> {
        let vault_id = random.bytes();
        let root_key: Key = Zeroizing::new(random.bytes());
        let root = Root::new(&root_key, &vault_id);
        let slot = slot::make(1, master, &root_key, &vault_id, now, random)?;
        let keys: Vec<KeyRow> = ["api_key", "audit", "data"]
            .into_iter()
            .map(|purpose| {
                let key: Key = Zeroizing::new(random.bytes());
                let wrapped = keys::wrap(&root.key_encryption, &wrapping(&vault_id, purpose, 1), &key, random);
                KeyRow {
                    purpose: purpose.into(),
                    version: 1,
                    state: "current".into(),
                    created_at: now.0,
                    wrapped: Some(wrapped),
                }
            })
            .collect();
        let mut vault = VaultRow { vault_id, created_at: now.0, key_check: *root.check, keyring_mac: [0; 32] };
        vault.keyring_mac = whole(&root, &vault, std::slice::from_ref(&slot), &keys);
        tx.insert_vault(&vault)?;
        tx.insert_slot(&slot)?;
        for key in &keys {
            tx.insert_key(key)?;
        }
        Self::assemble(root, &vault, &[slot], &keys)
    }

    /// Opens the keyring with a master key.
    pub(super) fn open(view: &View<'_>, master: &MasterKey) -> Result<Self, VaultError> {
        let (vault, slots, keys) = rows(view)?;
        let root = Root::new(&find_root(&vault, &slots, master)?, &vault.vault_id);
        Self::assemble(root, &vault, &slots, &keys)
    }

    /// Reads the keyring again with the root that is known; `None` where it has not changed.
    pub(super) fn read_again(&self, view: &View<'_>) -> Result<Option<Self>, VaultError> {
        let (vault, slots, keys) = rows(view)?;
        if vault.keyring_mac == self.mac {
            return Ok(None);
        }
        let root = Root {
            key_encryption: self.root.key_encryption.clone(),
            keyring_mac: self.root.keyring_mac.clone(),
            check: self.root.check.clone(),
            backup: self.root.backup.clone(),
        };
        Self::assemble(root, &vault, &slots, &keys).map(Some)
    }

    fn assemble(root: Root, vault: &VaultRow, slots: &[SlotRow], keys: &[KeyRow]) -> Result<Self, VaultError> {
        if !bool::from(root.check.ct_eq(&vault.key_check)) {
            return Err(VaultError::DamagedKeyring("the root is not the one that the vault was made with".into()));
        }
        if !bool::from(whole(&root, vault, slots, keys).ct_eq(&vault.keyring_mac)) {
            return Err(VaultError::DamagedKeyring("slots and keys are not as they were written".into()));
        }
        let id = &vault.vault_id;
        Ok(Self {
            data: versions(&root, id, keys, "data", |version, key| DataKey::new(version, key, id))?,
            audit: versions(&root, id, keys, "audit", |_, key| keys::derive(key, id, "audit: chain"))?,
            audit_signing: versions(&root, id, keys, "audit", |_, key| keys::derive(key, id, "audit: signed head"))?,
            api_key: versions(&root, id, keys, "api_key", |_, key| ApiKeyKey::new(key, id))?,
            vault_id: vault.vault_id,
            created_at: UnixTime(vault.created_at),
            mac: vault.keyring_mac,
            slots: slots.iter().map(slot::describe).collect(),
            root,
        })
    }

    /// What the keys of backups are derived from.
    pub(super) fn backup_key(&self) -> &Key {
        &self.root.backup
    }

    /// The same from the slots alone, as they stand in the head of a backup.
    pub(super) fn backup_key_by(vault: &VaultRow, slots: &[SlotRow], master: &MasterKey) -> Result<Key, VaultError> {
        let root = Root::new(&find_root(vault, slots, master)?, &vault.vault_id);
        if !bool::from(root.check.ct_eq(&vault.key_check)) {
            return Err(VaultError::DamagedKeyring("the root is not the one that the vault was made with".into()));
        }
        Ok(root.backup)
    }

    pub(super) fn vault_id(&self) -> &[u8; 16] {
        &self.vault_id
    }

    pub(super) fn created_at(&self) -> UnixTime {
        self.created_at
    }

    pub(super) fn slots(&self) -> &[String] {
        &self.slots
    }

    pub(super) fn current_data_key(&self) -> &DataKey {
        self.data.current()
    }

    pub(super) fn data_key(&self, version: u32) -> Option<&DataKey> {
        self.data.all.get(&version)
    }

    /// Every data key that is not destroyed, the newest first.
    pub(super) fn data_keys(&self) -> impl Iterator<Item = &DataKey> {
        self.data.all.values().rev()
    }

    pub(super) fn audit_key(&self) -> (u32, &Key) {
        (self.audit.current, self.audit.current())
    }

    /// The seeds of the Ed25519 keys that sign heads of the audit chain, the newest first, which is the one in use.
    pub(super) fn audit_signing_keys(&self) -> impl Iterator<Item = &Key> {
        self.audit_signing.all.values().rev()
    }

    /// A key of the audit chain, of this version.
    pub(super) fn audit_key_of(&self, version: u32) -> Option<&Key> {
        self.audit.all.get(&version)
    }

    pub(super) fn current_api_key_key(&self) -> (u32, &ApiKeyKey) {
        (self.api_key.current, self.api_key.current())
    }

    pub(super) fn api_key_key(&self, version: u32) -> Option<&ApiKeyKey> {
        self.api_key.all.get(&version)
    }

    /// Every API-key key that is not destroyed.
    pub(super) fn api_key_keys(&self) -> impl Iterator<Item = &ApiKeyKey> {
        self.api_key.all.values()
    }

    /// What a rotation by another process would write: data key 2, wrapped, and the MAC over the keyring with it.
    #[cfg(test)]
    pub(super) fn with_a_second_data_key(&self, view: &View<'_>) -> Result<(Vec<u8>, [u8; 32]), VaultError> {
        let (vault, slots, mut keys) = rows(view)?;
        let wrapping = wrapping(&self.vault_id, "data", 2);
        let wrapped = keys::wrap(&self.root.key_encryption, &wrapping, &Zeroizing::new([5; 32]), Random);
        for row in keys.iter_mut().filter(|row| row.purpose == "data") {
            row.state = "retired".into();
        }
        keys.push(KeyRow {
            purpose: "data".into(),
            version: 2,
            state: "current".into(),
            created_at: 0,
            wrapped: Some(wrapped.clone()),
        });
        Ok((wrapped, whole(&self.root, &vault, &slots, &keys)))
    }

    #[cfg(test)]
    pub(super) fn for_tests() -> Self {
        let (vault_id, key): ([u8; 16], Key) = ([9; 16], Zeroizing::new([7; 32]));
        Self {
            root: Root::new(&key, &vault_id),
            vault_id,
            created_at: UnixTime(0),
            mac: [0; 32],
            slots: Vec::new(),
            data: Versions { current: 1, all: [(1, DataKey::new(1, &key, &vault_id))].into() },
            audit: Versions { current: 1, all: [(1, key.clone())].into() },
            audit_signing: Versions { current: 1, all: [(1, key.clone())].into() },
            api_key: Versions { current: 1, all: [(1, ApiKeyKey::new(&key, &vault_id))].into() },
        }
    }
}

fn rows(view: &View<'_>) -> Result<(VaultRow, Vec<SlotRow>, Vec<KeyRow>), VaultError> {
    let unreadable = |error: StoreError| match error {
        StoreError::Sqlite(what) | StoreError::Corrupt(what) => VaultError::DamagedKeyring(what),
        other => other.into(),
    };
    Ok((view.vault().map_err(unreadable)?, view.slots().map_err(unreadable)?, view.keys().map_err(unreadable)?))
}

/// The root, from the first slot that `master` opens.
fn find_root(vault: &VaultRow, slots: &[SlotRow], master: &MasterKey) -> Result<Key, VaultError> {
    if slots.is_empty() {
        return Err(VaultError::DamagedKeyring("there is no slot left that a master key could open".into()));
    }
    let mut damaged = None;
    for row in slots {
        match slot::attempt(row, master, &vault.vault_id)? {
            Tried::Opened(root) => return Ok(root),
            Tried::Damaged => damaged = Some(row.id),
            Tried::Other => {}
        }
    }
    match damaged {
        Some(id) => Err(VaultError::DamagedKeyring(format!("slot {id} is not as it was written"))),
        None => Err(VaultError::WrongKey {
            expected: slots.iter().map(slot::describe).collect(),
            given: master.fingerprint().map_or_else(|| "a passphrase".into(), |known| format!("key {known}")),
        }),
    }
}

/// The MAC over the vault's identity, every slot and every key.
fn whole(root: &Root, vault: &VaultRow, slots: &[SlotRow], keys: &[KeyRow]) -> [u8; 32] {
    let created_at = vault.created_at.to_be_bytes();
    let slots = cover(
        slots.iter().map(|row| slot::covered(row, &vault.vault_id)).collect::<Vec<_>>().iter().map(Vec::as_slice),
    );
    let keys = cover(keys.iter().map(covered_key).collect::<Vec<_>>().iter().map(Vec::as_slice));
    let parts: [&[u8]; 6] = [b"strongroom keyring 1", &vault.vault_id, &created_at, &vault.key_check, &slots, &keys];
    keys::mac(&root.keyring_mac, parts)
}

fn covered_key(row: &KeyRow) -> Vec<u8> {
    let (version, created_at) = (row.version.to_be_bytes(), row.created_at.to_be_bytes());
    let wrapped = text(row.wrapped.as_ref().map(|_| ""));
    let bytes = row.wrapped.as_deref().unwrap_or_default();
    cover([row.purpose.as_bytes(), &version, row.state.as_bytes(), &created_at, &wrapped, bytes])
}

fn wrapping(vault_id: &[u8; 16], purpose: &str, version: u32) -> Vec<u8> {
    cover([b"strongroom key 1".as_slice(), vault_id, purpose.as_bytes(), &version.to_be_bytes()])
}

fn versions<K>(
    root: &Root,
    vault_id: &[u8; 16],
    rows: &[KeyRow],
    purpose: &str,
    make: impl Fn(u32, &Key) -> K,
) -> Result<Versions<K>, VaultError> {
    let damaged = |what: &str| VaultError::DamagedKeyring(format!("{purpose} key: {what}"));
    let mut all = BTreeMap::new();
    let mut current = None;
    for row in rows.iter().filter(|row| row.purpose == purpose) {
        let Some(wrapped) = &row.wrapped else { continue };
        let key = keys::unwrap(&root.key_encryption, &wrapping(vault_id, purpose, row.version), wrapped)
            .ok_or_else(|| damaged("it does not unwrap"))?;
        all.insert(row.version, make(row.version, &key));
        if row.state == "current" {
            current = Some(row.version);
        }
    }
    Ok(Versions { current: current.ok_or_else(|| damaged("none is current"))?, all })
}
