//! The manifest: one sealed row with the number of sealed records and a sum of keyed hashes over
//! them, the same for API keys, and both ends of the audit chain.
//!
//! It also records that a vault was restored from a backup; only a holder of the keys can remove
//! that mark.
//!
//! A 256-bit sum can be updated by addition and subtraction in any order. It is sealed, because an
//! attacker could correct a plain-text sum without any key.

use std::sync::Arc;

use serde::Serialize;

use crate::clock::UnixTime;
use crate::random::Random;
use crate::store::{DeferredWrite, ManifestRow, StoreError, Tx, View};
use crate::vault::crypto::fields::{Value as _, encode, fields};
use crate::vault::crypto::keyring::Keyring;
use crate::vault::crypto::keys::DataKey;
use crate::vault::crypto::record::{self, RecordAad};
use crate::vault::error::VaultError;

/// Number of rows, and the sum of their hashes modulo 2^256.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) count: u64,
    pub(crate) sum: [u8; 32],
}

impl Tally {
    /// Adds a row.
    pub(crate) fn add(&mut self, item: &[u8; 32]) {
        self.count = self.count.wrapping_add(1);
        let mut carry = 0u16;
        for (own, other) in self.sum.iter_mut().zip(item).rev() {
            carry += u16::from(*own) + u16::from(*other);
            [_, *own] = carry.to_be_bytes();
            carry >>= 8;
        }
    }

    /// Removes a row.
    pub(crate) fn remove(&mut self, item: &[u8; 32]) {
        self.count = self.count.wrapping_sub(1);
        let mut borrow = 0u16;
        for (own, other) in self.sum.iter_mut().zip(item).rev() {
            let difference = u16::from(*own).wrapping_sub(u16::from(*other)).wrapping_sub(borrow);
            [_, *own] = difference.to_be_bytes();
            borrow = difference >> 15;
        }
    }
}

/// The content of the manifest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Manifest {
    /// Increases by one with every change.
    pub(crate) epoch: i64,
    /// Sealed records: users, metadata, secrets, pending logins, queued revocations,
    /// registrations and signing keys.
    pub(crate) records: Tally,
    /// API keys.
    pub(crate) api_keys: Tally,
    /// Number of audit rows ever written, which is the number of the last row.
    pub(crate) audit_length: u64,
    /// The MAC of the last audit row.
    pub(crate) audit_head: [u8; 32],
    /// Number of the oldest rows that retention removed.
    pub(crate) audit_base: u64,
    /// The MAC of the last removed row; zeros if none was removed.
    pub(crate) audit_base_mac: [u8; 32],
    /// Number of restores from a backup. Tokens from before the last restore may already be
    /// used elsewhere.
    pub(crate) restores: u32,
    /// The restore that the operator has not promoted yet.
    pub(crate) restored: Option<RestoreMark>,
    /// True if an epoch file exists. If it is missing then, it was taken away.
    pub(crate) epoch_file: bool,
}

/// The state of all sealed records and API keys. It stays the same while only the audit log grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SealedRows {
    records: Tally,
    api_keys: Tally,
}

/// A restore that is not promoted yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct RestoreMark {
    /// Time of the restore.
    #[serde(rename = "restored_at")]
    pub at: UnixTime,
    /// Time at which the backup was made.
    pub backup_at: UnixTime,
}

/// A changed manifest, with the key that seals it at the end of the transaction.
pub(crate) struct Changed {
    pub(crate) manifest: Manifest,
    key: Arc<DataKey>,
    vault_id: [u8; 16],
    random: Random,
}

impl DeferredWrite for Changed {
    fn write(&self, tx: &Tx<'_>) -> Result<(), StoreError> {
        let (epoch, fields) = (self.manifest.epoch, encode(&self.manifest));
        let sealed = record::seal_under(&self.key, &self.vault_id, &aad(epoch), &fields, self.random);
        tx.write_manifest(&ManifestRow { epoch, data_key: self.key.version, sealed })
    }
}

fields! {
    Tally {
        1 count,
        2 sum,
    }
}

fields! {
    Manifest {
        1 epoch,
        2 records,
        3 api_keys,
        4 audit_length,
        5 audit_head,
        6 audit_base,
        7 audit_base_mac,
        8 restores,
        9 restored,
        10 epoch_file,
    }
}

fields! {
    RestoreMark {
        1 at,
        2 backup_at,
    }
}

impl Manifest {
    /// Returns the state of the rows that the manifest covers.
    pub(crate) fn sealed_rows(&self) -> SealedRows {
        SealedRows { records: self.records, api_keys: self.api_keys }
    }

    /// Reads the row, and checks its seal and epoch.
    pub(crate) fn load(view: &View<'_>, keyring: &Keyring) -> Result<Self, VaultError> {
        Self::open(view.manifest()?.as_ref(), keyring)
    }

    /// Checks the seal and the epoch of a row.
    pub(crate) fn open(row: Option<&ManifestRow>, keyring: &Keyring) -> Result<Self, VaultError> {
        let row = row.ok_or_else(Self::missing)?;
        let bytes = record::open(keyring, &aad(row.epoch), row.data_key, &row.sealed)?;
        Self::read(&bytes).ok_or_else(|| damaged("it cannot be understood"))
    }

    /// The error for a missing row.
    pub(crate) fn missing() -> VaultError {
        damaged("it is missing")
    }

    /// Returns the manifest as the jobs before left it in this transaction, or else as it is in
    /// the file.
    pub(crate) fn find(tx: &Tx<'_>, keyring: &Keyring) -> Result<Self, VaultError> {
        match tx.deferred::<Changed>() {
            // An earlier job of this transaction changed the data key. This keyring
            // does not have it, and cannot seal.
            Some(changed) if changed.key.version != keyring.data.current().version => Err(VaultError::Contended),
            Some(changed) => Ok(changed.manifest),
            None => Self::load(tx, keyring),
        }
    }

    /// Hands the manifest to the following jobs. It is sealed and written once, at the end of
    /// the transaction.
    pub(crate) fn leave(self, tx: &Tx<'_>, keyring: &Keyring, random: Random) {
        let (key, vault_id) = (keyring.data.current().clone(), keyring.vault_id);
        tx.defer(Changed { manifest: self, key, vault_id, random });
    }
}

fn damaged(what: &'static str) -> VaultError {
    VaultError::DamagedRow { table: "manifest", id: "1".into(), what }
}

fn aad<'a>(epoch: i64) -> RecordAad<'a> {
    RecordAad { table: "manifest", column: "sealed", row: "1", revision: epoch, ..RecordAad::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sum_ignores_order_and_forgets_removed_items() {
        let items: [[u8; 32]; 3] = [[0xff; 32], Random.bytes(), Random.bytes()];
        let [mut forward, mut backward] = [Tally::default(); 2];
        for (one, other) in items.iter().zip(items.iter().rev()) {
            forward.add(one);
            backward.add(other);
        }
        assert_eq!(forward, backward);
        for item in &items {
            forward.remove(item);
        }
        assert_eq!(forward, Tally::default());
        forward.remove(&items[1]);
        forward.add(&items[1]);
        assert_eq!(forward, Tally::default());
    }

    #[test]
    fn manifest_reads_back_with_and_without_a_restore_mark() {
        let restored = Some(RestoreMark { at: UnixTime(8), backup_at: UnixTime(7) });
        let marked = Manifest { epoch: 3, audit_length: 2, restores: 2, restored, ..Manifest::default() };
        let plain = Manifest { epoch: 3, audit_length: 2, ..Manifest::default() };
        for manifest in [marked, plain] {
            let bytes = encode(&manifest);
            assert_eq!(Manifest::read(&bytes), Some(manifest));
            for length in 0..bytes.len() {
                assert_eq!(Manifest::read(&bytes[..length]), None, "cut at {length}");
            }
        }
    }
}
