//! Authenticate: find the holder of the API key or access token that a request presents.

use super::caller::Authenticated;
use super::parts::Broker;
use crate::vault::{Actor, VaultError};

impl Broker {
    /// Finds the API key. The state of the vault is checked once for the whole request.
    pub fn authenticate_key(&self, presented: &str) -> Result<Option<Authenticated>, VaultError> {
        let state = self.0.vault.check()?;
        let key = self.0.vault.api_keys().at(&state).authenticate(presented)?;
        Ok(key.map(|key| Authenticated {
            holder: key.holder.clone(),
            permissions: key.permissions,
            limits: key.limits.clone(),
            actor: Actor::ApiKey(key.id),
            expires_at: None,
            state,
        }))
    }

    /// Finds the API key, or the holder of an access token that a trusted issuer signed.
    pub async fn authenticate_bearer(&self, presented: &str) -> Result<Option<Authenticated>, VaultError> {
        if let Some(found) = self.authenticate_key(presented)? {
            return Ok(Some(found));
        }
        // Boxed: this future is much larger than the rest, and few requests carry an access token.
        Ok(Box::pin(self.0.trusted_issuers.holder(presented, self.0.clock.now())).await)
    }
}
