//! Grants of API keys: lookup, addition and removal. A change counts for the next request.

use std::sync::Arc;

use super::api_key::ApiKey;
use super::api_key_record::{read, rewrite};
use super::audit_terms::grant_terms;
use super::key_grants::{GrantRefused, NewGrant};
use super::store::ApiKeys;
use crate::id::{ApiKeyId, GrantId};
use crate::policy::KeyGrant;
use crate::vault::error::VaultError;
use crate::vault::txn::audit_context::AuditContext;
use crate::vault::txn::audit_row::{Action, Subject};

impl ApiKeys<'_> {
    /// Returns the API keys as they are now, oldest first, including revoked and expired ones. They
    /// are read from the file only after a change.
    pub fn current(self) -> Result<Vec<Arc<ApiKey>>, VaultError> {
        Ok(self.cache.key_table(self.core, self.state)?.by_id.values().cloned().collect())
    }

    /// Returns the API key as it is now.
    pub fn get(self, id: ApiKeyId) -> Result<Option<Arc<ApiKey>>, VaultError> {
        Ok(self.cache.key_table(self.core, self.state)?.by_id.get(&id).cloned())
    }

    /// Adds a grant to an API key.
    pub async fn add_grant(
        self,
        new: NewGrant,
        who: &AuditContext,
    ) -> Result<Result<KeyGrant, GrantRefused>, VaultError> {
        let new = new.with_id(self.core.ids.grant());
        self.core
            .write_durable(who, move |txn| {
                let Some(row) = txn.tx.api_key(&new.key.to_string())? else {
                    return Ok(Err(GrantRefused::Absent(new.key)));
                };
                let key = read(&row, txn.keyring)?;
                if key.revoked_at.is_some() {
                    return Ok(Err(GrantRefused::Revoked(key.id)));
                }
                let grants = match key.grants.with(new.clone()) {
                    Ok(grants) => grants.into(),
                    Err(refused) => return Ok(Err(refused)),
                };
                let key = ApiKey { grants, ..key };
                if key.evades_grants() {
                    return Ok(Err(GrantRefused::HoldsUse(key.id)));
                }
                rewrite(txn, &row, &key)?;
                txn.record(Action::GrantAdd, subject(&key, &grant_terms(&new)))?;
                Ok(Ok(new.clone()))
            })
            .await
    }

    /// Removes a grant of an API key; returns false if the key does not have it. The key stays
    /// limited to its grants.
    pub async fn remove_grant(self, key: ApiKeyId, id: GrantId, who: &AuditContext) -> Result<bool, VaultError> {
        self.core
            .write_durable(who, move |txn| {
                let Some(row) = txn.tx.api_key(&key.to_string())? else { return Ok(false) };
                let key = read(&row, txn.keyring)?;
                let Some(grant) = key.grants.grants.iter().find(|grant| grant.id == id) else { return Ok(false) };
                let terms = grant_terms(grant);
                let grants = key.grants.without(id).into();
                let key = ApiKey { grants, ..key };
                rewrite(txn, &row, &key)?;
                txn.record(Action::GrantRemove, subject(&key, &terms))?;
                Ok(true)
            })
            .await
    }
}

fn subject<'a>(key: &'a ApiKey, terms: &'a str) -> Subject<'a> {
    Subject { user: key.holder.user(), api_key: Some(&key.id), key_terms: Some(terms), ..Subject::default() }
}
