//! Reading credentials: one, a list, or a secret. Lists open the metadata records only.

use super::credential_record::{open_secret, open_secret_in, open_summary, subject};
use super::metadata::{CredentialMetadata, CredentialPage};
use super::quota::Quota;
use super::summary_cache::{SummaryCache, SummaryList};
use crate::clock::UnixTime;
use crate::id::{CredentialId, ProviderName, UserId};
use crate::store::CheckedState;
use crate::vault::api_keys::limits::KeyLimits;
use crate::vault::error::VaultError;
use crate::vault::secrets::credential_secret::{CredentialSecret, Tokens};
use crate::vault::txn::audit_context::{AuditContext, ProxiedRequest};
use crate::vault::txn::audit_row::{Action, Subject};
use crate::vault::txn::core::VaultCore;
use bytes::Bytes;
use std::sync::Arc;

/// The use of a secret that is read, for the audit log.
#[derive(Clone, Debug)]
pub enum SecretUse {
    /// The caller receives it.
    Given,
    /// It is sent to the provider in this request, and the caller does not see it.
    Sent(ProxiedRequest),
}

/// The credentials of a vault.
#[derive(Clone, Copy)]
pub struct Credentials<'v> {
    pub(crate) core: &'v VaultCore,
    pub(crate) state: Option<&'v CheckedState>,
    pub(crate) quota: Option<Quota>,
}

impl<'v> Credentials<'v> {
    /// Lets [`Self::get`] and [`Self::list_rendered`] answer from this state. The caller must not
    /// have written since it was checked.
    pub(crate) fn at(self, state: &'v CheckedState) -> Self {
        Self { state: Some(state), ..self }
    }

    /// Lets writes of these credentials succeed only within this quota; `None`: without one.
    pub fn within(self, quota: Option<Quota>) -> Self {
        Self { quota, ..self }
    }

    /// Returns one credential of a user, without its secret.
    pub fn get(self, user: &UserId, id: &CredentialId) -> Result<Option<CredentialMetadata>, VaultError> {
        let find = |cache: &mut SummaryCache| (cache.find(user.as_str(), None), cache.find_alone(user, id));
        match self.core.store.cached(self.state, find)? {
            (Some(list), _) => return Ok(list.all.iter().find(|metadata| metadata.id == *id).cloned()),
            (None, Some(metadata)) => return Ok(Some(metadata)),
            (None, None) => {}
        }
        self.core.read(|view, keyring| {
            let Some(row) = view.credential(user.as_str(), &id.to_string())? else { return Ok(None) };
            let metadata = open_summary(keyring, &row)?;
            view.cached(|cache: &mut SummaryCache| cache.keep_alone(&metadata, row.summary.len()))?;
            Ok(Some(metadata))
        })
    }

    /// Lists a user's credentials without their secrets, oldest first.
    pub fn list(
        self,
        user: &UserId,
        provider: Option<&ProviderName>,
        page: CredentialPage,
    ) -> Result<Vec<CredentialMetadata>, VaultError> {
        let after = page.after.map_or_else(String::new, |id| id.to_string());
        self.core.read(|view, keyring| {
            let rows = view.credentials(user.as_str(), provider.map(ProviderName::as_str), &after, page.limit)?;
            rows.iter().map(|row| open_summary(keyring, row)).collect()
        })
    }

    /// Lists like [`Self::list`] those credentials that `limits` allow. A damaged credential is an
    /// error in its place.
    pub fn list_each(
        self,
        user: &UserId,
        limits: &KeyLimits,
        provider: Option<&ProviderName>,
        page: CredentialPage,
    ) -> Result<Vec<Result<CredentialMetadata, VaultError>>, VaultError> {
        let after = page.after.map_or_else(String::new, |id| id.to_string());
        self.core.read(|view, keyring| {
            let name = provider.map(ProviderName::as_str);
            let rows = if limits.allow_all_of(provider) {
                view.credentials_each(user.as_str(), name, &after, page.limit)?
            } else if name.is_some_and(|name| !limits.allow_provider(name)) {
                Vec::new()
            } else {
                let providers = provider.map_or(limits.providers(), std::slice::from_ref);
                let within = (spaced(providers), spaced(limits.credentials()));
                view.credentials_within(user.as_str(), (&within.0, &within.1), &after, page.limit)?
            };
            let read = |row| match row {
                Ok(row) => open_summary(keyring, &row),
                Err((id, _)) => {
                    Err(VaultError::DamagedRow { table: "credential", id, what: "the row is not as it was written" })
                }
            };
            Ok(rows.into_iter().map(read).collect())
        })
    }

    /// Returns a whole list as `show` writes it, from the cache if nothing was committed and nothing
    /// expired since; `None` if it has more than `limit` credentials. Fails if one is damaged.
    pub fn list_rendered(
        self,
        user: &UserId,
        provider: Option<&ProviderName>,
        limit: u32,
        now: UnixTime,
        show: impl FnOnce(&[CredentialMetadata]) -> Vec<u8>,
    ) -> Result<Option<Bytes>, VaultError> {
        let find = |cache: &mut SummaryCache| cache.find(user.as_str(), provider);
        let cached = self.core.store.cached(self.state, find)?;
        let list = cached.map_or_else(|| self.read_list(user, provider, limit), |list| Ok(Some(list)))?;
        let whole = list.filter(|list| list.all.len() <= limit as usize);
        Ok(whole.map(|list| list.shown(now, show)))
    }

    fn read_list(
        self,
        user: &UserId,
        provider: Option<&ProviderName>,
        limit: u32,
    ) -> Result<Option<Arc<SummaryList>>, VaultError> {
        self.core.read(|view, keyring| {
            let rows = view.credentials(user.as_str(), provider.map(ProviderName::as_str), "", Some(limit + 1))?;
            if rows.len() > limit as usize {
                return Ok(None);
            }
            let sealed_bytes = rows.iter().map(|row| row.summary.len()).sum();
            let all = rows.iter().map(|row| open_summary(keyring, row)).collect::<Result<_, _>>()?;
            let list = Arc::new(SummaryList::new(provider, all, sealed_bytes));
            view.cached(|cache: &mut SummaryCache| cache.keep(user.as_str(), &list))?;
            Ok(Some(list))
        })
    }

    /// Returns a credential with its secret. The audit row of the read is on disk before this
    /// returns.
    pub async fn read_secret(
        self,
        user: &UserId,
        id: &CredentialId,
        who: &AuditContext,
    ) -> Result<Option<(CredentialMetadata, CredentialSecret)>, VaultError> {
        let read = self.read_secret_if(user, id, who, SecretUse::Given, |_| true).await?;
        Ok(read.and_then(|(summary, material)| Some((summary, material?))))
    }

    /// Like [`Self::read_secret`], if `wanted` accepts the current metadata. Otherwise only the
    /// metadata is returned, and nothing is written.
    pub async fn read_secret_if(
        self,
        user: &UserId,
        id: &CredentialId,
        who: &AuditContext,
        purpose: SecretUse,
        wanted: impl Fn(&CredentialMetadata) -> bool + Send + Sync + 'static,
    ) -> Result<Option<(CredentialMetadata, Option<CredentialSecret>)>, VaultError> {
        let (user, id) = (user.clone(), *id);
        self.core
            .write_critical(who, move |txn| {
                let Some(row) = txn.tx.credential(user.as_str(), &id.to_string())? else { return Ok(None) };
                let mut summary = open_summary(txn.keyring, &row)?;
                if !wanted(&summary) {
                    return Ok(Some((summary, None)));
                }
                let material = open_secret(txn, &row, &summary)?;
                summary.last_used_at = Some(txn.now);
                txn.tx.touch_credential(&row.user, &row.id, txn.now.0)?;
                match &purpose {
                    SecretUse::Given => txn.record(Action::CredentialRead, subject(&summary))?,
                    SecretUse::Sent(request) => {
                        let subject = Subject { request: Some(request), ..subject(&summary) };
                        txn.record(Action::ProxyRequest, subject)?;
                    }
                }
                Ok(Some((summary, Some(material))))
            })
            .await
    }
}

impl Credentials<'_> {
    /// Returns what `look` finds in the tokens of an OAuth credential. No audit row is written, so it
    /// must not be a secret.
    pub fn inspect_tokens<T>(
        self,
        user: &UserId,
        id: &CredentialId,
        look: impl Fn(&Tokens) -> T,
    ) -> Result<Option<T>, VaultError> {
        self.core.read(|view, keyring| {
            let Some(row) = view.credential(user.as_str(), &id.to_string())? else { return Ok(None) };
            let summary = open_summary(keyring, &row)?;
            match open_secret_in(view, keyring, &row, &summary)? {
                CredentialSecret::OAuth2(tokens) => Ok(Some(look(&tokens))),
                _ => Ok(None),
            }
        })
    }
}

/// Returns the items between spaces; empty for an empty list.
fn spaced<T: ToString>(items: &[T]) -> String {
    items
        .iter()
        .map(|item| format!(" {}", item.to_string()))
        .chain((!items.is_empty()).then(|| " ".to_owned()))
        .collect()
}
