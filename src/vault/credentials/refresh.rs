//! The verbs of a refresh. Its intent is on disk before anything is sent, so that a crash leaves it in doubt; what came
//! of it is written only over the very tokens that it began with.

use std::time::Duration;

use super::credential_record::{open_secret, open_summary, rewrite, subject};
use super::metadata::{CredentialMetadata, CredentialStatus};
use super::refresh_state::{LastError, RefreshState};
use crate::clock::UnixTime;
use crate::id::{CredentialId, ProviderName, UserId};
use crate::store::CredentialRow;
use crate::vault::error::VaultError;
use crate::vault::open::Vault;
use crate::vault::revocations::queue::{self, RevocationScope, is_shared};
use crate::vault::secrets::credential_secret::{CredentialSecret, Tokens};
use crate::vault::txn::audit_context::AuditContext;
use crate::vault::txn::audit_row::Action;
use crate::vault::txn::write_txn::Ledger;

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

impl Vault {
    /// Begins a refresh where `decline` has no reason against it, which it is asked inside the transaction, of what is
    /// there now. When this returns the vault has proved that it can write, and the intent would survive a crash.
    pub async fn begin_refresh<D: Send + 'static>(
        &self,
        user: &UserId,
        id: &CredentialId,
        decline: impl Fn(&CredentialMetadata, &Tokens) -> Option<D> + Send + Sync + 'static,
        who: &AuditContext,
    ) -> Result<RefreshStart<D>, VaultError> {
        let (user, id) = (user.clone(), *id);
        self.change(who, move |ledger| {
            let Some(row) = ledger.tx.credential(user.as_str(), &id.to_string())? else {
                return Ok(RefreshStart::Gone);
            };
            let before = open_summary(ledger.keyring, &row)?;
            let secret = open_secret(ledger, &row, &before)?;
            let CredentialSecret::OAuth2(tokens) = &secret else { return Ok(RefreshStart::Gone) };
            if let Some(reason) = decline(&before, tokens) {
                return Ok(RefreshStart::Declined(reason));
            }
            let mut summary = before.clone();
            summary.refreshing.in_doubt_since = before.refreshing.in_doubt_since.or(Some(ledger.now));
            // After a crash it is the first thing that the background looks at.
            summary.refreshing.refresh_at = Some(ledger.now);
            let written = rewrite(ledger, &row, &before, &summary, &secret)?;
            ledger.record(Action::RefreshBegin, subject(&summary))?;
            let ticket = RefreshTicket { summary: before, revision: written.secret_revision };
            Ok(RefreshStart::Begun(Box::new(ticket), tokens.clone()))
        })
        .await
    }

    /// Stores what a refresh brought; it is on disk when this returns. `None` where the credential was deleted, or its
    /// secret replaced meanwhile: then nothing is overwritten, and the tokens are in the revocation queue, if that may be.
    pub async fn finish_refresh(
        &self,
        ticket: &RefreshTicket,
        refreshed: Refreshed,
        overtaken: RevocationScope,
        retry_for: Duration,
        who: &AuditContext,
    ) -> Result<Option<CredentialMetadata>, VaultError> {
        let ticket = ticket.clone();
        self.must_change(who, move |ledger| {
            let Some((row, before)) = still_there(ledger, &ticket)? else {
                discard(ledger, &ticket.summary, &refreshed.tokens, &overtaken, retry_for)?;
                return Ok(None);
            };
            let summary = CredentialMetadata {
                scopes: Some(refreshed.scopes.clone()),
                updated_at: ledger.now,
                expires_at: refreshed.expires_at,
                status: CredentialStatus::Active,
                refreshing: RefreshState {
                    restores: ledger.restores(),
                    ..RefreshState::after(&refreshed.tokens, refreshed.refresh_at)
                },
                ..before.clone()
            };
            rewrite(ledger, &row, &before, &summary, &CredentialSecret::OAuth2(refreshed.tokens.clone()))?;
            ledger.record(Action::RefreshFinish, subject(&summary))?;
            Ok(Some(summary))
        })
        .await
    }

    /// Notes that a refresh failed; the tokens stay as they are. It stays in doubt where this one is, or where one before
    /// it was: only a success or the provider's refusal clears that up. `None` where there is nothing any more to note
    /// it of.
    pub async fn fail_refresh(
        &self,
        ticket: &RefreshTicket,
        failure: RefreshFailure,
        who: &AuditContext,
    ) -> Result<Option<CredentialMetadata>, VaultError> {
        self.amend(ticket, Action::RefreshFail, who, move |summary, before, now| {
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
    pub async fn needs_reauth(
        &self,
        ticket: &RefreshTicket,
        what: String,
        who: &AuditContext,
    ) -> Result<Option<CredentialMetadata>, VaultError> {
        self.amend(ticket, Action::NeedsReauth, who, move |summary, _, now| {
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
    pub fn due_refreshes(
        &self,
        now: UnixTime,
        limit: u32,
    ) -> Result<Vec<(UserId, CredentialId, ProviderName)>, VaultError> {
        let rows = self.look(|view, _| Ok(view.due_refreshes(now.0, limit)?))?;
        let read =
            |[user, id, provider]: &[String; 3]| Some((user.parse().ok()?, id.parse().ok()?, provider.parse().ok()?));
        Ok(rows.iter().filter_map(read).collect())
    }

    /// Sets when the background looks at a credential next.
    pub async fn schedule_refresh(
        &self,
        user: &UserId,
        id: &CredentialId,
        at: Option<UnixTime>,
    ) -> Result<(), VaultError> {
        let (user, id) = (user.clone(), *id);
        let write = move |ledger: &mut Ledger<'_>| {
            Ok(ledger.tx.schedule_refresh(user.as_str(), &id.to_string(), at.map(|at| at.0))?)
        };
        self.change(&AuditContext::system(), write).await
    }

    /// Writes a changed summary, given what the credential was before the refresh, while the secret is the one that the
    /// refresh began with.
    async fn amend(
        &self,
        ticket: &RefreshTicket,
        action: Action,
        who: &AuditContext,
        change: impl Fn(&mut CredentialMetadata, &CredentialMetadata, UnixTime) + Send + Sync + 'static,
    ) -> Result<Option<CredentialMetadata>, VaultError> {
        let ticket = ticket.clone();
        self.must_change(who, move |ledger| {
            let Some((row, before)) = still_there(ledger, &ticket)? else { return Ok(None) };
            let secret = open_secret(ledger, &row, &before)?;
            let mut summary = before.clone();
            change(&mut summary, &ticket.summary, ledger.now);
            rewrite(ledger, &row, &before, &summary, &secret)?;
            ledger.record(action, subject(&summary))?;
            Ok(Some(summary))
        })
        .await
    }
}

/// The credential, where its secret is still the one that the refresh began with. (A new title does not touch it.)
fn still_there(
    ledger: &Ledger<'_>,
    ticket: &RefreshTicket,
) -> Result<Option<(CredentialRow, CredentialMetadata)>, VaultError> {
    let of = &ticket.summary;
    let row = ledger.tx.credential(of.user.as_str(), &of.id.to_string())?;
    let Some(row) = row.filter(|row| row.secret_revision == ticket.revision) else { return Ok(None) };
    let summary = open_summary(ledger.keyring, &row)?;
    Ok(Some((row, summary)))
}

/// Puts tokens that no credential has any use for into the revocation queue, unless revoking them would end a grant on
/// which a credential hangs: the one that was connected again meanwhile, say.
pub(in crate::vault) fn discard(
    ledger: &mut Ledger<'_>,
    of: &CredentialMetadata,
    tokens: &Tokens,
    revocation: &RevocationScope,
    retry_for: Duration,
) -> Result<(), VaultError> {
    let revokes = match revocation {
        RevocationScope::Never => false,
        RevocationScope::Token => true,
        RevocationScope::UnlessShared(among) => !is_shared(ledger, of, among, None)?,
    };
    if revokes {
        queue::queue(ledger, of, tokens.clone(), retry_for)?;
    }
    Ok(())
}
