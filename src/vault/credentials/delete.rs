//! Deleting a credential: its records are gone, the audit row is there and its tokens are in the revocation queue in
//! one transaction, or none of it happened.

use std::time::Duration;

use super::credential_record::{erase, open_secret, open_summary, subject};
use crate::id::{CredentialId, UserId};
use crate::kind::Kind;
use crate::vault::error::VaultError;
use crate::vault::open::Vault;
use crate::vault::revocations::queue::{self, DeletedCredential, RevocationScope, is_shared};
use crate::vault::secrets::credential_secret::CredentialSecret;
use crate::vault::txn::audit_context::AuditContext;
use crate::vault::txn::audit_row::Action;

impl Vault {
    /// Erases a credential and queues its tokens where `revocation` says so; `retry_for` is for how long the queue
    /// may keep them. `None` where the user has no such credential.
    ///
    /// Whether the grant is shared is decided inside the transaction: of two siblings that are deleted at one time,
    /// one sees the other gone.
    pub async fn delete_credential(
        &self,
        user: &UserId,
        id: &CredentialId,
        revocation: RevocationScope,
        retry_for: Duration,
        who: &AuditContext,
    ) -> Result<Option<DeletedCredential>, VaultError> {
        let (user, id) = (user.clone(), *id);
        self.change_for_good(who, move |ledger| {
            let Some(row) = ledger.tx.credential(user.as_str(), &id.to_string())? else { return Ok(None) };
            let summary = open_summary(ledger.keyring, &row)?;
            let tokens = match (summary.kind, &revocation) {
                (Kind::OAuth2, RevocationScope::Token) => Some(open_secret(ledger, &row, &summary)?),
                (Kind::OAuth2, RevocationScope::UnlessShared(among))
                    if !is_shared(ledger, &summary, among, Some(&summary.id))? =>
                {
                    Some(open_secret(ledger, &row, &summary)?)
                }
                _ => None,
            };
            erase(ledger, &row, summary.host.as_ref())?;
            let queued = match tokens {
                Some(CredentialSecret::OAuth2(tokens)) => Some(queue::queue(ledger, &summary, tokens, retry_for)?),
                _ => None,
            };
            ledger.record(Action::CredentialDelete, subject(&summary))?;
            Ok(Some(DeletedCredential { summary, revocation: queued }))
        })
        .await
    }
}
