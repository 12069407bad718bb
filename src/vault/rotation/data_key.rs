//! Rotation: a new data key, under which everything is sealed anew while the vault is in use, a few records at a time;
//! then the old one is destroyed.
//!
//! Nothing of its progress is kept but what the rows themselves say, their data key: whoever is killed in the middle goes
//! on where the work was left. Revisions stay, so that a refresh under way ends as if nothing had been.

use crate::store::RecordKey;
use crate::vault::crypto::keyring_rows::{KeyringRows, purpose};
use crate::vault::error::VaultError;
use crate::vault::integrity::walk::{Cursor, Seen, TABLES, walk};
use crate::vault::txn::audit_context::AuditContext;
use crate::vault::txn::audit_row::{Action, Subject};
use crate::vault::txn::core::VaultCore;
use crate::vault::txn::write_txn::WriteTxn;

/// How a rotation stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RotationBegun {
    /// The data key under which everything is sealed from now on.
    pub data_key: u32,
    /// Whether it was begun before, and goes on now.
    pub resumed: bool,
    /// How many records are still under older ones.
    pub left: u64,
}

/// How far a walk through the vault has come.
#[derive(Clone, Debug, Default)]
pub struct RotationPlace {
    table: usize,
    after: Option<Cursor>,
    /// Records that do not open, and so cannot be sealed anew: table and row of each.
    pub damaged: Vec<(String, String)>,
}

/// What came of the end of a rotation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RotationEnd {
    /// These data keys are destroyed.
    Destroyed(Vec<u32>),
    /// So many records are still sealed under an old data key, which therefore stays.
    StillUsed(u64),
}

/// Rotation of the data key.
#[derive(Clone, Copy)]
pub struct Rotation<'v> {
    pub(in crate::vault) core: &'v VaultCore,
}

impl Rotation<'_> {
    /// Begins a rotation, or finds the one that was begun and not ended.
    pub async fn begin(self, who: &AuditContext) -> Result<RotationBegun, VaultError> {
        self.core
            .change_keyring(who, |txn, rows| {
                let root = txn.keyring.root().clone();
                let old = txn.keyring.current_data_key().version;
                let resumed = rows.has_retired(purpose::DATA);
                let data_key = if resumed {
                    old
                } else {
                    let new = rows.add_key(&root, purpose::DATA, txn.now, txn.random)?;
                    txn.record(Action::RotationBegin, Subject { data_key: Some(new), ..Subject::default() })?;
                    new
                };
                let left = txn.tx.sealed_otherwise(data_key)?;
                Ok((RotationBegun { data_key, resumed, left }, root))
            })
            .await
    }

    /// Seals up to `limit` rows anew from `place` on, in one transaction, and moves it on. Gives how many records that
    /// were, and `None` when the walk is at its end.
    pub async fn reseal_some(self, place: &mut RotationPlace, limit: u32) -> Result<Option<u64>, VaultError> {
        let Some(table) = TABLES.get(place.table).copied() else { return Ok(None) };
        let after = place.after.clone();
        let who = AuditContext::system();
        let resealed = self.core.write(&who, move |txn| {
            let (tx, keyring) = (txn.tx, txn.keyring);
            let but = Some(keyring.current_data_key().version);
            let (mut count, mut damaged) = (0, Vec::new());
            let next = walk(table, tx, keyring, after.as_ref(), (but, limit), &mut |seen| match seen {
                Seen::Record(record) => {
                    let Ok(fields) = record.opened else {
                        damaged.push((record.place.table.to_owned(), record.place.row.to_owned()));
                        return Ok(());
                    };
                    count += 1;
                    reseal(txn, &record.place, record.sealed, &fields)
                }
                Seen::NoSecret { .. } => Ok(()),
            })?;
            Ok((count, damaged, next))
        });
        let (count, damaged, next) = resealed.await?;
        place.damaged.extend(damaged);
        place.table += usize::from(next.is_none());
        place.after = next;
        Ok(Some(count))
    }

    /// Destroys the old data keys, in a transaction that sees no record under them, and takes their bytes out of the file.
    pub async fn end(self, who: &AuditContext) -> Result<RotationEnd, VaultError> {
        let end = self.core.change_keyring(who, |txn, rows| {
            let root = txn.keyring.root().clone();
            let left = txn.tx.sealed_otherwise(txn.keyring.current_data_key().version)?;
            if left > 0 {
                return Ok((RotationEnd::StillUsed(left), root));
            }
            let destroyed = rows.destroy_retired(purpose::DATA);
            for version in &destroyed {
                txn.record(Action::RotationEnd, Subject { data_key: Some(*version), ..Subject::default() })?;
            }
            Ok((RotationEnd::Destroyed(destroyed), root))
        });
        let end = end.await?;
        self.core.store.checkpoint()?;
        Ok(end)
    }

    /// The data keys that are retired and not yet destroyed, and how many records are under one of them.
    pub fn unfinished(self) -> Result<Option<u64>, VaultError> {
        self.core.read(|view, keyring| {
            if KeyringRows::read(view)?.has_retired(purpose::DATA) {
                return Ok(Some(view.sealed_otherwise(keyring.current_data_key().version)?));
            }
            Ok(None)
        })
    }
}

/// Writes the same fields over a record, sealed under the current data key, and counts them so.
fn reseal(
    txn: &mut WriteTxn<'_>,
    place: &crate::vault::crypto::record::RecordAad<'_>,
    old: &[u8],
    fields: &[u8],
) -> Result<(), VaultError> {
    let sealed = txn.seal(place, fields)?;
    txn.removed(place, old)?;
    txn.tx.reseal(&RecordKey { table: place.table, user: place.user, row: place.row }, &sealed)?;
    txn.added(place, &sealed)
}
