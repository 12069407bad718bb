//! Rotation of the data key: a new key seals every record again, a batch at a time, while the vault
//! is in use. Then the old key is destroyed.
//!
//! The only progress data is the data-key version of each row, so a rotation that was killed
//! continues where it stopped. Revisions do not change, so a running refresh can finish.

use crate::store::RecordKey;
use crate::vault::crypto::keyring_rows::{KeyringRows, purpose};
use crate::vault::error::VaultError;
use crate::vault::integrity::walk::{Cursor, Seen, TABLES, walk};
use crate::vault::txn::audit_context::AuditContext;
use crate::vault::txn::audit_row::{Action, Subject};
use crate::vault::txn::core::VaultCore;
use crate::vault::txn::write_txn::WriteTxn;

/// The state of a rotation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RotationBegun {
    /// The new data key.
    pub data_key: u32,
    /// True if an earlier rotation is continued.
    pub resumed: bool,
    /// Number of records under older keys.
    pub left: u64,
}

/// The position of a walk through the vault.
#[derive(Clone, Debug, Default)]
pub struct RotationPlace {
    table: usize,
    after: Option<Cursor>,
    /// Records that do not open and cannot be sealed again: table and row of each.
    pub damaged: Vec<(String, String)>,
}

/// The result of ending a rotation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RotationEnd {
    /// These data keys are destroyed.
    Destroyed(Vec<u32>),
    /// This number of records is still sealed under an old data key, which therefore stays.
    StillUsed(u64),
}

/// Rotation of the data key.
#[derive(Clone, Copy)]
pub struct Rotation<'v> {
    pub(crate) core: &'v VaultCore,
}

impl Rotation<'_> {
    /// Begins a rotation, or continues an unfinished one.
    pub async fn begin(self, who: &AuditContext) -> Result<RotationBegun, VaultError> {
        self.core
            .change_keyring(who, |txn, rows| {
                let root = txn.keyring.root.clone();
                let old = txn.keyring.data.current().version;
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

    /// Seals up to `limit` rows again in one transaction, from `place` on, and advances
    /// `place`. Returns the number of records; `None` at the end of the walk.
    pub async fn reseal_some(self, place: &mut RotationPlace, limit: u32) -> Result<Option<u64>, VaultError> {
        let Some(table) = TABLES.get(place.table).copied() else { return Ok(None) };
        let after = place.after.clone();
        let who = AuditContext::system();
        let resealed = self.core.write(&who, move |txn| {
            let (tx, keyring) = (txn.tx, txn.keyring);
            let but = Some(keyring.data.current().version);
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

    /// Destroys the old data keys if no record uses them, and removes their bytes from the
    /// file.
    pub async fn end(self, who: &AuditContext) -> Result<RotationEnd, VaultError> {
        let end = self.core.change_keyring(who, |txn, rows| {
            let root = txn.keyring.root.clone();
            let left = txn.tx.sealed_otherwise(txn.keyring.data.current().version)?;
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

    /// Returns the number of records under retired data keys; `None` without an unfinished
    /// rotation.
    pub fn unfinished(self) -> Result<Option<u64>, VaultError> {
        self.core.read(|view, keyring| {
            if KeyringRows::read(view)?.has_retired(purpose::DATA) {
                return Ok(Some(view.sealed_otherwise(keyring.data.current().version)?));
            }
            Ok(None)
        })
    }
}

/// Rewrites a record with the same fields, sealed under the current data key.
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
