//! List for the operator: credentials of one user or of all.

use serde::Serialize;

use super::exportable::is_exportable;
use super::get::CredentialDetail;
use crate::broker::vault_admin::VaultAdmin;
use crate::id::{ProviderName, UserId};
use crate::vault::{CredentialPage, KeyLimits, VaultError};

/// A credential with its user.
#[derive(Debug, Serialize)]
pub struct UserCredential {
    /// Owner.
    pub user: UserId,
    /// Credential.
    #[serde(flatten)]
    pub credential: CredentialDetail,
}

impl VaultAdmin {
    /// Lists the credentials of one user or of all, of one provider or of all, and the errors of
    /// those that cannot be read.
    pub fn credentials(
        &self,
        user: Option<UserId>,
        provider: Option<&ProviderName>,
    ) -> Result<(Vec<UserCredential>, Vec<VaultError>), VaultError> {
        let (mut listed, mut damaged) = (Vec::new(), Vec::new());
        let unlimited = KeyLimits::default();
        let (standby, now) = (self.vault.standby(), self.clock.now());
        for user in self.one_or_all_users(user)? {
            for row in self.vault.credentials().list_each(&user, &unlimited, provider, CredentialPage::default())? {
                match row {
                    Ok(found) => {
                        let detail = CredentialDetail::of(&found, now, false, standby.may_be_stale(&found));
                        let exportable = is_exportable(&self.config, &found);
                        let credential = CredentialDetail { exportable, ..detail };
                        listed.push(UserCredential { user: user.clone(), credential });
                    }
                    Err(error) => damaged.push(error),
                }
            }
        }
        Ok((listed, damaged))
    }
}
