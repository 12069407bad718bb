//! API keys: create, list and revoke.

use crate::broker::vault_admin::VaultAdmin;
use crate::id::ApiKeyId;
use crate::secret::Secret;
use crate::vault::{ApiKey, NewApiKey, VaultError};

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

    /// Revokes an API key. Returns false if there is no active key with this id.
    pub async fn revoke_api_key(&self, id: ApiKeyId) -> Result<bool, VaultError> {
        self.vault.api_keys().revoke(id, &self.who).await
    }
}
