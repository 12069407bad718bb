//! Users: add, list and remove.

use crate::broker::credentials::delete::DeleteResponse;
use crate::broker::error::Error;
use crate::broker::parts::Broker;
use crate::broker::vault_admin::VaultAdmin;
use crate::id::{ProviderName, UserId};
use crate::vault::{AuditContext, DeletedCredential, KnownUser, RemovedUser, VaultError};

impl VaultAdmin {
    /// Adds a user. Returns false if it exists already.
    pub async fn add_user(&self, user: &UserId) -> Result<bool, VaultError> {
        self.vault.users().add(user, &self.who).await
    }

    /// Lists the users.
    pub fn users(&self) -> Result<Vec<KnownUser>, VaultError> {
        self.vault.users().list()
    }

    /// Returns `one` if it is given, else all users.
    pub(in crate::broker) fn one_or_all_users(&self, one: Option<UserId>) -> Result<Vec<UserId>, VaultError> {
        match one {
            Some(user) => Ok(vec![user]),
            None => Ok(self.users()?.into_iter().map(|user| user.id).collect()),
        }
    }
}

impl Broker {
    /// Removes the user with its API keys, pending logins and credentials, and then revokes its
    /// tokens at the providers. Calls `deleted` for each credential. Returns false if there is no
    /// such user. Damaged credentials are an error, after everything else was removed.
    pub async fn remove_user(
        &self,
        user: &UserId,
        mut deleted: impl FnMut(&ProviderName, DeleteResponse),
    ) -> Result<bool, Error> {
        let (broker, who) = (self.clone(), AuditContext::command_line());
        let revocation = move |provider: &ProviderName| broker.revocation_before_discovery(provider);
        let retry_for = self.0.config.vault.revoke_retry;
        let Some(RemovedUser { credentials, clients, damaged }) =
            self.0.vault.users().remove(user, revocation, retry_for, &who).await?
        else {
            return Ok(false);
        };
        let queued: Vec<_> = credentials.iter().filter_map(|one| one.revocation.clone()).collect();
        let outcomes = self.revoke_now(queued, &who).await;
        for DeletedCredential { summary, revocation } in credentials {
            let revoked = revocation.and_then(|queued| outcomes.get(&queued.id).copied().unwrap_or(Some(false)));
            let credentials_id = summary.id;
            deleted(&summary.provider, DeleteResponse { deleted: true, credentials_id, revoked });
        }
        self.drop_unused_clients(self.0.clock.now(), Some(&clients)).await?;
        if damaged > 0 { Err(VaultError::DamagedLeft(damaged).into()) } else { Ok(true) }
    }
}
