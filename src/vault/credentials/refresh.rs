//! Refreshes in the vault. The intent is on disk before the request is sent, so that a crash leaves
//! the credential in doubt. The result is written only over the tokens with which the refresh
//! began.

use std::time::Duration;

use super::credential_record::{open_secret, open_summary, rewrite, subject};
use super::metadata::{CredentialMetadata, CredentialStatus};
use super::quota::Quota;
use super::quota_check::{added_by_change, check};
use super::refresh_state::{LastError, RefreshState};
use super::shared_grant::{RevocationScope, discard};
use crate::clock::UnixTime;
use crate::id::{CredentialId, ProviderName, UserId};
use crate::store::CredentialRow;
use crate::vault::error::VaultError;
use crate::vault::revocations::queued_revocation::QueuedRevocation;
use crate::vault::secrets::credential_secret::{CredentialSecret, Tokens};
use crate::vault::txn::audit_context::AuditContext;
use crate::vault::txn::audit_row::Action;
use crate::vault::txn::core::VaultCore;
use crate::vault::txn::write_txn::WriteTxn;

/// A running refresh. It ends once, and only if the secret is still the one with which it began.
#[derive(Clone)]
pub struct RefreshTicket {
    /// The metadata before the refresh.
    pub summary: CredentialMetadata,
    /// The revision of the secret, with the marker.
    revision: i64,
}

/// The result of starting a refresh.
#[expect(clippy::large_enum_variant, reason = "it is taken apart where it is returned")]
pub enum RefreshStart<D> {
    /// It has begun: the marker is on disk. These are the tokens.
    Begun(Box<RefreshTicket>, Tokens),
    /// There is nothing to do, for this reason; nothing was written.
    Declined(D),
    /// The user no longer has such an OAuth credential.
    Gone,
}

/// The result of a successful refresh.
#[derive(Clone)]
pub struct Refreshed {
    /// All tokens, including the old refresh token if there is no new one.
    pub tokens: Tokens,
    /// The granted scopes.
    pub scopes: Vec<String>,
    /// Expiry of the access token.
    pub expires_at: Option<UnixTime>,
    /// Time of the background's next refresh.
    pub refresh_at: Option<UnixTime>,
}

/// The end of a successful refresh.
pub enum RefreshEnd {
    /// The tokens are stored.
    Stored(Box<CredentialMetadata>),
    /// The credential was deleted or its secret was replaced meanwhile. The new tokens are not
    /// stored; this is their queued revocation.
    Overtaken(Option<Box<QueuedRevocation>>),
    /// The new tokens are too large: the user's credentials would exceed twice the quota. They are
    /// not stored, and the account has to be connected again; this is their queued revocation.
    NoRoom(Option<Box<QueuedRevocation>>),
}

/// Terms of storing refreshed tokens.
#[derive(Clone)]
pub struct RefreshTerms {
    /// The effect of a revocation of the new tokens, if they are not stored.
    pub revocation: RevocationScope,
    /// Time for which a revocation is retried.
    pub retry_for: Duration,
    /// Quota of the user. A refresh may exceed it, up to twice its bytes: no token is lost because
    /// it grew a little.
    pub quota: Quota,
}

/// The result of a failed refresh.
#[derive(Clone, Debug)]
pub struct RefreshFailure {
    /// The reason, without any secret.
    pub what: String,
    /// Earliest time of the next attempt.
    pub next_try: UnixTime,
    /// True if the provider named that time.
    pub told_to_wait: bool,
    /// True if the provider may have refreshed the tokens.
    pub in_doubt: bool,
    /// True if the provider refused for a reason that is not understood.
    pub refused: bool,
}

/// Refreshes of OAuth credentials.
#[derive(Clone, Copy)]
pub struct Refreshes<'v> {
    pub(crate) core: &'v VaultCore,
}

impl Refreshes<'_> {
    /// Begins a refresh unless `decline` returns a reason. `decline` is called inside the
    /// transaction, with the current data. When this returns, the vault is known to be
    /// writable, and the intent survives a crash.
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
                // After a crash the background handles this credential first.
                summary.refreshing.refresh_at = Some(txn.now);
                let written = rewrite(txn, &row, &before, &summary, &secret)?;
                txn.record(Action::RefreshBegin, subject(&summary))?;
                let ticket = RefreshTicket { summary: before, revision: written.secret_revision };
                Ok(RefreshStart::Begun(Box::new(ticket), tokens.clone()))
            })
            .await
    }

    /// Stores refreshed tokens; they are on disk when this returns. If the credential was deleted
    /// or its secret was replaced meanwhile, nothing is overwritten, and the tokens are queued for
    /// revocation if no credential needs the grant.
    pub async fn finish(
        self,
        ticket: &RefreshTicket,
        refreshed: Refreshed,
        terms: RefreshTerms,
        who: &AuditContext,
    ) -> Result<RefreshEnd, VaultError> {
        let ticket = ticket.clone();
        self.core
            .write_critical(who, move |txn| {
                let Some((row, before)) = still_there(txn, &ticket)? else {
                    let queued =
                        discard(txn, (&ticket.summary, &refreshed.tokens), &terms.revocation, None, terms.retry_for)?;
                    return Ok(RefreshEnd::Overtaken(queued.map(Box::new)));
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
                let (old, new) = (open_secret(txn, &row, &before)?, CredentialSecret::OAuth2(refreshed.tokens.clone()));
                let most = Quota { bytes: terms.quota.bytes.saturating_mul(2), ..terms.quota };
                let added = added_by_change((&before, &old), (&summary, &new));
                match check(txn.tx, &before.user, Some(most), added) {
                    Err(VaultError::QuotaExceeded(_)) => {
                        let what = "the new tokens are too large for the quota of the user".to_owned();
                        let summary = CredentialMetadata {
                            refreshing: needs_reauth(&before, what, txn.now),
                            status: CredentialStatus::NeedsReauth,
                            ..before.clone()
                        };
                        rewrite(txn, &row, &before, &summary, &old)?;
                        txn.record(Action::NeedsReauth, subject(&summary))?;
                        let of = (&summary, &refreshed.tokens);
                        let queued = discard(txn, of, &terms.revocation, Some(&summary.id), terms.retry_for)?;
                        return Ok(RefreshEnd::NoRoom(queued.map(Box::new)));
                    }
                    other => other?,
                }
                rewrite(txn, &row, &before, &summary, &new)?;
                txn.record(Action::RefreshFinish, subject(&summary))?;
                Ok(RefreshEnd::Stored(Box::new(summary)))
            })
            .await
    }

    /// Records a failed refresh; the tokens stay. The credential stays in doubt if this refresh
    /// or an earlier one is: only a success or the provider's refusal resolves that. Returns
    /// `None` if the credential or its secret no longer exists.
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
            refreshing.refused_since = refreshing.refused_since.or(failure.refused.then_some(now));
            refreshing.next_try = Some(failure.next_try);
            refreshing.told_to_wait = failure.told_to_wait;
            refreshing.last_error = Some(LastError { at: now, what: failure.what.clone() });
            refreshing.refresh_at = Some(failure.next_try);
        })
        .await
    }

    /// Records that the provider refuses the refresh token: the user has to connect the account
    /// again. The tokens stay.
    pub async fn mark_needs_reauth(
        self,
        ticket: &RefreshTicket,
        what: String,
        who: &AuditContext,
    ) -> Result<Option<CredentialMetadata>, VaultError> {
        self.update_metadata(ticket, Action::NeedsReauth, who, move |summary, _, now| {
            summary.status = CredentialStatus::NeedsReauth;
            summary.refreshing = needs_reauth(summary, what.clone(), now);
        })
        .await
    }

    /// Lists the credentials that the background has to refresh by `now`, longest due first, up
    /// to `limit` per provider.
    pub fn due(self, now: UnixTime, limit: u32) -> Result<Vec<(UserId, CredentialId, ProviderName)>, VaultError> {
        let rows = self.core.read(|view, _| Ok(view.due_refreshes(now.0, limit)?))?;
        let read =
            |[user, id, provider]: &[String; 3]| Some((user.parse().ok()?, id.parse().ok()?, provider.parse().ok()?));
        Ok(rows.iter().filter_map(read).collect())
    }

    /// Sets the time of the background's next refresh.
    pub async fn schedule(self, user: &UserId, id: &CredentialId, at: Option<UnixTime>) -> Result<(), VaultError> {
        let (user, id) = (user.clone(), *id);
        let write = move |txn: &mut WriteTxn<'_>| {
            Ok(txn.tx.schedule_refresh(user.as_str(), &id.to_string(), at.map(|at| at.0))?)
        };
        self.core.write(&AuditContext::system(), write).await
    }

    /// Writes changed metadata if the secret is still the one with which the refresh began.
    /// `change` also gets the metadata from before the refresh.
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

/// Returns the state of a credential whose account has to be connected again, for this reason.
fn needs_reauth(summary: &CredentialMetadata, what: String, now: UnixTime) -> RefreshState {
    RefreshState {
        possible: summary.refreshing.possible,
        lifetime: summary.refreshing.lifetime,
        lapses_at: summary.refreshing.lapses_at,
        last_error: Some(LastError { at: now, what }),
        restores: summary.refreshing.restores,
        ..RefreshState::default()
    }
}

/// Returns the credential if its secret is still the one with which the refresh began. A new title
/// does not change the secret.
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
