//! Revocation of tokens that are not stored.

use super::connectable::Connectable;
use super::keep::credential_of;
use crate::broker::caller::Caller;
use crate::broker::parts::Broker;
use crate::catalog::values::Values;
use crate::id::ProviderName;
use crate::oauth::{Account, Grant};
use crate::vault::{NewCredential, PendingAuthorization};

impl Broker {
    /// Revokes the tokens of a login that ended with an error. `values` fill the provider's URLs.
    pub(super) async fn discard(
        &self,
        caller: &Caller,
        connectable: &Connectable<'_>,
        pending: &PendingAuthorization,
        mut grant: Grant,
        values: Values,
    ) {
        connectable.oauth.keep_values(&mut grant.metadata, values, None);
        let further = grant.take_further();
        let at = (self.0.clock.now(), self.0.random);
        let unknown = || (String::new(), Account::default());
        let grants = std::iter::once(grant).chain(further.into_values());
        let tokens = grants.map(|grant| credential_of(pending, connectable, unknown(), grant, at)).collect();
        self.discard_credentials(caller, &pending.provider, tokens).await;
    }

    /// Revokes tokens that no credential was made from, unless another credential may depend on
    /// their grant. The queue keeps them until the provider confirms.
    pub(in crate::broker) async fn discard_credentials(
        &self,
        caller: &Caller,
        provider: &ProviderName,
        tokens: Vec<NewCredential>,
    ) {
        let revocation = self.revocation_at(provider).await;
        let retry_for = self.0.config.vault.revoke_retry;
        match self.0.vault.credentials().discard(tokens, revocation, retry_for, &caller.who).await {
            Ok(queued) => drop(self.revoke_now(queued, &caller.who).await),
            Err(error) => {
                tracing::error!(%provider, %error, "cannot queue the revocation of tokens that are not stored; revoke them at the provider");
            }
        }
    }
}
