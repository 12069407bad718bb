//! The queue of tokens that are still to be revoked at their providers; the credentials are gone already.

use std::fmt;
use std::time::Duration;

use zeroize::Zeroizing;

use crate::clock::UnixTime;
use crate::id::{CredentialId, ProviderName, UserId};
use crate::kind::Kind;
use crate::store::{GiveUp, ReadRevocation, RevocationRow, View};
use crate::vault::credentials::credential_record::open_summary;
use crate::vault::credentials::metadata::{CredentialMetadata, CredentialPage};
use crate::vault::crypto::encoding::{FieldWriter, Fields};
use crate::vault::crypto::keyring::Keyring;
use crate::vault::crypto::record::{self, RecordAad};
use crate::vault::error::VaultError;
use crate::vault::hex;
use crate::vault::open::Vault;
use crate::vault::secrets::credential_secret::Tokens;
use crate::vault::txn::audit_context::AuditContext;
use crate::vault::txn::audit_row::{Action, Subject};
use crate::vault::txn::write_txn::Ledger;

/// For how long the queue leaves a revocation to the request that deleted the credential and is still at it.
const FIRST_TRY: Duration = Duration::from_secs(60);

/// Rows erased in one transaction at most.
const BATCH: u32 = 200;

/// The fields beside the tokens' own (see `material.rs`).
const CLIENT_ID: u8 = 40;
const LAST_ERROR: u8 = 41;

/// What deleting a credential means for the grant behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RevocationScope {
    /// Nothing is revoked.
    Never,
    /// The tokens are revoked: at this provider that ends them alone.
    Token,
    /// The tokens are revoked unless another credential of the user hangs on the same grant: one of these providers,
    /// same client, same account, where an unknown client or account counts as the same.
    UnlessShared(Vec<ProviderName>),
}

/// What deleting did.
pub struct DeletedCredential {
    /// The credential, as it was.
    pub summary: CredentialMetadata,
    /// What is to be revoked now; it is in the queue already, so that a crash does not lose it.
    pub revocation: Option<QueuedRevocation>,
}

/// The id of a row in the queue.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RevocationId(pub(in crate::vault) String);

impl fmt::Display for RevocationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

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

/// Tokens that are to be revoked.
#[derive(Clone)]
pub struct QueuedRevocation {
    /// The row.
    pub id: RevocationId,
    /// Whose credential it was.
    pub user: UserId,
    /// At which provider.
    pub provider: ProviderName,
    /// Which credential it was.
    pub credential_id: CredentialId,
    /// The OAuth client through which it was connected, where that is known.
    pub client_id: Option<String>,
    /// The tokens.
    pub tokens: Tokens,
    /// How often it was tried in vain.
    pub attempts: u32,
    /// Why the last try failed: in words of ours, with what the provider said cleaned.
    pub last_error: Option<String>,
    /// When to try next.
    pub not_before: UnixTime,
    /// When to give up; the tokens are erased then.
    pub give_up_at: UnixTime,
}

impl Vault {
    /// Takes a revocation out of the queue: it was done, or there is nothing left to do.
    pub async fn finish_revocation(&self, id: &RevocationId, who: &AuditContext) -> Result<(), VaultError> {
        let id = id.clone();
        self.must_change(who, move |ledger| match ledger.tx.take_revocation(&id.0)? {
            Some(row) => gone(ledger, &row, Action::RevocationFinish),
            None => Ok(()),
        })
        .await
    }

    /// Puts a revocation off until `not_before`, counts the attempt and keeps why it failed.
    pub async fn postpone_revocation(
        &self,
        id: &RevocationId,
        not_before: UnixTime,
        reason: &str,
    ) -> Result<(), VaultError> {
        let (id, reason) = (id.clone(), reason.to_owned());
        self.must_change(&AuditContext::system(), move |ledger| {
            let Some(old) = ledger.tx.revocation(&id.0)? else { return Ok(()) };
            let queued = QueuedRevocation { last_error: Some(reason.clone()), ..read(ledger.keyring, &old)? };
            let mut row = RevocationRow {
                attempts: old.attempts.saturating_add(1),
                not_before: not_before.0,
                revision: old.revision + 1,
                ..old.clone()
            };
            row.sealed = ledger.seal(&place(&row, &more(&row)), &queued.write())?;
            ledger.removed(&place(&old, &more(&old)), &old.sealed)?;
            ledger.tx.update_revocation(&row)?;
            ledger.added(&place(&row, &more(&row)), &row.sealed)
        })
        .await
    }

    /// The revocations that may be tried at `due` and are not to be given up at `now`, the longest waiting first, up to
    /// `limit` of each provider. A damaged row is an error in its own place, and keeps no other from its turn.
    pub fn due_revocations(
        &self,
        now: UnixTime,
        due: UnixTime,
        limit: u32,
    ) -> Result<Vec<Result<QueuedRevocation, VaultError>>, VaultError> {
        let rows = self.look(|view, _| Ok(view.due_revocations(now.0, due.0, limit)?))?;
        Ok(rows.iter().map(|row| self.look(|_, keyring| opened(keyring, row))).collect())
    }

    /// The whole queue, or a part of it, for the users that `covers` names; in the order of the credentials' ids, which is
    /// that in which they were connected. A damaged one keeps no other from being seen.
    pub fn revocations(
        &self,
        covers: impl Fn(&UserId) -> bool,
        page: CredentialPage,
    ) -> Result<RevocationQueue, VaultError> {
        let after = page.after.map(|id| id.to_string()).unwrap_or_default();
        let limit = page.limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
        let look = || self.look(|view, keyring| Self::part_of_queue(view, keyring, &covers, &after, limit));
        let queue = look()?;
        // What a rotation by another process has sealed anew opens with the keyring of now.
        if !queue.damaged.is_empty() && self.read_keyring_again()? { look() } else { Ok(queue) }
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
    pub async fn drop_expired_revocations(
        &self,
        now: UnixTime,
        bounds: RetryBounds,
    ) -> Result<Vec<Result<GivenUp, VaultError>>, VaultError> {
        let which = GiveUp { now: now.0, beyond: now.plus(bounds.time).0, attempts: bounds.tries };
        let (who, mut dropped, mut after) = (AuditContext::system(), Vec::new(), None::<String>);
        loop {
            let from = after.take();
            let batch = self.must_change(&who, move |ledger| {
                let rows = ledger.tx.overdue_revocations(which, from.as_deref(), BATCH)?;
                let last = rows.iter().rev().find_map(|(id, _)| id.clone());
                let next = last.filter(|_| rows.len() >= BATCH as usize);
                let given_up = rows.iter().map(|(_, row)| give_up(ledger, row)).collect::<Result<Vec<_>, _>>()?;
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

/// Puts the tokens of a credential that is being deleted into the queue.
pub(in crate::vault) fn queue(
    ledger: &mut Ledger<'_>,
    summary: &CredentialMetadata,
    tokens: Tokens,
    retry_for: Duration,
) -> Result<QueuedRevocation, VaultError> {
    let queued = QueuedRevocation {
        id: RevocationId(hex::write(&ledger.random.bytes::<16>())),
        user: summary.user.clone(),
        provider: summary.provider.clone(),
        credential_id: summary.id,
        client_id: summary.client_id.clone(),
        tokens,
        attempts: 0,
        last_error: None,
        not_before: ledger.now.plus(FIRST_TRY),
        give_up_at: ledger.now.plus(retry_for),
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
        data_key: ledger.keyring.current_data_key().version,
        sealed: Vec::new(),
    };
    row.sealed = ledger.seal(&place(&row, &more(&row)), &queued.write())?;
    ledger.tx.insert_revocation(&row)?;
    ledger.added(&place(&row, &more(&row)), &row.sealed)?;
    Ok(queued)
}

impl QueuedRevocation {
    /// The fields to be sealed.
    fn write(&self) -> Zeroizing<Vec<u8>> {
        self.tokens
            .write(FieldWriter::new())
            .optional(CLIENT_ID, self.client_id.as_deref())
            .optional(LAST_ERROR, self.last_error.as_deref())
            .finish()
    }
}

/// Erases one whose time is over. Within: that it is damaged, and was left.
fn give_up(ledger: &mut Ledger<'_>, row: &ReadRevocation) -> Result<Result<GivenUp, VaultError>, VaultError> {
    let queued = match opened(ledger.keyring, row) {
        Err(error) if error.is_damage() => return Ok(Err(error)),
        queued => queued?,
    };
    if let Some(row) = ledger.tx.take_revocation(&queued.id.0)? {
        gone(ledger, &row, Action::RevocationGiveUp)?;
    }
    Ok(Ok(GivenUp { provider: queued.provider, credential_id: queued.credential_id }))
}

/// That a queued revocation opens.
pub(in crate::vault) fn check(keyring: &Keyring, row: &RevocationRow) -> Result<(), VaultError> {
    read(keyring, row).map(|_| ())
}

fn opened(keyring: &Keyring, row: &ReadRevocation) -> Result<QueuedRevocation, VaultError> {
    read(keyring, row.as_ref().map_err(|error| VaultError::from(error.clone()))?)
}

/// Whether a credential of the user hangs on the same grant as `summary` does, as far as can be known; `except` is not
/// looked at.
pub(in crate::vault) fn is_shared(
    ledger: &Ledger<'_>,
    summary: &CredentialMetadata,
    among: &[ProviderName],
    except: Option<&CredentialId>,
) -> Result<bool, VaultError> {
    let except = except.map(ToString::to_string);
    for provider in among {
        for row in ledger.tx.credentials_each(summary.user.as_str(), Some(provider.as_str()), "", None)? {
            let id = row.as_ref().map_or_else(|(id, _)| id, |row| &row.id);
            if Some(id) == except.as_ref() || row.as_ref().is_ok_and(|row| row.kind != Kind::OAuth2.name()) {
                continue;
            }
            // Of a damaged one nothing is known.
            let Some(other) = row.ok().and_then(|row| open_summary(ledger.keyring, &row).ok()) else { return Ok(true) };
            if may_be_same(other.client_id.as_ref(), summary.client_id.as_ref())
                && may_be_same(other.account.as_ref(), summary.account.as_ref())
            {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

/// What is unknown counts as the same: revoking would kill a credential that somebody relies on.
fn may_be_same(one: Option<&String>, other: Option<&String>) -> bool {
    one.is_none() || other.is_none() || one == other
}

fn gone(ledger: &mut Ledger<'_>, row: &RevocationRow, action: Action) -> Result<(), VaultError> {
    ledger.removed(&place(row, &more(row)), &row.sealed)?;
    let (user, provider, credential) = ids(row)?;
    let subject =
        Subject { user: Some(&user), provider: Some(&provider), credential: Some(&credential), ..Subject::default() };
    ledger.record(action, subject)
}

fn read(keyring: &Keyring, row: &RevocationRow) -> Result<QueuedRevocation, VaultError> {
    let bytes = record::open(keyring, &place(row, &more(row)), row.data_key, &row.sealed)?;
    let (user, provider, credential_id) = ids(row)?;
    let fields = Fields::read(&bytes).ok_or_else(|| damaged(row))?;
    Ok(QueuedRevocation {
        id: RevocationId(row.id.clone()),
        user,
        provider,
        credential_id,
        client_id: fields.owned(CLIENT_ID),
        tokens: Tokens::read(&fields).ok_or_else(|| damaged(row))?,
        attempts: row.attempts,
        last_error: fields.owned(LAST_ERROR),
        not_before: UnixTime(row.not_before),
        give_up_at: UnixTime(row.give_up_at),
    })
}

fn ids(row: &RevocationRow) -> Result<(UserId, ProviderName, CredentialId), VaultError> {
    let parsed = || Some((row.user.parse().ok()?, row.provider.parse().ok()?, row.credential.parse().ok()?));
    parsed().ok_or_else(|| damaged(row))
}

fn damaged(row: &RevocationRow) -> VaultError {
    VaultError::DamagedRow { table: "revocation", id: row.id.clone(), what: "it cannot be understood" }
}

pub(in crate::vault) fn more(row: &RevocationRow) -> [i64; 2] {
    [i64::from(row.attempts), row.not_before]
}

/// The credential's id stands where other records have their kind: it says what the tokens are.
pub(in crate::vault) fn place<'a>(row: &'a RevocationRow, more: &'a [i64; 2]) -> RecordAad<'a> {
    RecordAad {
        table: "revocation",
        column: "sealed",
        row: &row.id,
        revision: row.revision,
        kind: &row.credential,
        provider: &row.provider,
        user: &row.user,
        expiry: Some(row.give_up_at),
        more,
        ..RecordAad::default()
    }
}
