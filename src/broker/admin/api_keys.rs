//! API keys: create, list and revoke.

use crate::broker::error::Error;
use crate::broker::parts::Broker;
use crate::id::ApiKeyId;
use crate::secret::Secret;
use crate::vault::{ApiKey, AuditContext, NewApiKey};

impl Broker {
    /// Creates an API key. The key itself is returned only here; the vault keeps a hash.
    pub async fn create_api_key(&self, new: NewApiKey, who: &AuditContext) -> Result<(ApiKey, Secret), Error> {
        Ok(self.0.vault.api_keys().create(new, who).await?)
    }

    /// Lists the API keys, revoked ones included.
    pub fn api_keys(&self) -> Result<Vec<ApiKey>, Error> {
        Ok(self.0.vault.api_keys().list()?)
    }

    /// Revokes an API key. Returns false if there is no active key with this id.
    pub async fn revoke_api_key(&self, id: ApiKeyId, who: &AuditContext) -> Result<bool, Error> {
        Ok(self.0.vault.api_keys().revoke(id, who).await?)
    }
}
