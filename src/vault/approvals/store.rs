//! Approvals: a request is asked for, decided about by a person, and sent once.

use std::time::Duration;

use super::approval::{ApprovalRequest, ApprovalStatus, RequestToApprove, aad, lookup, open, opened, seal};
use crate::clock::UnixTime;
use crate::id::{ApiKeyId, ApprovalId};
use crate::store::{ApprovalRow, ReadApproval, View, WritePriority};
use crate::vault::crypto::fields::encode;
use crate::vault::crypto::keyring::Keyring;
use crate::vault::error::VaultError;
use crate::vault::txn::audit_context::AuditContext;
use crate::vault::txn::audit_row::{Action, Subject, approval_subject};
use crate::vault::txn::core::VaultCore;
use crate::vault::txn::write_txn::WriteTxn;

/// Time for which a request waits for a person.
const PENDING_FOR: Duration = Duration::from_secs(24 * 3600);

/// Time for which a decision holds.
pub(crate) const DECIDED_FOR: Duration = Duration::from_secs(3600);

/// Requests of one key that wait for a person.
const MAX_PENDING: i64 = 20;

/// Rows deleted or read at once.
const BATCH: u32 = 200;

/// Maximum size of a page.
const MAX_PAGE_BYTES: usize = 4 << 20;

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

/// A page of requests.
#[derive(Default)]
pub struct ApprovalPage {
    /// The requests, oldest first, without their bodies.
    pub approvals: Vec<ApprovalRequest>,
    /// Errors of rows that do not open; nothing else is known of those.
    pub damaged: Vec<VaultError>,
    /// True if more follow.
    pub more: bool,
}

impl Approvals<'_> {
    /// Takes the approval of this request, or asks for it. Requests with the same digest are one. A
    /// taken approval is gone from the disk before this returns, so that no crash lets it count twice.
    pub async fn ask(self, request: RequestToApprove, who: &AuditContext) -> Result<ApprovalAnswer, VaultError> {
        let id = self.core.ids.approval();
        let ask = move |txn: &mut WriteTxn<'_>| {
            let key = request.key.to_string();
            for row in txn.tx.approvals_like(&key, &lookup(txn.keyring, &request.digest))? {
                let Some((row, known)) = sound(txn, row)? else { continue };
                if let Some(answer) = answer(txn, &row, &known)? {
                    return Ok(answer);
                }
            }
            if txn.tx.pending_approvals(&key, txn.now.0)? >= MAX_PENDING {
                return Ok(ApprovalAnswer::TooMany);
            }
            let (created_at, expires_at) = (txn.now, txn.now.plus(PENDING_FOR));
            let status = ApprovalStatus::Pending;
            let new = ApprovalRequest { id, request: request.clone(), status, created_at, expires_at };
            add(txn, &new, 1)?;
            txn.record(Action::ApprovalRequest, subject(&new))?;
            Ok(ApprovalAnswer::Pending(id))
        };
        // On a full disk, requests must not use the room that is kept for deletions.
        self.core.write_with(WritePriority::Normal, true, who, ask).await
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
                let Some(row) = txn.tx.approval(&id.to_string())? else { return Ok(ApprovalDecision::Absent) };
                let mut approval = open(txn.keyring, &row)?;
                if approval.expires_at <= txn.now {
                    return Ok(ApprovalDecision::Absent);
                }
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
    /// first, of the keys that `covers` accepts. A damaged row does not hide the others.
    pub fn list(
        self,
        covers: impl Fn(ApiKeyId) -> bool,
        after: Option<ApprovalId>,
        limit: usize,
    ) -> Result<ApprovalPage, VaultError> {
        let (now, after) = (self.core.clock.now(), after.map(|id| id.to_string()));
        let look = || self.core.snapshot(|view, keyring| page(view, keyring, (now, after.clone()), &covers, limit));
        let page = look()?;
        // A rotation in another process may have sealed the rows under a newer key.
        if !page.damaged.is_empty() && self.core.reload_keyring()? { look() } else { Ok(page) }
    }

    /// Deletes requests that have ended, and returns their number. A damaged row stays, because its
    /// end and its share of the manifest's sum are unknown.
    pub async fn purge_ended(self, now: UnixTime) -> Result<usize, VaultError> {
        let (mut purged, mut after, who) = (0, None::<String>, AuditContext::system());
        loop {
            let from = after.take();
            let batch = self.core.write(&who, move |txn| remove_batch(txn, Some(now.0), from.as_deref()));
            let (count, next) = batch.await?;
            purged += count;
            match next {
                None => return Ok(purged),
                next => after = next,
            }
        }
    }
}

fn page(
    view: &View<'_>,
    keyring: &Keyring,
    (now, mut after): (UnixTime, Option<String>),
    covers: &impl Fn(ApiKeyId) -> bool,
    limit: usize,
) -> Result<ApprovalPage, VaultError> {
    let (mut page, mut bytes) = (ApprovalPage::default(), 0);
    loop {
        let rows = view.approvals_after(None, after.as_deref(), BATCH)?;
        for (_, row) in &rows {
            // The key of an unreadable row is unknown, so it is reported to everyone who asks.
            if row.as_ref().is_ok_and(|row| !row.key.parse().is_ok_and(covers)) {
                continue;
            }
            let mut approval = match opened(keyring, row) {
                Err(error) if error.is_damage() => {
                    page.damaged.push(error);
                    continue;
                }
                approval => approval?,
            };
            if approval.expires_at <= now {
                continue;
            }
            approval.request.body = Vec::new();
            bytes += encode(&approval.request).len();
            page.more = page.approvals.len() >= limit || bytes > MAX_PAGE_BYTES;
            if page.more {
                return Ok(page);
            }
            page.approvals.push(approval);
        }
        after = rows.iter().rev().find_map(|(id, _)| id.clone());
        if after.is_none() {
            return Ok(page);
        }
    }
}

/// Answers a request from the row that it has; `None` if that counts no more.
fn answer(
    txn: &mut WriteTxn<'_>,
    row: &ApprovalRow,
    known: &ApprovalRequest,
) -> Result<Option<ApprovalAnswer>, VaultError> {
    if known.expires_at <= txn.now {
        remove(txn, row)?;
        return Ok(None);
    }
    Ok(match known.status {
        ApprovalStatus::Pending => Some(ApprovalAnswer::Pending(known.id)),
        ApprovalStatus::Denied => Some(ApprovalAnswer::Denied(known.id)),
        ApprovalStatus::Approved if txn.tx.has_approval_use(&approval_subject(&known.id, &known.request.key))? => {
            tracing::error!(approval = %known.id, "a used approval was put back from outside; it counts no more");
            None
        }
        ApprovalStatus::Approved => {
            remove(txn, row)?;
            txn.record(Action::ApprovalUse, subject(known))?;
            Some(ApprovalAnswer::Approved(known.id))
        }
    })
}

/// Deletes all requests: a request that was used after a backup was made must not count again.
pub(crate) fn remove_all(txn: &mut WriteTxn<'_>) -> Result<(), VaultError> {
    let mut after = None;
    loop {
        (_, after) = remove_batch(txn, None, after.as_deref())?;
        if after.is_none() {
            return Ok(());
        }
    }
}

/// Deletes the requests of an API key, because the key ends.
pub(crate) fn remove_of_key(txn: &mut WriteTxn<'_>, key: &str) -> Result<(), VaultError> {
    let rows = txn.tx.approvals_of_key(key)?;
    remove_sound(txn, rows).map(|_| ())
}

/// Deletes the requests with a credential, because it ends or is another one now.
pub(crate) fn remove_of_credential(txn: &mut WriteTxn<'_>, credential: &str) -> Result<(), VaultError> {
    let rows = txn.tx.approvals_of_credential(credential)?;
    remove_sound(txn, rows).map(|_| ())
}

/// Deletes a batch of requests that ended by `until`, or of all. Returns the number of deleted rows,
/// and the id to continue after.
fn remove_batch(
    txn: &mut WriteTxn<'_>,
    until: Option<i64>,
    after: Option<&str>,
) -> Result<(usize, Option<String>), VaultError> {
    let rows = txn.tx.approvals_after(until, after, BATCH)?;
    let last = rows.iter().rev().find_map(|(id, _)| id.clone());
    let next = last.filter(|_| rows.len() >= BATCH as usize);
    Ok((remove_sound(txn, rows.into_iter().map(|(_, row)| row))?, next))
}

/// Deletes the rows that open, and returns their number. The others stay for a repair: they count
/// for no request, and must not keep a key or a credential from ending.
fn remove_sound(txn: &mut WriteTxn<'_>, rows: impl IntoIterator<Item = ReadApproval>) -> Result<usize, VaultError> {
    let mut removed = 0;
    for row in rows {
        if let Some((row, _)) = sound(txn, row)? {
            remove(txn, &row)?;
            removed += 1;
        }
    }
    Ok(removed)
}

/// Opens a row; `None` if it is damaged.
fn sound(txn: &WriteTxn<'_>, row: ReadApproval) -> Result<Option<(ApprovalRow, ApprovalRequest)>, VaultError> {
    match opened(txn.keyring, &row) {
        Err(error) if error.is_damage() => {
            tracing::error!(%error, "a damaged approval counts for no request: `strongroom vault repair` erases it");
            Ok(None)
        }
        known => Ok(row.ok().zip(Some(known?))),
    }
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
