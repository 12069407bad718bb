//! Credentials: stored, listed, read and replaced. Each is two sealed records, of which lists open the summary alone.

use super::shared_grant::{RevocationScope, discard};
use std::time::Duration;

use super::credential_record::{new_records, open_secret, open_summary, rewrite, subject, summary_of};
use super::metadata::{AdditionalToken, CredentialMetadata, CredentialStatus, NewCredential};
use super::read::Credentials;
use crate::id::CredentialId;
use crate::vault::error::VaultError;
use crate::vault::revocations::queue::{self};
use crate::vault::secrets::credential_secret::CredentialSecret;
use crate::vault::txn::audit_context::AuditContext;
use crate::vault::txn::audit_row::Action;
use crate::vault::txn::write_txn::WriteTxn;
use crate::vault::users;

/// Which credential is to be replaced, and what is to become of tokens that are not kept.
#[derive(Clone, Debug)]
pub struct Replacement {
    /// Which one.
    pub id: CredentialId,
    /// Whether it may become one of another account, or of one that is not known.
    pub any_account: bool,
    /// What a revocation means at this provider.
    pub revocation: RevocationScope,
    /// For how long the queue may keep tokens.
    pub retry_for: Duration,
}

/// What came of it.
#[derive(Debug)]
pub enum ReplaceOutcome {
    /// This is the credential now.
    Done(Box<CredentialMetadata>),
    /// The user has none of that id, provider and kind, or it is damaged: nobody knows whose account it was of.
    Absent,
    /// The new grant is not of the credential's account, or nobody knows whose it is; nothing was changed.
    OtherAccount {
        /// Whether it is known whose it is.
        known: bool,
    },
}

impl Credentials<'_> {
    /// Stores a credential; the user comes into being with the first.
    pub async fn insert(self, new: NewCredential, who: &AuditContext) -> Result<CredentialMetadata, VaultError> {
        let id = self.core.ids.credential();
        self.core.write(who, move |txn| insert(txn, id, &new, None)).await
    }

    /// Gives a credential a new secret with all that goes with it, and makes it active again. Its id and its title stay.
    ///
    /// Where the new grant has no refresh token, and is of the same account and client, that of the old one stays: some
    /// servers give one only the first time. Otherwise the old tokens go into the revocation queue, where they can be ended
    /// alone. Of a grant that is refused the new tokens go there, unless a credential hangs on it.
    pub async fn replace(
        self,
        how: Replacement,
        new: NewCredential,
        who: &AuditContext,
    ) -> Result<ReplaceOutcome, VaultError> {
        self.core.write_critical(who, move |txn| replace(txn, &how, new.clone(), None)).await
    }
}

/// Adds a credential under this id; one with a further token of a login beside the one with the first.
pub(in crate::vault) fn insert(
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

/// See [`Vault::replace_credential`].
pub(in crate::vault) fn replace(
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
        if how.refuses(&before, summary.account.as_deref()) {
            discard(txn, &summary, tokens, &how.revocation, how.retry_for)?;
            return Ok(ReplaceOutcome::OtherAccount { known: summary.account.is_some() });
        }
        let same = before.status == CredentialStatus::Active
            && before.account.is_some()
            && (&before.account, &before.client_id) == (&summary.account, &summary.client_id);
        if tokens.refresh_token.is_none() && same {
            tokens.refresh_token = old_tokens.refresh_token;
            summary.refreshing.possible = Some(tokens.refresh_token.is_some());
            summary.refreshing.restores = before.refreshing.restores;
        } else if how.revocation == RevocationScope::Token {
            queue::enqueue(txn, before.revoked(), old_tokens, how.retry_for)?;
        }
    }
    summary.title.clone_from(&before.title);
    summary.origin.clone_from(&before.origin);
    summary.last_used_at = before.last_used_at;
    rewrite(txn, &old, &before, &summary, &new.material)?;
    txn.record(Action::CredentialReplace, subject(&summary))?;
    Ok(ReplaceOutcome::Done(Box::new(summary)))
}

impl Replacement {
    /// Whether the credential may not become one of this account.
    pub(in crate::vault) fn refuses(&self, before: &CredentialMetadata, account: Option<&str>) -> bool {
        !self.any_account && before.account.is_some() && before.account.as_deref() != account
    }
}
