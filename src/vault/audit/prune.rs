//! Retention: rows are removed from the front of the log, and the manifest remembers where it begins now.

use super::chain::is_linked;
use crate::clock::UnixTime;
use crate::store::Tx;
use crate::vault::crypto::keyring::Keyring;
use crate::vault::error::VaultError;
use crate::vault::open::Vault;
use crate::vault::txn::audit_context::AuditContext;
use crate::vault::txn::manifest::Manifest;

/// Rows that go in one transaction: a few milliseconds of the writer's time.
const BATCH: u32 = 500;

impl Vault {
    /// Removes the audit rows from before this time from the front of the log, some hundreds at a time; how many went. A row
    /// of that age behind a younger one (the clock was set back) stays until that one goes.
    ///
    /// # Errors
    /// Where one of them is not as it was written: what somebody changed is not cleared away.
    pub async fn prune_audit(&self, before: UnixTime, who: &AuditContext) -> Result<u64, VaultError> {
        self.change(who, move |ledger| ledger.prune_audit(before)).await
    }

    /// When the oldest row was written that is still there.
    pub fn oldest_audit(&self) -> Result<Option<UnixTime>, VaultError> {
        self.look(|view, keyring| {
            let after = Manifest::load(view, keyring)?.audit_base;
            let first = view.audit_page(number(after), 1)?;
            Ok(first.first().map(|row| UnixTime(row.at)))
        })
    }
}

/// Removes a batch and moves the manifest's base on; the first and the last row of it.
pub(in crate::vault) fn prune(
    tx: &Tx<'_>,
    keyring: &Keyring,
    manifest: &mut Manifest,
    before: UnixTime,
) -> Result<Option<(u64, u64)>, VaultError> {
    let first = manifest.audit_base + 1;
    for row in tx.audit_page(number(manifest.audit_base), BATCH)?.iter().take_while(|row| row.at < before.0) {
        let expected = number(manifest.audit_base + 1);
        if row.seq != expected || !is_linked(keyring, &manifest.audit_base_mac, row) {
            let what = "it is missing or not as it was written, so that nothing from there on is removed";
            return Err(VaultError::DamagedRow { table: "audit", id: expected.to_string(), what });
        }
        (manifest.audit_base, manifest.audit_base_mac) = (manifest.audit_base + 1, row.mac);
    }
    if manifest.audit_base < first {
        return Ok(None);
    }
    tx.delete_audit_through(number(manifest.audit_base))?;
    Ok(Some((first, manifest.audit_base)))
}

fn number(row: u64) -> i64 {
    i64::try_from(row).expect("no log reaches 2^63 rows")
}
