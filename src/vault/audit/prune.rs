//! Retention: removes the oldest rows; the manifest records where the log begins.

use super::chain::is_linked;
use super::log::AuditLog;
use crate::clock::UnixTime;
use crate::vault::error::VaultError;
use crate::vault::txn::audit_context::AuditContext;
use crate::vault::txn::audit_row::{Action, Subject};
use crate::vault::txn::manifest::Manifest;
use crate::vault::txn::write_txn::WriteTxn;

/// Rows per transaction: a few milliseconds of the writer's time.
const BATCH: u32 = 500;

impl AuditLog<'_> {
    /// Removes audit rows from before this time, one batch, and returns their number. A row
    /// behind a younger one (the clock was set back) stays until the younger one is removed.
    ///
    /// # Errors
    /// If one of the rows is not as it was written: evidence of manipulation is not removed.
    pub async fn prune(self, before: UnixTime, who: &AuditContext) -> Result<u64, VaultError> {
        self.core.write(who, move |txn| prune_batch(txn, before)).await
    }

    /// Returns the time of the oldest row.
    pub fn oldest(self) -> Result<Option<UnixTime>, VaultError> {
        self.core.read(|view, keyring| {
            let after = Manifest::load(view, keyring)?.audit_base;
            let first = view.audit_page(number(after), 1)?;
            Ok(first.first().map(|row| UnixTime(row.at)))
        })
    }
}

/// Removes a batch and advances the manifest's base, with an audit row. Returns the number of
/// removed rows.
fn prune_batch(txn: &mut WriteTxn<'_>, before: UnixTime) -> Result<u64, VaultError> {
    let (mut base, mut base_mac) = (txn.manifest().audit_base, txn.manifest().audit_base_mac);
    let first = base + 1;
    for row in txn.tx.audit_page(number(base), BATCH)?.iter().take_while(|row| row.at < before.0) {
        let expected = number(base + 1);
        if row.seq != expected || !is_linked(txn.keyring, &base_mac, row) {
            let what = "it is missing or not as it was written, so that nothing from there on is removed";
            return Err(VaultError::DamagedRow { table: "audit", id: expected.to_string(), what });
        }
        (base, base_mac) = (base + 1, row.mac);
    }
    if base < first {
        return Ok(0);
    }
    txn.tx.delete_audit_through(number(base))?;
    (txn.manifest_mut().audit_base, txn.manifest_mut().audit_base_mac) = (base, base_mac);
    txn.record(Action::AuditPrune, Subject { rows: Some((first, base)), ..Subject::default() })?;
    Ok(base - first + 1)
}

fn number(row: u64) -> i64 {
    i64::try_from(row).expect("no log reaches 2^63 rows")
}
