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
use crate::vault::crypto::encoding::{FieldWriter, Fields};
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
        let (epoch, fields) = (self.manifest.epoch, self.manifest.bytes());
        let sealed = record::seal_under(&self.key, &self.vault_id, &aad(epoch), &fields, self.random);
        tx.write_manifest(&ManifestRow { epoch, data_key: self.key.version, sealed })
    }
}

/// Length of the fixed part: four numbers and four sums. Before version 5 of the schema it had
/// three of each.
const LENGTH: usize = 4 * 8 + 4 * 32;

/// Tags of the fields after the fixed part. A tag is never reused with another meaning. A vault
/// that was never restored has no such field.
mod tag {
    pub(super) const RESTORES: u8 = 1;
    pub(super) const RESTORED_AT: u8 = 2;
    pub(super) const BACKUP_AT: u8 = 3;
    pub(super) const EPOCH_FILE: u8 = 4;
}

impl Manifest {
    /// Reads the row, and checks its seal and epoch.
    pub(crate) fn load(view: &View<'_>, keyring: &Keyring) -> Result<Self, VaultError> {
        Self::open(view.manifest()?.as_ref(), keyring)
    }

    /// Checks the seal and the epoch of a row.
    pub(crate) fn open(row: Option<&ManifestRow>, keyring: &Keyring) -> Result<Self, VaultError> {
        let row = row.ok_or_else(Self::missing)?;
        let bytes = record::open(keyring, &aad(row.epoch), row.data_key, &row.sealed)?;
        Self::read(row.epoch, &bytes).ok_or_else(|| damaged("its length is wrong"))
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
            Some(changed) if changed.key.version != keyring.current_data_key().version => Err(VaultError::Contended),
            Some(changed) => Ok(changed.manifest),
            None => Self::load(tx, keyring),
        }
    }

    /// Hands the manifest to the following jobs. It is sealed and written once, at the end of
    /// the transaction.
    pub(crate) fn leave(self, tx: &Tx<'_>, keyring: &Keyring, random: Random) {
        let (key, vault_id) = (keyring.current_data_key().clone(), *keyring.vault_id());
        tx.defer(Changed { manifest: self, key, vault_id, random });
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(LENGTH);
        for (number, sum) in [
            (self.records.count, &self.records.sum),
            (self.api_keys.count, &self.api_keys.sum),
            (self.audit_length, &self.audit_head),
            (self.audit_base, &self.audit_base_mac),
        ] {
            bytes.extend_from_slice(&number.to_be_bytes());
            bytes.extend_from_slice(sum);
        }
        let fields = FieldWriter::new()
            .int(tag::RESTORES, (self.restores > 0).then_some(i64::from(self.restores)))
            .int(tag::RESTORED_AT, self.restored.map(|restored| restored.at.0))
            .int(tag::BACKUP_AT, self.restored.map(|restored| restored.backup_at.0))
            .int(tag::EPOCH_FILE, self.epoch_file.then_some(1));
        bytes.extend_from_slice(&fields.finish());
        bytes
    }

    pub(crate) fn read(epoch: i64, bytes: &[u8]) -> Option<Self> {
        let (first, rest) = pair(bytes)?;
        let (second, rest) = pair(rest)?;
        let (audit, rest) = pair(rest)?;
        let (base, rest) = if rest.is_empty() { (Tally::default(), rest) } else { pair(rest)? };
        let fields = Fields::read(rest)?;
        let times = fields.int(tag::RESTORED_AT).zip(fields.int(tag::BACKUP_AT));
        Some(Self {
            epoch,
            records: first,
            api_keys: second,
            audit_length: audit.count,
            audit_head: audit.sum,
            audit_base: base.count,
            audit_base_mac: base.sum,
            restores: fields.int(tag::RESTORES).map_or(Some(0), |restores| u32::try_from(restores).ok())?,
            restored: times.map(|(at, backup_at)| RestoreMark { at: UnixTime(at), backup_at: UnixTime(backup_at) }),
            epoch_file: fields.int(tag::EPOCH_FILE).is_some(),
        })
    }
}

fn damaged(what: &'static str) -> VaultError {
    VaultError::DamagedRow { table: "manifest", id: "1".into(), what }
}

fn pair(bytes: &[u8]) -> Option<(Tally, &[u8])> {
    let (count, rest) = bytes.split_first_chunk::<8>()?;
    let (sum, rest) = rest.split_first_chunk::<32>()?;
    Some((Tally { count: u64::from_be_bytes(*count), sum: *sum }, rest))
}

fn aad<'a>(epoch: i64) -> RecordAad<'a> {
    RecordAad { table: "manifest", column: "sealed", row: "1", revision: epoch, ..RecordAad::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn older_manifest_is_read_and_a_cut_one_is_rejected() {
        let bytes: Vec<u8> = (0..160).collect();
        let (old, new) = (Manifest::read(1, &bytes[..120]).unwrap(), Manifest::read(1, &bytes).unwrap());
        assert_eq!((old.audit_base, old.audit_base_mac), (0, [0; 32]));
        assert_eq!((new.audit_base_mac[31], new.audit_head), (159, old.audit_head));
        for length in [0, 40, 80, 119, 121, 128, 159] {
            assert!(Manifest::read(1, &bytes[..length]).is_none(), "{length}");
        }
    }

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
        assert_eq!(Manifest::read(3, &marked.bytes()), Some(marked));
        assert_eq!(Manifest::read(3, &plain.bytes()), Some(plain));
        assert_eq!(plain.bytes().len(), LENGTH);
        assert_eq!(Manifest::read(3, &marked.bytes()[..LENGTH + 5]), None, "cut");
    }
}
