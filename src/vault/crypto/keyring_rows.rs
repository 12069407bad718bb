//! The rows of a keyring: the vault's identity, its key slots and its wrapped keys, covered by one
//! MAC. The keyring is changed here, on all rows together.

use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::encoding::{cover, text};
use super::key_slot::{self, Tried};
use super::keys::{self, Key, Root};
use super::master_key::MasterKey;
use crate::clock::UnixTime;
use crate::random::Random;
use crate::store::{KeyRow, SlotRow, StoreError, Tx, VaultRow, View};
use crate::vault::error::VaultError;

/// Purposes of keys, as they are stored.
pub(crate) mod purpose {
    pub(crate) const DATA: &str = "data";
    pub(crate) const AUDIT: &str = "audit";
    pub(crate) const API_KEY: &str = "api_key";
    pub(crate) const ALL: [&str; 3] = [API_KEY, AUDIT, DATA];
}

const CURRENT: &str = "current";
const RETIRED: &str = "retired";
const DESTROYED: &str = "destroyed";

/// Maximum number of slots. Argon2id may have to run for each before a passphrase is known not to
/// open the vault.
pub(crate) const MOST_SLOTS: usize = 64;

/// Maximum number of slots that the message about a wrong master key names.
const MOST_NAMED: usize = 8;

/// All rows of a keyring.
#[derive(Clone)]
#[cfg_attr(any(test, fuzzing), derive(Debug, PartialEq))]
pub(crate) struct KeyringRows {
    pub(crate) vault: VaultRow,
    pub(crate) slots: Vec<SlotRow>,
    pub(crate) keys: Vec<KeyRow>,
}

impl KeyringRows {
    /// Creates identity, one slot and one key of each purpose, for a new vault.
    pub(crate) fn fresh(
        vault_id: [u8; 16],
        root_key: &Key,
        slot: SlotRow,
        now: UnixTime,
        random: Random,
    ) -> Result<Self, VaultError> {
        let root = Root::new(root_key, &vault_id);
        let vault = VaultRow { vault_id, created_at: now.0, key_check: *root.check, keyring_mac: [0; 32] };
        let mut rows = Self { vault, slots: vec![slot], keys: Vec::new() };
        for purpose in purpose::ALL {
            rows.add_key(&root, purpose, now, random)?;
        }
        rows.cover(&root);
        Ok(rows)
    }

    /// Reads the rows. Rows that cannot be read are a damaged keyring.
    pub(crate) fn read(view: &View<'_>) -> Result<Self, VaultError> {
        let unreadable = |error: StoreError| match error {
            StoreError::Sqlite(what) | StoreError::Corrupt(what) => VaultError::DamagedKeyring(what),
            other => other.into(),
        };
        Ok(Self {
            vault: view.vault().map_err(unreadable)?,
            slots: view.slots().map_err(unreadable)?,
            keys: view.keys().map_err(unreadable)?,
        })
    }

    /// Replaces the stored rows.
    pub(crate) fn write(&self, tx: &Tx<'_>) -> Result<(), VaultError> {
        Ok(tx.replace_keyring(&self.vault, &self.slots, &self.keys)?)
    }

    /// Checks that this is the root that the vault was created with.
    pub(crate) fn check_root(&self, root: &Root) -> Result<(), VaultError> {
        if bool::from(root.check.ct_eq(&self.vault.key_check)) {
            Ok(())
        } else {
            Err(VaultError::DamagedKeyring("the root is not the one that the vault was made with".into()))
        }
    }

    /// Checks the root, and that the rows were written under it.
    pub(crate) fn check(&self, root: &Root) -> Result<(), VaultError> {
        self.check_root(root)?;
        if !bool::from(self.mac(root).ct_eq(&self.vault.keyring_mac)) {
            return Err(VaultError::DamagedKeyring("slots and keys are not as they were written".into()));
        }
        Ok(())
    }

    /// Sets the MAC over the rows.
    pub(crate) fn cover(&mut self, root: &Root) {
        self.keys.sort_by(|one, other| (&one.purpose, one.version).cmp(&(&other.purpose, other.version)));
        self.slots.sort_by_key(|slot| slot.id);
        self.vault.key_check = *root.check;
        self.vault.keyring_mac = self.mac(root);
    }

    /// Returns the root key, from the first slot that `master` opens, and the id of that slot.
    pub(crate) fn find_root(&self, master: &MasterKey) -> Result<(Key, i64), VaultError> {
        if self.slots.is_empty() {
            return Err(VaultError::DamagedKeyring("there is no slot left that a master key could open".into()));
        }
        if self.slots.len() > MOST_SLOTS {
            let what = format!("it has {} slots, and no vault has more than {MOST_SLOTS}", self.slots.len());
            return Err(VaultError::DamagedKeyring(what));
        }
        let mut damaged = None;
        for row in &self.slots {
            match key_slot::attempt(row, master, &self.vault.vault_id)? {
                Tried::Opened(root) => return Ok((root, row.id)),
                Tried::Damaged => damaged = Some(row.id),
                Tried::Other => {}
            }
        }
        match damaged {
            Some(id) => Err(VaultError::DamagedKeyring(format!("slot {id} is not as it was written"))),
            None => Err(VaultError::WrongKey {
                expected: self.name_slots(),
                given: master.fingerprint().map_or_else(
                    || "the passphrase is wrong".into(),
                    |known| format!("this master key, key {known}, does not open the vault"),
                ),
            }),
        }
    }

    /// Describes the slots for a message, up to [`MOST_NAMED`].
    pub(crate) fn name_slots(&self) -> Vec<String> {
        let mut named: Vec<_> = self.slots.iter().take(MOST_NAMED).map(key_slot::describe).collect();
        let more = self.slots.len() - named.len();
        if more > 0 {
            named.push(format!("one of {more} more"));
        }
        named
    }

    /// Returns the id for a new slot: greater than every id in use.
    pub(crate) fn next_slot(&self) -> Result<i64, VaultError> {
        let last = self.slots.iter().map(|slot| slot.id).max().unwrap_or(0);
        last.checked_add(1)
            .ok_or_else(|| VaultError::DamagedKeyring(format!("slot {last} has a number that none can have")))
    }

    /// Adds a random key, which becomes the current one, and returns its version.
    pub(crate) fn add_key(
        &mut self,
        root: &Root,
        purpose: &str,
        now: UnixTime,
        random: Random,
    ) -> Result<u32, VaultError> {
        let of_purpose = self.keys.iter_mut().filter(|row| row.purpose == purpose);
        let mut version = 1u32;
        for row in of_purpose {
            let next = row.version.checked_add(1);
            version = version.max(next.ok_or_else(|| VaultError::DamagedKeyring("there is no version left".into()))?);
            if row.state == CURRENT {
                row.state = RETIRED.into();
            }
        }
        let key: Key = Zeroizing::new(random.bytes());
        let covered = wrapping(&self.vault.vault_id, purpose, version);
        self.keys.push(KeyRow {
            purpose: purpose.into(),
            version,
            state: CURRENT.into(),
            created_at: now.0,
            wrapped: Some(keys::wrap(&root.key_encryption, &covered, &key, random)),
        });
        Ok(version)
    }

    /// Returns true if a key of this purpose is retired and not yet destroyed.
    pub(crate) fn has_retired(&self, purpose: &str) -> bool {
        self.keys.iter().any(|row| row.purpose == purpose && row.state == RETIRED)
    }

    /// Destroys the retired keys of a purpose: the rows stay, the key bytes are deleted.
    /// Returns their versions.
    pub(crate) fn destroy_retired(&mut self, purpose: &str) -> Vec<u32> {
        let retired = self.keys.iter_mut().filter(|row| row.purpose == purpose && row.state == RETIRED);
        retired
            .map(|row| {
                row.state = DESTROYED.into();
                row.wrapped = None;
                row.version
            })
            .collect()
    }

    /// Wraps every existing key under another root.
    pub(crate) fn rewrap(&mut self, old: &Root, new: &Root, random: Random) -> Result<(), VaultError> {
        let vault_id = self.vault.vault_id;
        for row in &mut self.keys {
            let Some(wrapped) = &row.wrapped else { continue };
            let covered = wrapping(&vault_id, &row.purpose, row.version);
            let key = keys::unwrap(&old.key_encryption, &covered, wrapped)
                .ok_or_else(|| damaged(&row.purpose, "it does not unwrap"))?;
            row.wrapped = Some(keys::wrap(&new.key_encryption, &covered, &key, random));
        }
        Ok(())
    }

    /// Returns the keys of a purpose that are not destroyed, by version, and the current
    /// version.
    pub(crate) fn unwrapped(&self, root: &Root, purpose: &str) -> Result<(Vec<(u32, Key)>, u32), VaultError> {
        let mut all = Vec::new();
        let mut current = None;
        for row in self.keys.iter().filter(|row| row.purpose == purpose) {
            let Some(wrapped) = &row.wrapped else { continue };
            let covered = wrapping(&self.vault.vault_id, purpose, row.version);
            let key = keys::unwrap(&root.key_encryption, &covered, wrapped)
                .ok_or_else(|| damaged(purpose, "it does not unwrap"))?;
            all.push((row.version, key));
            if row.state == CURRENT {
                current = Some(row.version);
            }
        }
        Ok((all, current.ok_or_else(|| damaged(purpose, "none is current"))?))
    }

    /// Computes the MAC over the vault's identity, every slot and every key.
    fn mac(&self, root: &Root) -> [u8; 32] {
        let vault = &self.vault;
        let created_at = vault.created_at.to_be_bytes();
        let slots: Vec<_> = self.slots.iter().map(|row| key_slot::covered(row, &vault.vault_id)).collect();
        let keys: Vec<_> = self.keys.iter().map(covered_key).collect();
        let (slots, keys) = (cover(slots.iter().map(Vec::as_slice)), cover(keys.iter().map(Vec::as_slice)));
        let parts: [&[u8]; 6] =
            [b"strongroom keyring 1", &vault.vault_id, &created_at, &vault.key_check, &slots, &keys];
        keys::mac(&root.keyring_mac, parts)
    }
}

fn damaged(purpose: &str, what: &str) -> VaultError {
    VaultError::DamagedKeyring(format!("{purpose} key: {what}"))
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
