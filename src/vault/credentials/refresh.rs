//! The verbs of a refresh. Its intent is on disk before anything is sent, so that a crash leaves it in doubt; what came
//! of it is written only over the very tokens that it began with.

use super::shared_grant::{RevocationScope, discard};
use std::time::Duration;

use super::credential_record::{open_secret, open_summary, rewrite, subject};
use super::metadata::{CredentialMetadata, CredentialStatus};
use super::refresh_state::{LastError, RefreshState};
use crate::clock::UnixTime;
use crate::id::{CredentialId, ProviderName, UserId};
use crate::store::CredentialRow;
use crate::vault::error::VaultError;
use crate::vault::secrets::credential_secret::{CredentialSecret, Tokens};
use crate::vault::txn::audit_context::AuditContext;
use crate::vault::txn::audit_row::Action;
use crate::vault::txn::core::VaultCore;
use crate::vault::txn::write_txn::WriteTxn;

/// A refresh that has begun: whoever has it may end it, once, and only while the secret is the one that it began with.
#[derive(Clone)]
pub struct RefreshTicket {
    /// The credential, as it was.
    pub summary: CredentialMetadata,
    /// Of the secret, with the marker in it.
    revision: i64,
}

/// What came of beginning one.
pub enum RefreshStart<D> {
    /// It has begun: the marker is on disk, and these are the tokens.
    Begun(Box<RefreshTicket>, Tokens),
    /// There is nothing to do, for this reason; nothing was written.
    Declined(D),
    /// The user has no such OAuth credential any more.
    Gone,
}

/// What a refresh brought.
#[derive(Clone)]
pub struct Refreshed {
    /// The tokens, whole: with the old refresh token where there is no new one.
    pub tokens: Tokens,
    /// The scopes that hold now.
    pub scopes: Vec<String>,
    /// When the access token ends.
    pub expires_at: Option<UnixTime>,
    /// When the background looks at it next.
    pub refresh_at: Option<UnixTime>,
}

/// How a refresh failed.
#[derive(Clone, Debug)]
pub struct RefreshFailure {
    /// In words that are fit to be shown.
    pub what: String,
    /// Before when it is not to be tried again.
    pub next_try: UnixTime,
    /// Whether the provider named that time.
    pub told_to_wait: bool,
    /// Whether the refresh may have happened all the same.
    pub in_doubt: bool,
}

/// Refreshes of OAuth credentials.
#[derive(Clone, Copy)]
pub struct Refreshes<'v> {
    pub(in crate::vault) core: &'v VaultCore,
}

impl Refreshes<'_> {
    /// Begins a refresh where `decline` has no reason against it, which it is asked inside the transaction, of what is
    /// there now. When this returns the vault has proved that it can write, and the intent would survive a crash.
    pub async fn begin<D: Send + 'static>(
        self,
        user: &UserId,
        id: &CredentialId,
        decline: impl Fn(&CredentialMetadata, &Tokens) -> Option<D> + Send + Sync + 'static,
        who: &AuditContext,
    ) -> Result<RefreshStart<D>, VaultError> {
        let (user, id) = (user.clone(), *id);
        self.core
            .write(who, move |txn| {
                let Some(row) = txn.tx.credential(user.as_str(), &id.to_string())? else {
                    return Ok(RefreshStart::Gone);
                };
                let before = open_summary(txn.keyring, &row)?;
                let secret = open_secret(txn, &row, &before)?;
                let CredentialSecret::OAuth2(tokens) = &secret else { return Ok(RefreshStart::Gone) };
                if let Some(reason) = decline(&before, tokens) {
                    return Ok(RefreshStart::Declined(reason));
                }
                let mut summary = before.clone();
                summary.refreshing.in_doubt_since = before.refreshing.in_doubt_since.or(Some(txn.now));
                // After a crash it is the first thing that the background looks at.
                summary.refreshing.refresh_at = Some(txn.now);
                let written = rewrite(txn, &row, &before, &summary, &secret)?;
                txn.record(Action::RefreshBegin, subject(&summary))?;
                let ticket = RefreshTicket { summary: before, revision: written.secret_revision };
                Ok(RefreshStart::Begun(Box::new(ticket), tokens.clone()))
            })
            .await
    }

    /// Stores what a refresh brought; it is on disk when this returns. `None` where the credential was deleted, or its
    /// secret replaced meanwhile: then nothing is overwritten, and the tokens are in the revocation queue, if that may be.
    pub async fn finish(
        self,
        ticket: &RefreshTicket,
        refreshed: Refreshed,
        overtaken: RevocationScope,
        retry_for: Duration,
        who: &AuditContext,
    ) -> Result<Option<CredentialMetadata>, VaultError> {
        let ticket = ticket.clone();
        self.core
            .write_critical(who, move |txn| {
                let Some((row, before)) = still_there(txn, &ticket)? else {
                    discard(txn, &ticket.summary, &refreshed.tokens, &overtaken, retry_for)?;
                    return Ok(None);
                };
                let summary = CredentialMetadata {
                    scopes: Some(refreshed.scopes.clone()),
                    updated_at: txn.now,
                    expires_at: refreshed.expires_at,
                    status: CredentialStatus::Active,
                    refreshing: RefreshState {
                        restores: txn.manifest().restores,
                        ..RefreshState::after(&refreshed.tokens, refreshed.refresh_at)
                    },
                    ..before.clone()
                };
                rewrite(txn, &row, &before, &summary, &CredentialSecret::OAuth2(refreshed.tokens.clone()))?;
                txn.record(Action::RefreshFinish, subject(&summary))?;
                Ok(Some(summary))
            })
            .await
    }

    /// Notes that a refresh failed; the tokens stay as they are. It stays in doubt where this one is, or where one before
    /// it was: only a success or the provider's refusal clears that up. `None` where there is nothing any more to note
    /// it of.
    pub async fn fail(
        self,
        ticket: &RefreshTicket,
        failure: RefreshFailure,
        who: &AuditContext,
    ) -> Result<Option<CredentialMetadata>, VaultError> {
        self.update_metadata(ticket, Action::RefreshFail, who, move |summary, before, now| {
            let refreshing = &mut summary.refreshing;
            refreshing.in_doubt_since =
                before.refreshing.in_doubt_since.or(refreshing.in_doubt_since.filter(|_| failure.in_doubt));
            refreshing.failures = refreshing.failures.saturating_add(1);
            refreshing.next_try = Some(failure.next_try);
            refreshing.told_to_wait = failure.told_to_wait;
            refreshing.last_error = Some(LastError { at: now, what: failure.what.clone() });
            refreshing.refresh_at = Some(failure.next_try);
        })
        .await
    }

    /// Notes that the provider refuses the refresh token: from now on only the user can mend it. The tokens stay.
    pub async fn mark_needs_reauth(
        self,
        ticket: &RefreshTicket,
        what: String,
        who: &AuditContext,
    ) -> Result<Option<CredentialMetadata>, VaultError> {
        self.update_metadata(ticket, Action::NeedsReauth, who, move |summary, _, now| {
            summary.status = CredentialStatus::NeedsReauth;
            summary.refreshing = RefreshState {
                possible: summary.refreshing.possible,
                lifetime: summary.refreshing.lifetime,
                lapses_at: summary.refreshing.lapses_at,
                last_error: Some(LastError { at: now, what: what.clone() }),
                restores: summary.refreshing.restores,
                ..RefreshState::default()
            };
        })
        .await
    }

    /// Credentials that the background is to look at by `now`, the longest due first, up to `limit` of each provider.
    pub fn due(self, now: UnixTime, limit: u32) -> Result<Vec<(UserId, CredentialId, ProviderName)>, VaultError> {
        let rows = self.core.read(|view, _| Ok(view.due_refreshes(now.0, limit)?))?;
        let read =
            |[user, id, provider]: &[String; 3]| Some((user.parse().ok()?, id.parse().ok()?, provider.parse().ok()?));
        Ok(rows.iter().filter_map(read).collect())
    }

    /// Sets when the background looks at a credential next.
    pub async fn schedule(self, user: &UserId, id: &CredentialId, at: Option<UnixTime>) -> Result<(), VaultError> {
        let (user, id) = (user.clone(), *id);
        let write = move |txn: &mut WriteTxn<'_>| {
            Ok(txn.tx.schedule_refresh(user.as_str(), &id.to_string(), at.map(|at| at.0))?)
        };
        self.core.write(&AuditContext::system(), write).await
    }

    /// Writes a changed summary, given what the credential was before the refresh, while the secret is the one that the
    /// refresh began with.
    async fn update_metadata(
        self,
        ticket: &RefreshTicket,
        action: Action,
        who: &AuditContext,
        change: impl Fn(&mut CredentialMetadata, &CredentialMetadata, UnixTime) + Send + Sync + 'static,
    ) -> Result<Option<CredentialMetadata>, VaultError> {
        let ticket = ticket.clone();
        self.core
            .write_critical(who, move |txn| {
                let Some((row, before)) = still_there(txn, &ticket)? else { return Ok(None) };
                let secret = open_secret(txn, &row, &before)?;
                let mut summary = before.clone();
                change(&mut summary, &ticket.summary, txn.now);
                rewrite(txn, &row, &before, &summary, &secret)?;
                txn.record(action, subject(&summary))?;
                Ok(Some(summary))
            })
            .await
    }
}

/// The credential, where its secret is still the one that the refresh began with. (A new title does not touch it.)
fn still_there(
    txn: &WriteTxn<'_>,
    ticket: &RefreshTicket,
) -> Result<Option<(CredentialRow, CredentialMetadata)>, VaultError> {
    let of = &ticket.summary;
    let row = txn.tx.credential(of.user.as_str(), &of.id.to_string())?;
    let Some(row) = row.filter(|row| row.secret_revision == ticket.revision) else { return Ok(None) };
    let summary = open_summary(txn.keyring, &row)?;
    Ok(Some((row, summary)))
}
