//! The revocation queue: tokens of deleted credentials that still have to be revoked at their
//! providers.

use super::queued_revocation::{QueuedRevocation, RevocationId, aad, open, opened, seal};
use crate::clock::UnixTime;
use crate::id::{CredentialId, ProviderName, UserId};
use crate::store::{GiveUp, ReadRevocation, RevocationRow, View};
use crate::vault::crypto::keyring::Keyring;
use crate::vault::error::VaultError;
use crate::vault::hex;
use crate::vault::secrets::credential_secret::Tokens;
use crate::vault::txn::audit_context::AuditContext;
use crate::vault::txn::audit_row::{Action, Subject};
use crate::vault::txn::core::VaultCore;
use crate::vault::txn::write_txn::WriteTxn;
use std::time::Duration;

/// Time for which the queue leaves a revocation to the request that deleted the credential.
const FIRST_TRY: Duration = Duration::from_secs(60);

/// Maximum number of rows deleted in one transaction.
const BATCH: u32 = 200;

/// Limits of the attempts to revoke.
#[derive(Clone, Copy, Debug)]
pub struct RetryBounds {
    /// The time limit.
    pub time: Duration,
    /// Number of attempts that fit into the time limit. A revocation that was queued by a fast
    /// clock has an end far in the future; it is given up after this number.
    pub tries: u32,
}

/// A revocation that was not confirmed in time. Its tokens are erased.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GivenUp {
    /// The provider.
    pub provider: ProviderName,
    /// The deleted credential.
    pub credential_id: CredentialId,
}

/// The revocation queue of a vault.
#[derive(Clone, Copy)]
pub struct Revocations<'v> {
    pub(crate) core: &'v VaultCore,
}

impl Revocations<'_> {
    /// Removes a revocation from the queue: it is done, or nothing is left to do.
    pub async fn finish(self, id: &RevocationId, who: &AuditContext) -> Result<(), VaultError> {
        let id = id.clone();
        self.core
            .write_critical(who, move |txn| match txn.tx.take_revocation(&id.0)? {
                Some(row) => gone(txn, &row, Action::RevocationFinish),
                None => Ok(()),
            })
            .await
    }

    /// Postpones a revocation until `not_before`, counts the attempt, and stores the reason of
    /// the failure.
    pub async fn postpone(self, id: &RevocationId, not_before: UnixTime, reason: &str) -> Result<(), VaultError> {
        let (id, reason) = (id.clone(), reason.to_owned());
        self.core
            .write_critical(&AuditContext::system(), move |txn| {
                let Some(old) = txn.tx.revocation(&id.0)? else { return Ok(()) };
                let before = open(txn.keyring, &old)?;
                let queued = QueuedRevocation {
                    attempts: before.attempts.saturating_add(1),
                    last_error: Some(reason.clone()),
                    not_before,
                    ..before
                };
                let row = seal(txn, &queued, old.revision + 1)?;
                txn.removed(&aad(&old), &old.sealed)?;
                txn.tx.update_revocation(&row)?;
                txn.added(&aad(&row), &row.sealed)
            })
            .await
    }

    /// Returns the revocations that may be tried at `due` and are not to be given up at `now`,
    /// longest waiting first, up to `limit` per provider. A damaged row is an error in its own
    /// place and does not block the others.
    pub fn due(
        self,
        now: UnixTime,
        due: UnixTime,
        limit: u32,
    ) -> Result<Vec<Result<QueuedRevocation, VaultError>>, VaultError> {
        let rows = self.core.read(|view, _| Ok(view.due_revocations(now.0, due.0, limit)?))?;
        Ok(rows.iter().map(|row| self.core.read(|_, keyring| opened(keyring, row))).collect())
    }

    /// Returns the queue, or a part of it, for the subjects that `covers` accepts, ordered by the
    /// ids of the credentials. A damaged row does not hide the others.
    pub fn list(
        self,
        covers: impl Fn(&UserId, &ProviderName, &CredentialId) -> bool,
        after: Option<CredentialId>,
        limit: Option<u32>,
    ) -> Result<RevocationQueue, VaultError> {
        let after = after.map(|id| id.to_string()).unwrap_or_default();
        let limit = limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
        let look = || self.core.read(|view, keyring| Self::part_of_queue(view, keyring, &covers, &after, limit));
        let queue = look()?;
        // A rotation in another process may have sealed the rows under a newer key.
        if !queue.damaged.is_empty() && self.core.reload_keyring()? { look() } else { Ok(queue) }
    }

    fn part_of_queue(
        view: &View<'_>,
        keyring: &Keyring,
        covers: &impl Fn(&UserId, &ProviderName, &CredentialId) -> bool,
        after: &str,
        limit: usize,
    ) -> Result<RevocationQueue, VaultError> {
        let mut queue = RevocationQueue::default();
        view.revocations_after(after, |row| {
            // The subject of an unreadable row is unknown, so it is counted for everyone who
            // asks.
            let subject = |row: &RevocationRow| {
                Some((row.user.parse().ok()?, row.provider.parse().ok()?, row.credential.parse().ok()?))
            };
            let subject = row.as_ref().ok().and_then(subject);
            if subject.is_some_and(|(user, provider, credential)| !covers(&user, &provider, &credential)) {
                return Ok::<_, VaultError>(true);
            }
            let last = queue.waiting.last().map(|last| last.credential_id.to_string());
            // The credential of an unreadable row is unknown too.
            let is_same = row.as_ref().is_ok_and(|row| last.as_ref() == Some(&row.credential)) || row.is_err();
            // A page ends with the last row of a credential, because the next page
            // begins after that credential.
            queue.more = queue.waiting.len() >= limit && !is_same;
            if !queue.more {
                match opened(keyring, &row) {
                    Err(error) if error.is_damage() => queue.damaged.push(error),
                    queued => queue.waiting.push(queued?),
                }
            }
            Ok(!queue.more)
        })?;
        Ok(queue)
    }

    /// Erases the revocations that are to be given up at `now`, and returns them. A damaged row
    /// is an error in its own place and stays, because its end and its share of the manifest's
    /// sum are unknown.
    pub async fn drop_expired(
        self,
        now: UnixTime,
        bounds: RetryBounds,
    ) -> Result<Vec<Result<GivenUp, VaultError>>, VaultError> {
        let which = GiveUp { now: now.0, beyond: now.plus(bounds.time).0, attempts: bounds.tries };
        let (who, mut dropped, mut after) = (AuditContext::system(), Vec::new(), None::<String>);
        loop {
            let from = after.take();
            let batch = self.core.write_critical(&who, move |txn| {
                let rows = txn.tx.overdue_revocations(which, from.as_deref(), BATCH)?;
                let last = rows.iter().rev().find_map(|(id, _)| id.clone());
                let next = last.filter(|_| rows.len() >= BATCH as usize);
                let given_up = rows.iter().map(|(_, row)| give_up(txn, row)).collect::<Result<Vec<_>, _>>()?;
                Ok((given_up, next))
            });
            let (given_up, next) = batch.await?;
            dropped.extend(given_up);
            match next {
                None => return Ok(dropped),
                next => after = next,
            }
        }
    }
}

/// The queue, or a part of it.
#[derive(Default)]
pub struct RevocationQueue {
    /// The revocations, ordered by the ids of the credentials.
    pub waiting: Vec<QueuedRevocation>,
    /// The damaged rows among them; nothing of those can be revoked.
    pub damaged: Vec<VaultError>,
    /// True if there are more after them.
    pub more: bool,
}

/// A credential whose tokens are to be revoked.
#[derive(Clone, Copy)]
pub(crate) struct RevokedCredential<'a> {
    pub(crate) id: CredentialId,
    pub(crate) user: &'a UserId,
    pub(crate) provider: &'a ProviderName,
    pub(crate) client_id: Option<&'a String>,
}

/// Queues the tokens of a credential that is being deleted.
pub(crate) fn enqueue(
    txn: &mut WriteTxn<'_>,
    of: RevokedCredential<'_>,
    tokens: Tokens,
    retry_for: Duration,
) -> Result<QueuedRevocation, VaultError> {
    let queued = QueuedRevocation {
        id: RevocationId(hex::write(&txn.random.bytes::<16>())),
        user: of.user.clone(),
        provider: of.provider.clone(),
        credential_id: of.id,
        client_id: of.client_id.cloned(),
        tokens,
        attempts: 0,
        last_error: None,
        not_before: txn.now.plus(FIRST_TRY),
        give_up_at: txn.now.plus(retry_for),
    };
    let row = seal(txn, &queued, 1)?;
    txn.tx.insert_sealed(&row)?;
    txn.added(&aad(&row), &row.sealed)?;
    Ok(queued)
}

/// Erases a revocation whose time is over. The inner error is a damaged row, which stays.
fn give_up(txn: &mut WriteTxn<'_>, row: &ReadRevocation) -> Result<Result<GivenUp, VaultError>, VaultError> {
    let queued = match opened(txn.keyring, row) {
        Err(error) if error.is_damage() => return Ok(Err(error)),
        queued => queued?,
    };
    if let Some(row) = txn.tx.take_revocation(&queued.id.0)? {
        gone(txn, &row, Action::RevocationGiveUp)?;
    }
    Ok(Ok(GivenUp { provider: queued.provider, credential_id: queued.credential_id }))
}

fn gone(txn: &mut WriteTxn<'_>, row: &RevocationRow, action: Action) -> Result<(), VaultError> {
    txn.removed(&aad(row), &row.sealed)?;
    let QueuedRevocation { user, provider, credential_id, .. } = open(txn.keyring, row)?;
    let subject = Subject {
        user: Some(&user),
        provider: Some(&provider),
        credential: Some(&credential_id),
        ..Subject::default()
    };
    txn.record(action, subject)
}
