//! The master keys of a vault: which slots there are, one more, one less, and a new root where an old key is known to
//! somebody.
//!
//! A slot is made outside the transaction, for Argon2id takes its time, and is written only over the keyring that it was
//! made for.

use zeroize::Zeroizing;

use crate::clock::UnixTime;
use crate::store::SlotRow;
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

/// How often a slot is made anew because the keyring changed meanwhile.
const ATTEMPTS: usize = 4;

/// What opens a vault, as far as it may be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeySlot {
    /// Its number, which no other slot of the vault ever had or gets while it is the highest.
    pub id: i64,
    /// Which kind of master key it takes.
    pub kind: SlotKind,
    /// What tells its key from others and opens nothing: 16 hex digits.
    pub fingerprint: String,
    /// When it was made.
    pub created_at: UnixTime,
    /// Whether a new slot for a passphrase would be harder to guess at than this one.
    pub is_weak: bool,
}

/// Which kind of master key a slot takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SlotKind {
    /// 32 random bytes.
    Key,
    /// A passphrase, through Argon2id.
    Passphrase,
}

impl SlotKind {
    /// As it stands in the vault.
    pub fn name(self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::Passphrase => "passphrase",
        }
    }
}

/// What came of adding a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SlotAdded {
    /// There is one more.
    New(i64),
    /// The master key opens this slot already; nothing was written.
    ThereAlready(i64),
}

/// What came of removing a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SlotRemoved {
    /// It is gone.
    Gone,
    /// There is none of that number.
    Absent,
    /// It is the only one, and without it nobody could open the vault; it stays.
    Last,
}

/// The key slots of a vault: each wraps the root key for one master key.
#[derive(Clone, Copy)]
pub struct KeySlots<'v> {
    pub(in crate::vault) core: &'v VaultCore,
}

impl KeySlots<'_> {
    /// Every slot, by number.
    pub fn list(self) -> Result<Vec<KeySlot>, VaultError> {
        self.core.read(|view, _| Ok(KeyringRows::read(view)?.slots.iter().map(describe).collect()))
    }

    /// That one more slot can be added.
    pub fn check_room(self) -> Result<(), VaultError> {
        self.core.read(|view, _| is_room_in(&KeyringRows::read(view)?))
    }

    /// The slot that a master key opens.
    pub fn find(self, master: &MasterKey) -> Result<Option<i64>, VaultError> {
        let rows = self.core.read(|view, _| KeyringRows::read(view))?;
        opened_by(&rows, master)
    }

    /// Lets one more master key open the vault; `opened_by` is one that does already.
    pub async fn add(self, known: &MasterKey, new: &MasterKey, who: &AuditContext) -> Result<SlotAdded, VaultError> {
        for _ in 0..ATTEMPTS {
            let rows = self.core.read(|view, _| KeyringRows::read(view))?;
            let (root_key, _) = rows.find_root(known)?;
            if let Some(id) = opened_by(&rows, new)? {
                return Ok(SlotAdded::ThereAlready(id));
            }
            is_room_in(&rows)?;
            let made = self.make_slot(&rows, new, &root_key)?;
            let (id, seen) = (made.id, rows.vault.keyring_mac);
            let added = self.core.change_keyring(who, move |txn, rows| {
                unchanged(rows, &seen)?;
                rows.slots.push(made.clone());
                txn.record(Action::SlotAdd, Subject { slot: Some(id), ..Subject::default() })?;
                Ok(((), txn.keyring.root().clone()))
            });
            match added.await {
                Err(VaultError::Contended) => {}
                done => return done.map(|()| SlotAdded::New(id)),
            }
        }
        Err(VaultError::Contended)
    }

    /// Ends a slot, unless it is the last: its master key opens the vault no more. (It still opens backups of before.)
    pub async fn remove(self, id: i64, who: &AuditContext) -> Result<SlotRemoved, VaultError> {
        self.core
            .change_keyring(who, move |txn, rows| {
                let root = txn.keyring.root().clone();
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

    /// Makes root and keyring anew, as where an old master key may be known to somebody: `new` alone opens the vault from
    /// now on, every key is wrapped anew, and what is written from now on is sealed, counted and chained by new keys. Logins
    /// that were begun are over. What is there has to be sealed anew after this: by a rotation, which has begun.
    ///
    /// No server may have the vault open, for it would know the old root alone.
    pub async fn renew_root(self, known: &MasterKey, new: &MasterKey, who: &AuditContext) -> Result<i64, VaultError> {
        for _ in 0..ATTEMPTS {
            let rows = self.core.read(|view, _| KeyringRows::read(view))?;
            rows.find_root(known)?;
            let root_key: Key = Zeroizing::new(self.core.random.bytes());
            let made = self.make_slot(&rows, new, &root_key)?;
            let new_root = Root::new(&root_key, &rows.vault.vault_id);
            let (id, seen) = (made.id, rows.vault.keyring_mac);
            let renewed = self.core.change_keyring(who, move |txn, rows| {
                unchanged(rows, &seen)?;
                rows.rewrap(txn.keyring.root(), &new_root, txn.random)?;
                rows.slots = vec![made.clone()];
                for purpose in purpose::ALL {
                    rows.add_key(&new_root, purpose, txn.now, txn.random)?;
                }
                logins::remove_all(txn)?;
                registrations::move_all(txn, &new_root.index)?;
                txn.record(Action::RootRenew, Subject { slot: Some(id), ..Subject::default() })?;
                Ok(((), new_root.clone()))
            });
            match renewed.await {
                Err(VaultError::Contended) => {}
                done => return done.map(|()| id),
            }
        }
        Err(VaultError::Contended)
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
