//! The manifest: one sealed row that knows how many records there are, a sum of keyed hashes over them, the same for
//! API keys, and both ends of the audit chain.
//!
//! A vault that was restored from a backup says so here: no one without the keys can make it forget that.
//!
//! A sum of 256 bits can be kept up to date by adding and subtracting, whatever the order; sealed, because in the
//! clear it could be corrected without any key.

use std::sync::Arc;

use crate::clock::UnixTime;
use crate::random::Random;
use crate::store::{DeferredWrite, ManifestRow, StoreError, Tx, View};
use crate::vault::crypto::encoding::{FieldWriter, Fields};
use crate::vault::crypto::keyring::Keyring;
use crate::vault::crypto::keys::DataKey;
use crate::vault::crypto::record::{self, RecordAad};
use crate::vault::error::VaultError;

/// How many rows there are, and the sum of their hashes modulo 2^256.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::vault) struct Tally {
    pub(in crate::vault) count: u64,
    pub(in crate::vault) sum: [u8; 32],
}

impl Tally {
    /// Counts a row.
    pub(in crate::vault) fn add(&mut self, item: &[u8; 32]) {
        self.count = self.count.wrapping_add(1);
        let mut carry = 0u16;
        for (own, other) in self.sum.iter_mut().zip(item).rev() {
            carry += u16::from(*own) + u16::from(*other);
            [_, *own] = carry.to_be_bytes();
            carry >>= 8;
        }
    }

    /// Takes a row out of the count.
    pub(in crate::vault) fn remove(&mut self, item: &[u8; 32]) {
        self.count = self.count.wrapping_sub(1);
        let mut borrow = 0u16;
        for (own, other) in self.sum.iter_mut().zip(item).rev() {
            let difference = u16::from(*own).wrapping_sub(u16::from(*other)).wrapping_sub(borrow);
            [_, *own] = difference.to_be_bytes();
            borrow = difference >> 15;
        }
    }
}

/// What the manifest says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::vault) struct Manifest {
    /// Goes up by one with every change.
    pub(in crate::vault) epoch: i64,
    /// Sealed records: users, summaries, secrets, begun logins, queued revocations.
    pub(in crate::vault) records: Tally,
    /// API keys.
    pub(in crate::vault) api_keys: Tally,
    /// How many audit rows were ever written: the number of the last.
    pub(in crate::vault) audit_length: u64,
    /// The MAC of the last of them.
    pub(in crate::vault) audit_head: [u8; 32],
    /// How many of them retention removed, from the first on.
    pub(in crate::vault) audit_base: u64,
    /// The MAC of the last of those; zeros where none was.
    pub(in crate::vault) audit_base_mac: [u8; 32],
    /// How often the vault was restored from a backup: tokens that came before the last time may be used up elsewhere.
    pub(in crate::vault) restores: u32,
    /// From what it was restored, as long as nobody has said that it is the one that lives.
    pub(in crate::vault) restored: Option<RestoreMark>,
    /// Whether the epoch is known in a file outside: then one that is not there has been taken away.
    pub(in crate::vault) epoch_file: bool,
}

/// A restore that nobody has confirmed yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RestoreMark {
    /// When it was restored.
    pub at: UnixTime,
    /// When the backup was made.
    pub backup_at: UnixTime,
}

/// A changed manifest, with the key that seals it at the end of the transaction.
pub(in crate::vault) struct Changed {
    pub(in crate::vault) manifest: Manifest,
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

/// Four numbers and four sums. Before version 5 of the schema the last of each was not there.
const LENGTH: usize = 4 * 8 + 4 * 32;

/// Tags of the fields behind them; one that was ever used is not given another meaning. A vault that was never restored
/// has none.
mod tag {
    pub(super) const RESTORES: u8 = 1;
    pub(super) const RESTORED_AT: u8 = 2;
    pub(super) const BACKUP_AT: u8 = 3;
    pub(super) const EPOCH_FILE: u8 = 4;
}

impl Manifest {
    /// Reads it and checks its seal and epoch.
    pub(in crate::vault) fn load(view: &View<'_>, keyring: &Keyring) -> Result<Self, VaultError> {
        Self::open(view.manifest()?.as_ref(), keyring)
    }

    /// Checks the seal and the epoch of what was read.
    pub(in crate::vault) fn open(row: Option<&ManifestRow>, keyring: &Keyring) -> Result<Self, VaultError> {
        let row = row.ok_or_else(Self::missing)?;
        let bytes = record::open(keyring, &aad(row.epoch), row.data_key, &row.sealed)?;
        Self::read(row.epoch, &bytes).ok_or_else(|| damaged("its length is wrong"))
    }

    /// There is none.
    pub(in crate::vault) fn missing() -> VaultError {
        damaged("it is missing")
    }

    /// As a job of this transaction finds it: what the jobs before it made of it, or what is in the file.
    pub(in crate::vault) fn find(tx: &Tx<'_>, keyring: &Keyring) -> Result<Self, VaultError> {
        match tx.deferred::<Changed>() {
            // A job before this one changed the data key, which is not known here yet: nothing can be sealed.
            Some(changed) if changed.key.version != keyring.current_data_key().version => Err(VaultError::Contended),
            Some(changed) => Ok(changed.manifest),
            None => Self::load(tx, keyring),
        }
    }

    /// Leaves it to the jobs behind this one. It is sealed and written with the last of them, in the same transaction.
    pub(in crate::vault) fn leave(self, tx: &Tx<'_>, keyring: &Keyring, random: Random) {
        let (key, vault_id) = (keyring.current_data_key().clone(), *keyring.vault_id());
        tx.defer(Changed { manifest: self, key, vault_id, random });
    }

    pub(in crate::vault) fn bytes(&self) -> Vec<u8> {
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

    pub(in crate::vault) fn read(epoch: i64, bytes: &[u8]) -> Option<Self> {
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
    fn a_manifest_of_an_older_version_is_read_and_a_cut_one_is_not() {
        let bytes: Vec<u8> = (0..160).collect();
        let (old, new) = (Manifest::read(1, &bytes[..120]).unwrap(), Manifest::read(1, &bytes).unwrap());
        assert_eq!((old.audit_base, old.audit_base_mac), (0, [0; 32]));
        assert_eq!((new.audit_base_mac[31], new.audit_head), (159, old.audit_head));
        for length in [0, 40, 80, 119, 121, 128, 159] {
            assert!(Manifest::read(1, &bytes[..length]).is_none(), "{length}");
        }
    }

    #[test]
    fn a_sum_does_not_know_the_order_and_forgets_what_is_taken_out() {
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
    fn a_manifest_reads_back_and_is_that_of_an_older_version_where_nothing_was_restored() {
        let restored = Some(RestoreMark { at: UnixTime(8), backup_at: UnixTime(7) });
        let marked = Manifest { epoch: 3, audit_length: 2, restores: 2, restored, ..Manifest::default() };
        let plain = Manifest { epoch: 3, audit_length: 2, ..Manifest::default() };
        assert_eq!(Manifest::read(3, &marked.bytes()), Some(marked));
        assert_eq!(Manifest::read(3, &plain.bytes()), Some(plain));
        assert_eq!(plain.bytes().len(), LENGTH);
        assert_eq!(Manifest::read(3, &marked.bytes()[..LENGTH + 5]), None, "cut");
    }
}
