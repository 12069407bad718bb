//! Storing and replacing credentials. Each has two sealed records; lists open the metadata only.

use super::shared_grant::{RevocationScope, discard, is_shared, may_share_grant};
use std::time::Duration;

use super::credential_record::{new_records, open_secret, open_summary, rewrite, subject, summary_of};
use super::metadata::{AdditionalToken, CredentialMetadata, CredentialStatus, Exportable, NewCredential};
use super::quota_check;
use super::read::Credentials;
use super::refresh_state::RefreshState;
use crate::id::{CredentialId, UserId};
use crate::store::Usage;
use crate::vault::approvals::store as approvals;
use crate::vault::error::VaultError;
use crate::vault::revocations::queue;
use crate::vault::revocations::queued_revocation::QueuedRevocation;
use crate::vault::secrets::credential_secret::{CredentialSecret, Tokens};
use crate::vault::txn::audit_context::AuditContext;
use crate::vault::txn::audit_row::Action;
use crate::vault::txn::write_txn::WriteTxn;
use crate::vault::users::{self, LogPosition};

/// The credential to replace, and the treatment of unused tokens.
#[derive(Clone, Debug)]
pub struct Replacement {
    /// The credential.
    pub id: CredentialId,
    /// True if it may change to another account or server, or to an unknown account.
    pub any_account: bool,
    /// The effect of a revocation at this provider.
    pub revocation: RevocationScope,
    /// Time for which the queue may keep tokens.
    pub retry_for: Duration,
}

/// The result of a replacement.
pub enum ReplaceOutcome {
    /// The new metadata.
    Done(Box<CredentialMetadata>),
    /// The user has no such credential of that provider and kind, or it is damaged, so its
    /// account is unknown.
    Absent,
    /// The new grant belongs to another account, or its account is unknown. Nothing was
    /// changed.
    OtherAccount {
        /// True if the account is known.
        known: bool,
        /// The queued revocation of the new tokens.
        revocation: Option<Box<QueuedRevocation>>,
    },
    /// The new grant was issued by another server. Nothing was changed; holds the queued revocation
    /// of the new tokens.
    OtherServer(Option<Box<QueuedRevocation>>),
}

impl Credentials<'_> {
    /// Stores a credential, and creates the user if needed.
    pub async fn insert(self, new: NewCredential, who: &AuditContext) -> Result<CredentialMetadata, VaultError> {
        self.insert_since(new, None, who).await
    }

    /// Like [`Self::insert`], but fails if the user was removed after `since`.
    pub async fn insert_since(
        self,
        new: NewCredential,
        since: Option<LogPosition>,
        who: &AuditContext,
    ) -> Result<CredentialMetadata, VaultError> {
        let (id, quota) = (self.core.ids.credential(), self.quota);
        self.core
            .write(who, move |txn| {
                if users::was_removed(txn, &new.user, since)? {
                    return Err(VaultError::UserRemoved);
                }
                // Before any change: a failed job without changes costs the others of its group nothing.
                if quota.is_some() {
                    quota_check::check(txn.tx, &new.user, quota, quota_check::added_by(txn, &new, (id, false))?)?;
                }
                insert(txn, id, &new, None)
            })
            .await
    }

    /// Fails if the user has no room for a new credential.
    pub fn check_room(self, user: &UserId) -> Result<(), VaultError> {
        let change = Usage::of_credentials(1, 1);
        self.core.read(|view, _| quota_check::check(view, user, self.quota, change))
    }

    /// Replaces the secret and the metadata of a credential, and makes it active again. Id and
    /// title stay.
    ///
    /// If the new grant has no refresh token, and belongs to the same account and client, the
    /// old refresh token stays, unless it may be bound to a key: some servers issue one only the
    /// first time. Otherwise the old tokens are queued for revocation, or kept if that could end the new grant. If the replacement is
    /// rejected, the new tokens are queued, unless a credential depends on their grant.
    pub async fn replace(
        self,
        how: Replacement,
        new: NewCredential,
        who: &AuditContext,
    ) -> Result<ReplaceOutcome, VaultError> {
        self.core.write_critical(who, move |txn| replace(txn, &how, new.clone(), None)).await
    }
}

/// Adds a credential with this id. `beside` marks an additional token of a login.
pub(crate) fn insert(
    txn: &mut WriteTxn<'_>,
    id: CredentialId,
    new: &NewCredential,
    beside: Option<AdditionalToken>,
) -> Result<CredentialMetadata, VaultError> {
    users::ensure(txn, &new.user)?;
    let mut summary = CredentialMetadata { beside, ..summary_of(id, new, txn.now, txn.now) };
    summary.refreshing.restores = txn.manifest().restores;
    new_records(txn, &summary, &new.material)?;
    txn.record(Action::CredentialCreate, subject(&summary))?;
    Ok(summary)
}

/// See [`Credentials::replace`].
pub(crate) fn replace(
    txn: &mut WriteTxn<'_>,
    how: &Replacement,
    mut new: NewCredential,
    beside: Option<AdditionalToken>,
) -> Result<ReplaceOutcome, VaultError> {
    let Some(old) = txn.tx.credential(new.user.as_str(), &how.id.to_string())? else {
        return Ok(ReplaceOutcome::Absent);
    };
    if old.provider != new.provider.as_str() || old.kind != new.material.kind().name() {
        return Ok(ReplaceOutcome::Absent);
    }
    let opened = open_summary(txn.keyring, &old)
        .and_then(|before| open_secret(txn, &old, &before).map(|material| (before, material)));
    let (before, old_material) = match opened {
        Err(error) if error.is_damage() => return Ok(ReplaceOutcome::Absent),
        opened => opened?,
    };
    let mut summary = CredentialMetadata { beside, ..summary_of(how.id, &new, before.created_at, txn.now) };
    summary.refreshing.restores = txn.manifest().restores;
    if let (CredentialSecret::OAuth2(tokens), CredentialSecret::OAuth2(old_tokens)) = (&mut new.material, old_material)
    {
        let same_server = old_tokens.issued_by == tokens.issued_by;
        let moved = !how.any_account && old_tokens.issued_by.is_some() && !same_server;
        if moved || how.refuses(&before, summary.account.as_deref()) {
            let revocation = discard(txn, (&summary, tokens), &how.revocation, None, how.retry_for)?.map(Box::new);
            if moved {
                return Ok(ReplaceOutcome::OtherServer(revocation));
            }
            return Ok(ReplaceOutcome::OtherAccount { known: summary.account.is_some(), revocation });
        }
        let same = before.status == CredentialStatus::Active
            && before.account.is_some()
            // Another server must not get this one's refresh token.
            && same_server
            // The refresh token may be bound to the old login's key (RFC 9449 §5).
            && old_tokens.dpop_key.is_none()
            && (&before.account, &before.client_id) == (&summary.account, &summary.client_id);
        if tokens.refresh_token.is_none() && same && old_tokens.refresh_token.is_some() {
            tokens.refresh_token = old_tokens.refresh_token;
            tokens.refresh_expires_at = tokens.refresh_expires_at.or(old_tokens.refresh_expires_at);
            // Some providers compare it with the login that the refresh token comes from.
            tokens.redirect_uri = old_tokens.redirect_uri;
            tokens.replaced = old_tokens.replaced;
            let restores = before.refreshing.restores;
            // The background finds the time that fits the new tokens.
            summary.refreshing = RefreshState { restores, ..RefreshState::after(tokens, Some(txn.now)) };
        } else if !old_tokens.overlaps(tokens) {
            supersede(txn, how, (&before, old_tokens), (&summary, tokens))?;
        } else {
            tokens.replaced = old_tokens.replaced;
        }
    }
    summary.title.clone_from(&before.title);
    // The new secret of a credential that is not exportable is not exportable either.
    summary.exportable = Exportable(before.exportable.0 && new.exportable.0);
    summary.origin.clone_from(&before.origin);
    summary.last_used_at = before.last_used_at;
    rewrite(txn, &old, &before, &summary, &new.material)?;
    if before.account.is_none() || before.account != summary.account {
        approvals::remove_of_credential(txn, &old.id)?;
    }
    txn.record(Action::CredentialReplace, subject(&summary))?;
    Ok(ReplaceOutcome::Done(Box::new(summary)))
}

/// Queues tokens that are replaced for revocation, or keeps them beside the new ones if a revocation
/// now would end those too. The provider may end no more than the tokens that it is sent, so that
/// they have to be sent with the others.
fn supersede(
    txn: &mut WriteTxn<'_>,
    how: &Replacement,
    (before, old): (&CredentialMetadata, Tokens),
    (after, new): (&CredentialMetadata, &mut Tokens),
) -> Result<(), VaultError> {
    let revokes = match &how.revocation {
        RevocationScope::Never => false,
        RevocationScope::Token => true,
        RevocationScope::UnlessShared(_) if old.issued_by == new.issued_by && may_share_grant(before, after) => {
            // The tokens of a credential that needs re-authorization have ended.
            if before.status == CredentialStatus::Active {
                new.keep_replaced(old);
            }
            return Ok(());
        }
        RevocationScope::UnlessShared(among) => !is_shared(txn, before, among, Some(&before.id))?,
    };
    if revokes {
        queue::enqueue(txn, before.revoked(), old, how.retry_for)?;
    }
    Ok(())
}

impl Replacement {
    /// Returns true if the credential may not change to this account.
    pub(crate) fn refuses(&self, before: &CredentialMetadata, account: Option<&str>) -> bool {
        !self.any_account && before.account.is_some() && before.account.as_deref() != account
    }
}
