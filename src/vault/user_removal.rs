//! Removal of a user with everything that belongs to it.

use crate::id::UserId;
use crate::vault::api_keys::api_key_record;
use crate::vault::error::VaultError;
use crate::vault::logins;
use crate::vault::txn::audit_context::AuditContext;
use crate::vault::txn::audit_row::{Action, Subject};
use crate::vault::users::{Users, aad};

impl Users<'_> {
    /// Erases a user with its API keys and pending logins; returns false if it does not exist.
    /// Its credentials must be deleted before, each with its revocation; otherwise the error is
    /// [`VaultError::UserHasCredentials`].
    pub async fn remove(self, user: &UserId, who: &AuditContext) -> Result<bool, VaultError> {
        let user = user.clone();
        self.core
            .write_durable(who, move |txn| {
                let Some(row) = txn.tx.user(user.as_str())? else { return Ok(false) };
                if !txn.tx.credentials(user.as_str(), None, "", Some(1))?.is_empty() {
                    return Err(VaultError::UserHasCredentials);
                }
                api_key_record::remove_of(txn, user.as_str())?;
                let pending = txn.tx.take_pending_of(user.as_str())?;
                logins::store::uncount(txn, &pending)?;
                txn.removed(&aad(&row), &row.sealed)?;
                txn.tx.delete_user(user.as_str())?;
                txn.record(Action::UserRemove, Subject { user: Some(&user), ..Subject::default() })?;
                Ok(true)
            })
            .await
    }
}
