//! The audit log for people: verification as a whole, queries and retention. Retention removes the
//! oldest rows; the manifest records where the log begins.

use serde::Serialize;

use super::chain::{AuditFault, is_linked, verify};
use crate::clock::UnixTime;
use crate::id::UserId;
use crate::store::{AuditFilter, AuditRow};
use crate::vault::approvals::store::DECIDED_FOR;
use crate::vault::error::VaultError;
use crate::vault::txn::audit_context::{AuditContext, DeniedRequest, ProxiedRequest};
use crate::vault::txn::audit_row::{Action, Subject};
use crate::vault::txn::core::VaultCore;
use crate::vault::txn::manifest::Manifest;
use crate::vault::txn::write_txn::WriteTxn;

/// Rows per transaction: a few milliseconds of the writer's time.
const BATCH: u32 = 500;

/// The result of a verification of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuditVerdict {
    /// Number of rows that are as they were written.
    pub sound: u64,
    /// Number of the first row that should exist; retention removed earlier ones.
    pub first: u64,
    /// Number of the last row that was written.
    pub last: u64,
}

/// One row of the log, and the result of its check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AuditEntry {
    /// The row.
    #[serde(flatten)]
    pub row: AuditRow,
    /// True if the row is as it was written. The log as a whole is checked by
    /// `AuditLog::verify`.
    #[serde(skip)]
    pub sound: bool,
}

/// The audit log of a vault.
#[derive(Clone, Copy)]
pub struct AuditLog<'v> {
    pub(crate) core: &'v VaultCore,
}

impl AuditLog<'_> {
    /// Walks the whole audit log in bounded memory, and reports every fault.
    pub fn verify(self, report: &mut dyn FnMut(AuditFault)) -> Result<AuditVerdict, VaultError> {
        let keyring = self.core.keyring();
        self.core.store.read(|view| {
            let manifest = Manifest::load(view, &keyring)?;
            let sound = verify(view, &keyring, &manifest, report)?;
            Ok(AuditVerdict { sound, first: manifest.audit_base + 1, last: manifest.audit_length })
        })
    }

    /// Returns the matching rows, oldest first.
    pub fn find(self, filter: &AuditFilter) -> Result<Vec<AuditEntry>, VaultError> {
        let found = self.find_once(filter)?;
        // Another process may have created a new audit key meanwhile.
        if found.iter().any(|entry| !entry.sound) && self.core.reload_keyring()? {
            return self.find_once(filter);
        }
        Ok(found)
    }

    /// Records a request that is sent without a credential. The row is on disk when this returns.
    pub async fn record_sent(self, user: UserId, sent: ProxiedRequest, who: &AuditContext) -> Result<(), VaultError> {
        self.core
            .write(who, move |txn| {
                let subject = Subject { user: Some(&user), request: Some(&sent), ..Subject::default() };
                txn.record(Action::ProxyRequest, subject)
            })
            .await
    }

    /// Records a request that an authenticated caller was denied.
    pub async fn record_denied(self, denied: DeniedRequest, who: &AuditContext) -> Result<(), VaultError> {
        self.core
            .write(who, move |txn| {
                let subject = Subject {
                    user: denied.user.as_ref(),
                    provider: denied.provider.as_ref(),
                    credential: denied.credential.as_ref(),
                    refusal: Some(&denied),
                    ..Subject::default()
                };
                let action = if denied.proxied.is_some() { Action::ProxyRefuse } else { Action::RequestRefuse };
                txn.record(action, subject)
            })
            .await
    }

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

    fn find_once(self, filter: &AuditFilter) -> Result<Vec<AuditEntry>, VaultError> {
        self.core.read(|view, keyring| {
            let manifest = Manifest::load(view, keyring)?;
            let entries = view.find_audit(filter)?.into_iter().map(|(row, before)| {
                let first = row.seq.checked_sub(1).and_then(|before| u64::try_from(before).ok());
                let before = if first == Some(manifest.audit_base) { Some(manifest.audit_base_mac) } else { before };
                let sound = before.is_some_and(|before| is_linked(keyring, &before, &row));
                AuditEntry { row, sound }
            });
            Ok(entries.collect())
        })
    }
}

/// Removes a batch and advances the manifest's base, with an audit row. Returns the number of
/// removed rows.
fn prune_batch(txn: &mut WriteTxn<'_>, before: UnixTime) -> Result<u64, VaultError> {
    let (mut base, mut base_mac) = (txn.manifest().audit_base, txn.manifest().audit_base_mac);
    let first = base + 1;
    // As long as an approval counts, its use must be known.
    let needed = txn.now.minus(DECIDED_FOR);
    let may_go = |row: &&AuditRow| row.at < before.0 && (row.action != Action::ApprovalUse.name() || row.at < needed.0);
    for row in txn.tx.audit_page(number(base), BATCH)?.iter().take_while(may_go) {
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

/// Returns the number of a row as the store has it.
pub(crate) fn number(row: u64) -> i64 {
    i64::try_from(row).expect("no log reaches 2^63 rows")
}
