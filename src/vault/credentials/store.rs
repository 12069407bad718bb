//! Credentials: stored, listed, read and replaced. Each is two sealed records, of which lists open the summary alone.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::credential_record::{new_records, open_secret, open_summary, rewrite, subject, summary_of};
use super::metadata::{AdditionalToken, CredentialMetadata, CredentialPage, CredentialStatus, NewCredential};
use super::refresh::discard;
use super::summary_cache::{List, SummaryCache};
use crate::id::{CredentialId, ProviderName, UserId};
use crate::vault::error::VaultError;
use crate::vault::open::Vault;
use crate::vault::revocations::queue::{self, RevocationScope};
use crate::vault::secrets::credential_secret::CredentialSecret;
use crate::vault::txn::audit_context::AuditContext;
use crate::vault::txn::audit_row::Action;
use crate::vault::txn::write_txn::Ledger;
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

impl Vault {
    /// Stores a credential; the user comes into being with the first.
    pub async fn insert_credential(
        &self,
        new: NewCredential,
        who: &AuditContext,
    ) -> Result<CredentialMetadata, VaultError> {
        let id = self.inner.ids.credential();
        self.change(who, move |ledger| insert(ledger, id, &new, None)).await
    }

    /// Gives a credential a new secret with all that goes with it, and makes it active again. Its id and its title stay.
    ///
    /// Where the new grant has no refresh token, and is of the same account and client, that of the old one stays: some
    /// servers give one only the first time. Otherwise the old tokens go into the revocation queue, where they can be ended
    /// alone. Of a grant that is refused the new tokens go there, unless a credential hangs on it.
    pub async fn replace_credential(
        &self,
        how: Replacement,
        new: NewCredential,
        who: &AuditContext,
    ) -> Result<ReplaceOutcome, VaultError> {
        self.must_change(who, move |ledger| replace(ledger, &how, new.clone(), None)).await
    }

    /// Returns one credential of a user, without its secret.
    pub fn credential(&self, user: &UserId, id: &CredentialId) -> Result<Option<CredentialMetadata>, VaultError> {
        let find = |cache: &mut SummaryCache| cache.find(user.as_str(), None);
        if let Some(list) = self.inner.store.cached(find)? {
            return Ok(list.all.iter().find(|metadata| metadata.id == *id).cloned());
        }
        self.look(|view, keyring| {
            let row = view.credential(user.as_str(), &id.to_string())?;
            row.map(|row| open_summary(keyring, &row)).transpose()
        })
    }

    /// A user's credentials without their secrets, oldest first.
    pub fn list(
        &self,
        user: &UserId,
        provider: Option<&ProviderName>,
        page: CredentialPage,
    ) -> Result<Vec<CredentialMetadata>, VaultError> {
        let after = page.after.map_or_else(String::new, |id| id.to_string());
        self.look(|view, keyring| {
            let rows = view.credentials(user.as_str(), provider.map(ProviderName::as_str), &after, page.limit)?;
            rows.iter().map(|row| open_summary(keyring, row)).collect()
        })
    }

    /// Calls `each` with a user's credentials without their secrets, oldest first. A damaged one is an error in its place.
    pub fn list_each(
        &self,
        user: &UserId,
        provider: Option<&ProviderName>,
        page: CredentialPage,
        mut each: impl FnMut(Result<&CredentialMetadata, VaultError>),
    ) -> Result<(), VaultError> {
        let after = page.after.map_or_else(String::new, |id| id.to_string());
        let rows = self.look(|view, keyring| {
            let rows = view.credentials_each(user.as_str(), provider.map(ProviderName::as_str), &after, page.limit)?;
            let read = |row| match row {
                Ok(row) => open_summary(keyring, &row),
                Err((id, _)) => {
                    Err(VaultError::DamagedRow { table: "credential", id, what: "the row is not as it was written" })
                }
            };
            Ok(rows.into_iter().map(read).collect::<Vec<_>>())
        })?;
        for row in rows {
            match row {
                Ok(summary) => each(Ok(&summary)),
                Err(error) => each(Err(error)),
            }
        }
        Ok(())
    }

    /// Returns a whole list as `show` writes it, from the cache if nothing was committed since. Fails if one is damaged.
    pub fn list_shown(
        &self,
        user: &UserId,
        provider: Option<&ProviderName>,
        show: impl FnOnce(&[CredentialMetadata]) -> Vec<u8>,
    ) -> Result<Bytes, VaultError> {
        let cached = self.inner.store.cached(|cache: &mut SummaryCache| cache.find(user.as_str(), provider))?;
        let list = cached.map_or_else(|| self.read_list(user, provider), Ok)?;
        Ok(list.shown(show))
    }

    fn read_list(&self, user: &UserId, provider: Option<&ProviderName>) -> Result<Arc<List>, VaultError> {
        self.look(|view, keyring| {
            let rows = view.credentials(user.as_str(), provider.map(ProviderName::as_str), "", None)?;
            let sealed_bytes = rows.iter().map(|row| row.summary.len()).sum();
            let all = rows.iter().map(|row| open_summary(keyring, row)).collect::<Result<_, _>>()?;
            let list = Arc::new(List::new(provider, all, sealed_bytes));
            view.cached(|cache: &mut SummaryCache| cache.keep(user.as_str(), &list))?;
            Ok(list)
        })
    }

    /// A credential with its secret. That it was read is in the audit log, on disk, before this returns.
    pub async fn material(
        &self,
        user: &UserId,
        id: &CredentialId,
        who: &AuditContext,
    ) -> Result<Option<(CredentialMetadata, CredentialSecret)>, VaultError> {
        let read = self.material_if(user, id, who, |_| true).await?;
        Ok(read.and_then(|(summary, material)| Some((summary, material?))))
    }

    /// The same where the summary, as it is at that moment, is `wanted`; else the summary alone, and nothing is written.
    pub async fn material_if(
        &self,
        user: &UserId,
        id: &CredentialId,
        who: &AuditContext,
        wanted: impl Fn(&CredentialMetadata) -> bool + Send + Sync + 'static,
    ) -> Result<Option<(CredentialMetadata, Option<CredentialSecret>)>, VaultError> {
        let (user, id) = (user.clone(), *id);
        self.must_change(who, move |ledger| {
            let Some(row) = ledger.tx.credential(user.as_str(), &id.to_string())? else { return Ok(None) };
            let mut summary = open_summary(ledger.keyring, &row)?;
            if !wanted(&summary) {
                return Ok(Some((summary, None)));
            }
            let material = open_secret(ledger, &row, &summary)?;
            summary.last_used_at = Some(ledger.now);
            ledger.tx.touch_credential(&row.user, &row.id, ledger.now.0)?;
            ledger.record(Action::CredentialRead, subject(&summary))?;
            Ok(Some((summary, Some(material))))
        })
        .await
    }
}

/// Adds a credential under this id; one with a further token of a login beside the one with the first.
pub(in crate::vault) fn insert(
    ledger: &mut Ledger<'_>,
    id: CredentialId,
    new: &NewCredential,
    beside: Option<AdditionalToken>,
) -> Result<CredentialMetadata, VaultError> {
    users::ensure(ledger, &new.user)?;
    let mut summary = CredentialMetadata { beside, ..summary_of(id, new, ledger.now, ledger.now) };
    summary.refreshing.restores = ledger.restores();
    new_records(ledger, &summary, &new.material)?;
    ledger.record(Action::CredentialCreate, subject(&summary))?;
    Ok(summary)
}

/// See [`Vault::replace_credential`].
pub(in crate::vault) fn replace(
    ledger: &mut Ledger<'_>,
    how: &Replacement,
    mut new: NewCredential,
    beside: Option<AdditionalToken>,
) -> Result<ReplaceOutcome, VaultError> {
    let Some(old) = ledger.tx.credential(new.user.as_str(), &how.id.to_string())? else {
        return Ok(ReplaceOutcome::Absent);
    };
    if old.provider != new.provider.as_str() || old.kind != new.material.kind().name() {
        return Ok(ReplaceOutcome::Absent);
    }
    let opened = open_summary(ledger.keyring, &old)
        .and_then(|before| open_secret(ledger, &old, &before).map(|material| (before, material)));
    let (before, old_material) = match opened {
        Err(error) if error.is_damage() => return Ok(ReplaceOutcome::Absent),
        opened => opened?,
    };
    let mut summary = CredentialMetadata { beside, ..summary_of(how.id, &new, before.created_at, ledger.now) };
    summary.refreshing.restores = ledger.restores();
    if let (CredentialSecret::OAuth2(tokens), CredentialSecret::OAuth2(old_tokens)) = (&mut new.material, old_material)
    {
        if how.refuses(&before, summary.account.as_deref()) {
            discard(ledger, &summary, tokens, &how.revocation, how.retry_for)?;
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
            queue::queue(ledger, &before, old_tokens, how.retry_for)?;
        }
    }
    summary.title.clone_from(&before.title);
    summary.origin.clone_from(&before.origin);
    summary.last_used_at = before.last_used_at;
    rewrite(ledger, &old, &before, &summary, &new.material)?;
    ledger.record(Action::CredentialReplace, subject(&summary))?;
    Ok(ReplaceOutcome::Done(Box::new(summary)))
}

impl Replacement {
    /// Whether the credential may not become one of this account.
    pub(in crate::vault) fn refuses(&self, before: &CredentialMetadata, account: Option<&str>) -> bool {
        !self.any_account && before.account.is_some() && before.account.as_deref() != account
    }
}
