//! The API keys of a vault: creation, lookup and revocation.

use super::api_key::{ApiKey, KeyHolder, NewApiKey};
use super::api_key_cache::ApiKeyCache;
use super::api_key_record::{item, load, lookup, read, rewrite, row_of};
use super::audit_terms::limit_terms;
use crate::id::ApiKeyId;
use crate::secret::Secret;
use crate::store::CheckedState;
use crate::vault::approvals::store as approvals;
use crate::vault::crypto::key_encoding;
use crate::vault::error::VaultError;
use crate::vault::txn::audit_context::AuditContext;
use crate::vault::txn::audit_row::{Action, Subject};
use crate::vault::txn::core::VaultCore;
use crate::vault::txn::manifest::Manifest;
use std::sync::Arc;
use subtle::ConstantTimeEq;

const PREFIX: &str = "srk_";

/// The API keys of a vault.
#[derive(Clone, Copy)]
pub struct ApiKeys<'v> {
    pub(crate) core: &'v VaultCore,
    pub(crate) cache: &'v ApiKeyCache,
    pub(crate) state: Option<&'v CheckedState>,
}

impl<'v> ApiKeys<'v> {
    /// Lets [`Self::authenticate`] answer from this state.
    pub(crate) fn at(self, state: &'v CheckedState) -> Self {
        Self { state: Some(state), ..self }
    }

    /// Returns the API key that was presented, if it is valid. For an unknown, malformed,
    /// revoked or expired key it returns `None`, after the same work.
    pub fn authenticate(self, presented: &str) -> Result<Option<Arc<ApiKey>>, VaultError> {
        let table = self.cache.key_table(self.core, self.state)?;
        let keyring = self.core.keyring();
        // A malformed key is hashed too, as a well-formed key that does not exist, so that
        // the time does not differ.
        let well_formed = key_encoding::read(PREFIX, presented).is_ok();
        let hashed = if well_formed { presented } else { "srk_0000000000000000000000000000000000000000000000000" };
        let mut found = None;
        for key in keyring.api_key.all.values() {
            let lookup = lookup(key, hashed);
            let candidate = table.by_lookup.get_key_value(&lookup);
            let stored = candidate.map_or(&[0; 32], |(stored, _)| stored);
            if bool::from(stored.ct_eq(&lookup)) && well_formed {
                found = candidate.map(|(_, key)| key.clone());
            }
        }
        let now = self.core.clock.now();
        Ok(found.filter(|key| key.is_live(now)))
    }

    /// Creates an API key. Its text is returned here and never again.
    pub async fn create(self, new: NewApiKey, who: &AuditContext) -> Result<(ApiKey, Secret), VaultError> {
        let secret = key_encoding::write(PREFIX, &self.core.random.bytes());
        let key = ApiKey {
            id: self.core.ids.api_key(),
            name: new.name,
            holder: new.holder,
            permissions: new.permissions,
            limits: Arc::new(new.limits),
            grants: Arc::default(),
            unmatched: new.unmatched,
            created_at: self.core.clock.now(),
            expires_at: new.expires_at,
            revoked_at: None,
        };
        let (made, text) = (key.clone(), secret.clone());
        let stored = self.core.write(who, move |txn| {
            let (version, key) = (txn.keyring.api_key.version, txn.keyring.api_key.current());
            let row = row_of(&made, lookup(key, text.expose()), version, txn.keyring)?;
            if let KeyHolder::User(user) = &made.holder {
                crate::vault::users::ensure(txn, user)?;
            }
            txn.tx.insert_api_key(&row)?;
            let item = item(txn.keyring, &row)?;
            txn.manifest_mut().api_keys.add(&item);
            let user = made.holder.user();
            let terms = limit_terms(&made);
            let subject = Subject { user, api_key: Some(&made.id), key_terms: Some(&terms), ..Subject::default() };
            txn.record(Action::KeyCreate, subject)
        });
        stored.await?;
        Ok((key, secret))
    }

    /// Lists all API keys, oldest first, including revoked and expired ones.
    pub fn list(self) -> Result<Vec<ApiKey>, VaultError> {
        self.core.read(|view, keyring| {
            let manifest = Manifest::load(view, keyring)?;
            Ok(load(view, keyring, &manifest)?.into_iter().map(|(_, key)| key).collect())
        })
    }

    /// Revokes an API key; returns false if it does not exist or was already revoked.
    pub async fn revoke(self, id: ApiKeyId, who: &AuditContext) -> Result<bool, VaultError> {
        self.core
            .write_durable(who, move |txn| {
                let Some(row) = txn.tx.api_key(&id.to_string())? else { return Ok(false) };
                let key = read(&row, txn.keyring)?;
                if key.revoked_at.is_some() {
                    return Ok(false);
                }
                let revoked = ApiKey { revoked_at: Some(txn.now), ..key };
                rewrite(txn, &row, &revoked)?;
                approvals::remove_of_key(txn, &row.id)?;
                txn.record(Action::KeyRevoke, Subject { api_key: Some(&id), ..Subject::default() })?;
                Ok(true)
            })
            .await
    }
}
