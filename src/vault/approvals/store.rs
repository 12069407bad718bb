//! Approvals: a request is asked for, decided about by a person, and sent once.

use std::time::Duration;

use super::approval::{ApprovalRequest, ApprovalStatus, RequestToApprove, aad, open, seal};
use crate::clock::UnixTime;
use crate::id::{ApiKeyId, ApprovalId};
use crate::store::ApprovalRow;
use crate::vault::error::VaultError;
use crate::vault::txn::audit_context::AuditContext;
use crate::vault::txn::audit_row::{Action, Subject};
use crate::vault::txn::core::VaultCore;
use crate::vault::txn::write_txn::WriteTxn;

/// Time for which a request waits for a person.
const PENDING_FOR: Duration = Duration::from_secs(24 * 3600);

/// Time for which a decision holds.
const DECIDED_FOR: Duration = Duration::from_secs(3600);

/// Requests of one key that wait for a person.
const MAX_PENDING: usize = 20;

/// Rows deleted in one transaction.
const BATCH: u32 = 200;

/// The answer to a request that needs approval.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ApprovalAnswer {
    /// It was approved, and may be sent now. The approval is used up.
    Approved(ApprovalId),
    /// A person has to decide first.
    Pending(ApprovalId),
    /// A person denied it.
    Denied(ApprovalId),
    /// Too many requests of the key wait.
    TooMany,
}

/// The result of a decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ApprovalDecision {
    /// It counts from now on.
    Done(Box<ApprovalRequest>),
    /// There is no such request, or it has ended.
    Absent,
    /// The request was decided before.
    Decided(ApprovalStatus),
}

/// The approvals of a vault.
#[derive(Clone, Copy)]
pub struct Approvals<'v> {
    pub(crate) core: &'v VaultCore,
}

impl Approvals<'_> {
    /// Takes the approval of this request, or asks for it. Requests with the same digest are one. A
    /// taken approval is gone from the disk before this returns, so that no crash lets it count twice.
    pub async fn ask(self, request: RequestToApprove, who: &AuditContext) -> Result<ApprovalAnswer, VaultError> {
        let id = self.core.ids.approval();
        self.core
            .write_durable(who, move |txn| {
                let mut pending = 0;
                for row in txn.tx.approvals_of_key(&request.key.to_string())? {
                    if row.expires_at <= txn.now.0 {
                        remove(txn, &row)?;
                        continue;
                    }
                    let known = open(txn.keyring, &row)?;
                    pending += usize::from(known.status == ApprovalStatus::Pending);
                    if known.request.digest != request.digest {
                        continue;
                    }
                    return Ok(match known.status {
                        ApprovalStatus::Pending => ApprovalAnswer::Pending(known.id),
                        ApprovalStatus::Denied => ApprovalAnswer::Denied(known.id),
                        ApprovalStatus::Approved => {
                            remove(txn, &row)?;
                            ApprovalAnswer::Approved(known.id)
                        }
                    });
                }
                if pending >= MAX_PENDING {
                    return Ok(ApprovalAnswer::TooMany);
                }
                let (created_at, expires_at) = (txn.now, txn.now.plus(PENDING_FOR));
                let status = ApprovalStatus::Pending;
                let new = ApprovalRequest { id, request: request.clone(), status, created_at, expires_at };
                add(txn, &new, 1)?;
                txn.record(Action::ApprovalRequest, subject(&new))?;
                Ok(ApprovalAnswer::Pending(id))
            })
            .await
    }

    /// Approves or denies a request that waits. The kept part of its body is erased.
    pub async fn decide(
        self,
        id: ApprovalId,
        approve: bool,
        who: &AuditContext,
    ) -> Result<ApprovalDecision, VaultError> {
        self.core
            .write_durable(who, move |txn| {
                let row = txn.tx.approval(&id.to_string())?;
                let Some(row) = row.filter(|row| row.expires_at > txn.now.0) else {
                    return Ok(ApprovalDecision::Absent);
                };
                let mut approval = open(txn.keyring, &row)?;
                if approval.status != ApprovalStatus::Pending {
                    return Ok(ApprovalDecision::Decided(approval.status));
                }
                approval.status = if approve { ApprovalStatus::Approved } else { ApprovalStatus::Denied };
                approval.expires_at = txn.now.plus(DECIDED_FOR);
                approval.request.body = Vec::new();
                remove(txn, &row)?;
                add(txn, &approval, row.revision + 1)?;
                let action = if approve { Action::ApprovalApprove } else { Action::ApprovalDeny };
                txn.record(action, subject(&approval))?;
                Ok(ApprovalDecision::Done(approval.into()))
            })
            .await
    }

    /// Returns one request that has not ended.
    pub fn get(self, id: ApprovalId) -> Result<Option<ApprovalRequest>, VaultError> {
        let now = self.core.clock.now();
        let found = self
            .core
            .read(|view, keyring| view.approval(&id.to_string())?.map(|row| open(keyring, &row)).transpose())?;
        Ok(found.filter(|approval| now < approval.expires_at))
    }

    /// Returns up to `limit` requests that have not ended, oldest first, after one or from the
    /// first, of the keys that `covers` accepts. Bodies are left out. The second value tells if more
    /// follow.
    pub fn list(
        self,
        covers: impl Fn(ApiKeyId) -> bool,
        after: Option<ApprovalId>,
        limit: usize,
    ) -> Result<(Vec<ApprovalRequest>, bool), VaultError> {
        let now = self.core.clock.now();
        self.core.snapshot(|view, keyring| {
            let (mut found, mut after) = (Vec::new(), after.map(|id| id.to_string()));
            loop {
                let rows = view.sealed_rows::<ApprovalRow>(after.as_deref(), None, BATCH)?;
                for row in &rows {
                    if row.expires_at <= now.0 || !row.key.parse().is_ok_and(&covers) {
                        continue;
                    }
                    if found.len() == limit {
                        return Ok((found, true));
                    }
                    let mut approval = open(keyring, row)?;
                    approval.request.body = Vec::new();
                    found.push(approval);
                }
                match rows.last() {
                    Some(last) => after = Some(last.id.clone()),
                    None => return Ok((found, false)),
                }
            }
        })
    }

    /// Deletes requests that have ended, and returns their number.
    pub async fn purge_ended(self, now: UnixTime) -> Result<usize, VaultError> {
        let (mut purged, who) = (0, AuditContext::system());
        loop {
            let batch = self.core.write(&who, move |txn| {
                let rows = txn.tx.ended_approvals(now.0, BATCH)?;
                rows.iter().try_for_each(|row| remove(txn, row))?;
                Ok(rows.len())
            });
            match batch.await? {
                0 => return Ok(purged),
                count => purged += count,
            }
        }
    }
}

/// Deletes the requests of an API key, because the key ends.
pub(crate) fn remove_of_key(txn: &mut WriteTxn<'_>, key: &str) -> Result<(), VaultError> {
    txn.tx.approvals_of_key(key)?.iter().try_for_each(|row| remove(txn, row))
}

/// Deletes the requests with a credential, because it ends or is another one now.
pub(crate) fn remove_of_credential(txn: &mut WriteTxn<'_>, credential: &str) -> Result<(), VaultError> {
    txn.tx.approvals_of_credential(credential)?.iter().try_for_each(|row| remove(txn, row))
}

fn add(txn: &mut WriteTxn<'_>, approval: &ApprovalRequest, revision: i64) -> Result<(), VaultError> {
    let row = seal(txn, approval, revision)?;
    txn.tx.insert_sealed(&row)?;
    txn.added(&aad(&row), &row.sealed)
}

fn remove(txn: &mut WriteTxn<'_>, row: &ApprovalRow) -> Result<(), VaultError> {
    txn.removed(&aad(row), &row.sealed)?;
    txn.tx.delete_approval(&row.id)?;
    Ok(())
}

fn subject(approval: &ApprovalRequest) -> Subject<'_> {
    let request = &approval.request;
    Subject {
        user: Some(&request.user),
        provider: Some(&request.provider),
        credential: Some(&request.credential),
        approval: Some((&approval.id, &request.key)),
        ..Subject::default()
    }
}
