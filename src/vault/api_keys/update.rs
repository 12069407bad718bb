//! Changes of an API key: name, permissions, limits and expiry; not its grants. Its text, id and holder stay.

use super::api_key::{ApiKey, KeyHolder, UserPattern};
use super::api_key_record::{read, rewrite};
use super::audit_terms::changed_terms;
use super::limits::TooManyLimits;
use super::store::ApiKeys;
use super::unmatched::{NeedsProxyPermission, Unmatched};
use crate::clock::UnixTime;
use crate::id::{ApiKeyId, CredentialId, ProviderName};
use crate::permission::Permissions;
use crate::vault::error::VaultError;
use crate::vault::txn::audit_context::AuditContext;
use crate::vault::txn::audit_row::{Action, Subject};

/// The changes of an API key; an absent field stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ApiKeyUpdate {
    /// The name; the empty one removes it.
    pub name: Option<String>,
    /// The users that a service key may name; if empty, all.
    pub users: Option<Vec<UserPattern>>,
    /// The permissions.
    pub permissions: Option<Permissions>,
    /// The providers to which the key is limited; if empty, it is not limited.
    pub providers: Option<Vec<ProviderName>>,
    /// The credentials to which the key is limited; if empty, it is not limited.
    pub credentials: Option<Vec<CredentialId>>,
    /// True if the key may only do what a grant allows.
    pub grants_only: Option<bool>,
    /// The treatment of hosts to which none of its credentials is bound.
    pub unmatched: Option<Unmatched>,
    /// The end; `Some(None)`: never.
    pub expires_at: Option<Option<UnixTime>>,
}

/// Reason why an API key was not changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UpdateRefused {
    /// There is no such API key.
    #[error("there is no API key {0}")]
    Absent(ApiKeyId),
    /// A revoked key stays as it was.
    #[error("API key {0} is revoked and cannot be changed")]
    Revoked(ApiKeyId),
    /// Only a service key has a list of users.
    #[error("API key {0} belongs to one user; only a service key has a list of users")]
    NotService(ApiKeyId),
    /// The key could obtain secrets past its grants.
    #[error(
        "API key {0} may only do what its grants allow, and so cannot hold USE_INTEGRATIONS, which hands out secrets: \
         give it PROXY_INTEGRATIONS instead, or change it with --grants-only=false"
    )]
    GrantsOnly(ApiKeyId),
    /// Too many providers or credentials.
    #[error(transparent)]
    TooMany(#[from] TooManyLimits),
    /// The key may not send requests.
    #[error(transparent)]
    NoProxy(#[from] NeedsProxyPermission),
}

impl ApiKeyUpdate {
    /// Returns the changed key.
    pub fn apply(&self, key: &ApiKey) -> Result<ApiKey, UpdateRefused> {
        if key.revoked_at.is_some() {
            return Err(UpdateRefused::Revoked(key.id));
        }
        let mut changed = key.clone();
        if let Some(name) = &self.name {
            changed.name = Some(name.clone()).filter(|name| !name.is_empty());
        }
        match (&mut changed.holder, &self.users) {
            (_, None) => {}
            (KeyHolder::Service { users }, Some(new)) => users.clone_from(new),
            (KeyHolder::User(_), Some(_)) => return Err(UpdateRefused::NotService(key.id)),
        }
        changed.permissions = self.permissions.unwrap_or(key.permissions);
        changed.limits = key.limits.with(self.providers.clone(), self.credentials.clone())?.into();
        changed.grants = key.grants.with_only(self.grants_only);
        self.unmatched.unwrap_or_default().check(changed.permissions)?;
        let unmatched = self.unmatched.unwrap_or(key.unmatched);
        // A key that gets the permission back does not get its tunnels back.
        changed.unmatched = if unmatched.check(changed.permissions).is_ok() { unmatched } else { Unmatched::Refuse };
        changed.expires_at = self.expires_at.unwrap_or(key.expires_at);
        if changed.evades_grants() { Err(UpdateRefused::GrantsOnly(key.id)) } else { Ok(changed) }
    }
}

impl ApiKeys<'_> {
    /// Changes an API key, for the next request that presents it. An expired key may get a new end.
    pub async fn update(
        self,
        id: ApiKeyId,
        update: ApiKeyUpdate,
        who: &AuditContext,
    ) -> Result<Result<ApiKey, UpdateRefused>, VaultError> {
        self.core
            .write_durable(who, move |txn| {
                let Some(row) = txn.tx.api_key(&id.to_string())? else {
                    return Ok(Err(UpdateRefused::Absent(id)));
                };
                let before = read(&row, txn.keyring)?;
                let after = match update.apply(&before) {
                    Ok(after) => after,
                    Err(refused) => return Ok(Err(refused)),
                };
                rewrite(txn, &row, &after)?;
                let terms = changed_terms(&before, &after);
                let user = after.holder.user();
                let subject = Subject { user, api_key: Some(&id), key_terms: Some(&terms), ..Subject::default() };
                txn.record(Action::KeyUpdate, subject)?;
                Ok(Ok(after))
            })
            .await
    }
}
