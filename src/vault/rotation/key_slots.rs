//! Key slots: listing, adding and removing them, and renewing the root if an old master key may be
//! known to an attacker.
//!
//! A slot is created outside the transaction, because Argon2id takes long. It is written only if
//! the keyring has not changed meanwhile; otherwise the error is [`VaultError::Contended`].

use serde::Serialize;
use zeroize::Zeroizing;

use crate::clock::UnixTime;
use crate::store::SlotRow;
use crate::vault::approvals::store as approvals;
use crate::vault::crypto::key_slot::{self, Tried};
use crate::vault::crypto::keyring_rows::{KeyringRows, MOST_SLOTS, purpose};
use crate::vault::crypto::keys::{Key, Root};
use crate::vault::crypto::master_key::MasterKey;
use crate::vault::error::VaultError;
use crate::vault::logins::store as logins;
use crate::vault::txn::audit_context::AuditContext;
use crate::vault::txn::audit_row::{Action, Subject};
use crate::vault::txn::core::VaultCore;
use crate::vault::{hex, registrations};

/// A key slot, without its secrets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct KeySlot {
    /// The number. A removed slot's number is not used again while a higher one exists.
    pub id: i64,
    /// The kind of its master key.
    pub kind: SlotKind,
    /// 16 hex digits that identify its key and open nothing.
    pub fingerprint: String,
    /// Time of creation.
    pub created_at: UnixTime,
    /// True if a new passphrase slot would be harder to guess.
    #[serde(rename = "weak")]
    pub is_weak: bool,
}

/// The kind of a master key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum SlotKind {
    /// 32 random bytes.
    Key,
    /// A passphrase, with Argon2id.
    Passphrase,
}

impl SlotKind {
    /// Returns the name in the vault.
    pub fn name(self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::Passphrase => "passphrase",
        }
    }
}

/// The result of adding a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SlotAdded {
    /// The new slot.
    New(i64),
    /// The master key already opens this slot; nothing was written.
    ThereAlready(i64),
}

/// The result of removing a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SlotRemoved {
    /// The slot is removed.
    Gone,
    /// No slot has this number.
    Absent,
    /// It is the last slot, without which the vault could not be opened; it stays.
    Last,
}

/// The key slots of a vault: each wraps the root key for one master key.
#[derive(Clone, Copy)]
pub struct KeySlots<'v> {
    pub(crate) core: &'v VaultCore,
}

impl KeySlots<'_> {
    /// Lists all slots, by number.
    pub fn list(self) -> Result<Vec<KeySlot>, VaultError> {
        self.core.read(|view, _| Ok(KeyringRows::read(view)?.slots.iter().map(describe).collect()))
    }

    /// Checks that one more slot can be added.
    pub fn check_room(self) -> Result<(), VaultError> {
        self.core.read(|view, _| is_room_in(&KeyringRows::read(view)?))
    }

    /// Returns the slot that a master key opens.
    pub fn find(self, master: &MasterKey) -> Result<Option<i64>, VaultError> {
        let rows = self.core.read(|view, _| KeyringRows::read(view))?;
        opened_by(&rows, master)
    }

    /// Adds a slot for `new`; `known` is a master key that already opens the vault.
    pub async fn add(self, known: &MasterKey, new: &MasterKey, who: &AuditContext) -> Result<SlotAdded, VaultError> {
        let rows = self.core.read(|view, _| KeyringRows::read(view))?;
        let (root_key, _) = rows.find_root(known)?;
        if let Some(id) = opened_by(&rows, new)? {
            return Ok(SlotAdded::ThereAlready(id));
        }
        is_room_in(&rows)?;
        let made = self.make_slot(&rows, new, &root_key)?;
        let (id, seen) = (made.id, rows.vault.keyring_mac);
        self.core
            .change_keyring(who, move |txn, rows| {
                unchanged(rows, &seen)?;
                rows.slots.push(made.clone());
                txn.record(Action::SlotAdd, Subject { slot: Some(id), ..Subject::default() })?;
                Ok((SlotAdded::New(id), txn.keyring.root.clone()))
            })
            .await
    }

    /// Removes a slot, unless it is the last. Its master key still opens older backups.
    pub async fn remove(self, id: i64, who: &AuditContext) -> Result<SlotRemoved, VaultError> {
        self.core
            .change_keyring(who, move |txn, rows| {
                let root = txn.keyring.root.clone();
                if !rows.slots.iter().any(|slot| slot.id == id) {
                    return Ok((SlotRemoved::Absent, root));
                }
                if rows.slots.len() == 1 {
                    return Ok((SlotRemoved::Last, root));
                }
                rows.slots.retain(|slot| slot.id != id);
                txn.record(Action::SlotRemove, Subject { slot: Some(id), ..Subject::default() })?;
                Ok((SlotRemoved::Gone, root))
            })
            .await
    }

    /// Replaces the root and adds new keys, for the case that an old master key may be known to
    /// an attacker. Afterwards only `new` opens the vault, every key is wrapped again, and new
    /// data uses new keys. Pending logins and approvals are deleted. The existing records have to be sealed
    /// again by a rotation, which has begun.
    ///
    /// No server may have the vault open: it would only know the old root.
    pub async fn renew_root(self, known: &MasterKey, new: &MasterKey, who: &AuditContext) -> Result<i64, VaultError> {
        let rows = self.core.read(|view, _| KeyringRows::read(view))?;
        rows.find_root(known)?;
        let root_key: Key = Zeroizing::new(self.core.random.bytes());
        let made = self.make_slot(&rows, new, &root_key)?;
        let new_root = Root::new(&root_key, &rows.vault.vault_id);
        let (id, seen) = (made.id, rows.vault.keyring_mac);
        self.core
            .change_keyring(who, move |txn, rows| {
                unchanged(rows, &seen)?;
                rows.rewrap(&txn.keyring.root, &new_root, txn.random)?;
                rows.slots = vec![made.clone()];
                for purpose in purpose::ALL {
                    rows.add_key(&new_root, purpose, txn.now, txn.random)?;
                }
                // The hash by which a pending login is found changes with the root.
                let pending = txn.tx.take_all_pending()?;
                logins::uncount(txn, &pending)?;
                // So does that of an approval.
                approvals::remove_all(txn)?;
                registrations::move_all(txn, &new_root.index)?;
                txn.record(Action::RootRenew, Subject { slot: Some(id), ..Subject::default() })?;
                Ok((id, new_root.clone()))
            })
            .await
    }

    fn make_slot(self, rows: &KeyringRows, master: &MasterKey, root: &Key) -> Result<SlotRow, VaultError> {
        key_slot::make(rows.next_slot()?, master, root, &rows.vault.vault_id, self.core.clock.now(), self.core.random)
    }
}

fn opened_by(rows: &KeyringRows, master: &MasterKey) -> Result<Option<i64>, VaultError> {
    for row in &rows.slots {
        if let Tried::Opened(_) = key_slot::attempt(row, master, &rows.vault.vault_id)? {
            return Ok(Some(row.id));
        }
    }
    Ok(None)
}

fn unchanged(rows: &KeyringRows, seen: &[u8; 32]) -> Result<(), VaultError> {
    if rows.vault.keyring_mac == *seen { Ok(()) } else { Err(VaultError::Contended) }
}

fn is_room_in(rows: &KeyringRows) -> Result<(), VaultError> {
    if rows.slots.len() < MOST_SLOTS { Ok(()) } else { Err(VaultError::TooManySlots(MOST_SLOTS)) }
}

fn describe(row: &SlotRow) -> KeySlot {
    KeySlot {
        id: row.id,
        kind: if row.kind == SlotKind::Passphrase.name() { SlotKind::Passphrase } else { SlotKind::Key },
        fingerprint: hex::write(&row.fingerprint),
        created_at: UnixTime(row.created_at),
        is_weak: key_slot::is_weak(row),
    }
}
