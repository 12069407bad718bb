//! The queue of tokens that are still to be revoked at their providers; the credentials are gone already.

use super::queued_revocation::{QueuedRevocation, RevocationId, aad, ids, more, opened, read};
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

/// For how long the queue leaves a revocation to the request that deleted the credential and is still at it.
const FIRST_TRY: Duration = Duration::from_secs(60);

/// Rows erased in one transaction at most.
const BATCH: u32 = 200;

/// For how long revocations are tried.
#[derive(Clone, Copy, Debug)]
pub struct RetryBounds {
    /// For so long.
    pub time: Duration,
    /// How many tries fit into that time. One that was queued by a clock that was ahead has an end that never comes: it is
    /// given up after so many.
    pub tries: u32,
}

/// A revocation that nobody confirmed in time; its tokens are erased.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GivenUp {
    /// At which provider.
    pub provider: ProviderName,
    /// Which credential it was.
    pub credential_id: CredentialId,
}

/// The revocation queue of a vault.
#[derive(Clone, Copy)]
pub struct Revocations<'v> {
    pub(in crate::vault) core: &'v VaultCore,
}

impl Revocations<'_> {
    /// Takes a revocation out of the queue: it was done, or there is nothing left to do.
    pub async fn finish(self, id: &RevocationId, who: &AuditContext) -> Result<(), VaultError> {
        let id = id.clone();
        self.core
            .write_critical(who, move |txn| match txn.tx.take_revocation(&id.0)? {
                Some(row) => gone(txn, &row, Action::RevocationFinish),
                None => Ok(()),
            })
            .await
    }

    /// Puts a revocation off until `not_before`, counts the attempt and keeps why it failed.
    pub async fn postpone(self, id: &RevocationId, not_before: UnixTime, reason: &str) -> Result<(), VaultError> {
        let (id, reason) = (id.clone(), reason.to_owned());
        self.core
            .write_critical(&AuditContext::system(), move |txn| {
                let Some(old) = txn.tx.revocation(&id.0)? else { return Ok(()) };
                let queued = QueuedRevocation { last_error: Some(reason.clone()), ..read(txn.keyring, &old)? };
                let mut row = RevocationRow {
                    attempts: old.attempts.saturating_add(1),
                    not_before: not_before.0,
                    revision: old.revision + 1,
                    ..old.clone()
                };
                row.sealed = txn.seal(&aad(&row, &more(&row)), &queued.write())?;
                txn.removed(&aad(&old, &more(&old)), &old.sealed)?;
                txn.tx.update_revocation(&row)?;
                txn.added(&aad(&row, &more(&row)), &row.sealed)
            })
            .await
    }

    /// The revocations that may be tried at `due` and are not to be given up at `now`, the longest waiting first, up to
    /// `limit` of each provider. A damaged row is an error in its own place, and keeps no other from its turn.
    pub fn due(
        self,
        now: UnixTime,
        due: UnixTime,
        limit: u32,
    ) -> Result<Vec<Result<QueuedRevocation, VaultError>>, VaultError> {
        let rows = self.core.read(|view, _| Ok(view.due_revocations(now.0, due.0, limit)?))?;
        Ok(rows.iter().map(|row| self.core.read(|_, keyring| opened(keyring, row))).collect())
    }

    /// The whole queue, or a part of it, for the users that `covers` names; in the order of the credentials' ids, which is
    /// that in which they were connected. A damaged one keeps no other from being seen.
    pub fn list(
        self,
        covers: impl Fn(&UserId) -> bool,
        after: Option<CredentialId>,
        limit: Option<u32>,
    ) -> Result<RevocationQueue, VaultError> {
        let after = after.map(|id| id.to_string()).unwrap_or_default();
        let limit = limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
        let look = || self.core.read(|view, keyring| Self::part_of_queue(view, keyring, &covers, &after, limit));
        let queue = look()?;
        // What a rotation by another process has sealed anew opens with the keyring of now.
        if !queue.damaged.is_empty() && self.core.reload_keyring()? { look() } else { Ok(queue) }
    }

    fn part_of_queue(
        view: &View<'_>,
        keyring: &Keyring,
        covers: &impl Fn(&UserId) -> bool,
        after: &str,
        limit: usize,
    ) -> Result<RevocationQueue, VaultError> {
        let mut queue = RevocationQueue::default();
        view.revocations_after(after, |row| {
            // Whose one is that cannot be read nobody knows.
            let user: Option<UserId> = row.as_ref().ok().and_then(|row| row.user.parse().ok());
            if user.is_some_and(|user| !covers(&user)) {
                return Ok::<_, VaultError>(true);
            }
            let last = queue.waiting.last().map(|last| last.credential_id.to_string());
            // Of which credential one is that cannot be read nobody knows either.
            let is_same = row.as_ref().is_ok_and(|row| last.as_ref() == Some(&row.credential)) || row.is_err();
            // A page ends with the last row of a credential: the next one begins behind that credential.
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

    /// Erases the revocations that are to be given up at `now`, and says which. A damaged row is an error in its own place and
    /// stays as it is: its end is not known, and what it counted for is not either.
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

/// What waits, or a part of it.
#[derive(Default)]
pub struct RevocationQueue {
    /// In the order in which the credentials were connected.
    pub waiting: Vec<QueuedRevocation>,
    /// What is among them and does not open; nothing of it can be revoked.
    pub damaged: Vec<VaultError>,
    /// Whether there are more behind them.
    pub more: bool,
}

/// A credential whose tokens are to be revoked.
#[derive(Clone, Copy)]
pub(in crate::vault) struct RevokedCredential<'a> {
    pub(in crate::vault) id: CredentialId,
    pub(in crate::vault) user: &'a UserId,
    pub(in crate::vault) provider: &'a ProviderName,
    pub(in crate::vault) client_id: Option<&'a String>,
}

/// Puts the tokens of a credential that is being deleted into the queue.
pub(in crate::vault) fn enqueue(
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
    let mut row = RevocationRow {
        id: queued.id.0.clone(),
        user: queued.user.to_string(),
        provider: queued.provider.to_string(),
        credential: queued.credential_id.to_string(),
        attempts: 0,
        not_before: queued.not_before.0,
        give_up_at: queued.give_up_at.0,
        revision: 1,
        data_key: txn.keyring.current_data_key().version,
        sealed: Vec::new(),
    };
    row.sealed = txn.seal(&aad(&row, &more(&row)), &queued.write())?;
    txn.tx.insert_revocation(&row)?;
    txn.added(&aad(&row, &more(&row)), &row.sealed)?;
    Ok(queued)
}

/// Erases one whose time is over. Within: that it is damaged, and was left.
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
    txn.removed(&aad(row, &more(row)), &row.sealed)?;
    let (user, provider, credential) = ids(row)?;
    let subject =
        Subject { user: Some(&user), provider: Some(&provider), credential: Some(&credential), ..Subject::default() };
    txn.record(action, subject)
}
