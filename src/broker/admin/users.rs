//! Users: add, list and remove.

use crate::broker::caller::Caller;
use crate::broker::credentials::delete::DeleteResponse;
use crate::broker::error::Error;
use crate::broker::parts::Broker;
use crate::broker::vault_admin::VaultAdmin;
use crate::id::{ProviderName, UserId};
use crate::vault::{CredentialPage, KnownUser, VaultError};

/// Passes over a user's credentials, because a server may store another one during the removal.
const REMOVAL_PASSES: usize = 10;

/// Result of the removal of a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UserRemoval {
    /// The user and its API keys are gone.
    Removed,
    /// There is no such user.
    NotFound,
    /// New credentials were stored faster than they could be deleted.
    Growing,
}

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
    /// Revokes and deletes every credential of the user, then removes its API keys and the user. Calls `deleted` after
    /// each credential.
    pub async fn remove_user(
        &self,
        user: &UserId,
        mut deleted: impl FnMut(&ProviderName, DeleteResponse),
    ) -> Result<UserRemoval, Error> {
        if !self.0.vault.users().exists(user)? {
            return Ok(UserRemoval::NotFound);
        }
        let caller = Caller::command_line(user.clone());
        for _ in 0..REMOVAL_PASSES {
            for credential in self.0.vault.credentials().list(user, None, CredentialPage::default())? {
                let (provider, id) = (credential.provider, credential.id.to_string());
                deleted(&provider, self.delete(&caller, provider.as_str(), &id).await?);
            }
            match self.0.vault.users().remove(user, &caller.who).await {
                Ok(_) => return Ok(UserRemoval::Removed),
                Err(VaultError::UserHasCredentials) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(UserRemoval::Growing)
    }
}
