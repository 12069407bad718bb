//! API keys: create, list, change and revoke.

use crate::broker::vault_admin::VaultAdmin;
use crate::id::{ApiKeyId, CredentialId, ProviderName, UserId};
use crate::secret::Secret;
use crate::vault::{
    ApiKey, ApiKeyUpdate, CredentialMetadata, KeyHolder, KeyLimits, NewApiKey, UpdateRefused, VaultError,
};

/// A limit under which an API key could not be used.
#[derive(Debug, thiserror::Error)]
pub enum UselessLimit {
    /// No user of the key has this credential.
    #[error("there is no credential {0} of a user that the API key acts for")]
    Absent(CredentialId),
    /// The credential belongs to a provider that the key is not limited to.
    #[error("credential {0} belongs to provider '{1}', and the API key is limited to other providers")]
    OtherProvider(CredentialId, ProviderName),
    /// The credentials cannot be read.
    #[error(transparent)]
    Vault(#[from] VaultError),
}

impl VaultAdmin {
    /// Creates an API key. The key itself is returned only here; the vault keeps a hash.
    pub async fn create_api_key(&self, new: NewApiKey) -> Result<(ApiKey, Secret), VaultError> {
        self.vault.api_keys().create(new, &self.who).await
    }

    /// Creates an API key, after it has revoked those with the same name.
    pub async fn renew_api_key(&self, new: NewApiKey) -> Result<Secret, VaultError> {
        for old in self.api_keys()? {
            if old.name == new.name && old.revoked_at.is_none() {
                self.revoke_api_key(old.id).await?;
            }
        }
        Ok(self.create_api_key(new).await?.1)
    }

    /// Lists the API keys, revoked ones included.
    pub fn api_keys(&self) -> Result<Vec<ApiKey>, VaultError> {
        self.vault.api_keys().list()
    }

    /// Checks that the key can be used for each credential that it is limited to.
    pub fn check_limits(&self, holder: &KeyHolder, limits: &KeyLimits) -> Result<(), UselessLimit> {
        if limits.credentials().is_empty() {
            return Ok(());
        }
        let users = self.users_of(holder)?;
        for id in limits.credentials() {
            let found = self.credential_of(&users, id)?.ok_or(UselessLimit::Absent(*id))?;
            if !limits.allow(&found.provider, id) {
                return Err(UselessLimit::OtherProvider(*id, found.provider));
            }
        }
        Ok(())
    }

    /// Returns the users that exist and that a key of this holder acts for.
    pub(super) fn users_of(&self, holder: &KeyHolder) -> Result<Vec<UserId>, VaultError> {
        let mut users = self.one_or_all_users(holder.user().cloned())?;
        users.retain(|user| holder.acts_for(user));
        Ok(users)
    }

    /// Finds the credential of one of these users.
    pub(super) fn credential_of(
        &self,
        users: &[UserId],
        id: &CredentialId,
    ) -> Result<Option<CredentialMetadata>, VaultError> {
        for user in users {
            if let Some(found) = self.vault.credentials().get(user, id)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// Changes an API key that is not revoked, at once.
    pub async fn update_api_key(
        &self,
        id: ApiKeyId,
        update: ApiKeyUpdate,
    ) -> Result<Result<ApiKey, UpdateRefused>, VaultError> {
        self.vault.api_keys().update(id, update, &self.who).await
    }

    /// Revokes an API key. Returns false if there is no active key with this id.
    pub async fn revoke_api_key(&self, id: ApiKeyId) -> Result<bool, VaultError> {
        self.vault.api_keys().revoke(id, &self.who).await
    }
}
