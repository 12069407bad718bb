//! Deletion of a credential: erasing the records, the audit row and queueing the tokens happen in
//! one transaction.

use super::metadata::{CredentialMetadata, CredentialStatus};
use super::shared_grant::{RevocationScope, hand_over, is_shared};
use crate::vault::revocations::queued_revocation::QueuedRevocation;
use std::time::Duration;

use super::credential_record::{erase, open_secret, open_summary, subject};
use super::read::Credentials;
use crate::id::{CredentialId, UserId};
use crate::vault::error::VaultError;
use crate::vault::revocations::queue;
use crate::vault::secrets::credential_secret::CredentialSecret;
use crate::vault::txn::audit_context::AuditContext;
use crate::vault::txn::audit_row::Action;

/// The result of a deletion.
pub struct DeletedCredential {
    /// The deleted credential.
    pub summary: CredentialMetadata,
    /// The queued revocation. It is already stored, so that a crash does not lose it.
    pub revocation: Option<QueuedRevocation>,
}

impl Credentials<'_> {
    /// Erases a credential, and queues its tokens as `revocation` says; the queue keeps them
    /// for `retry_for`. Returns `None` if the user has no such credential.
    ///
    /// The transaction decides if the grant is shared: if two credentials of a grant are
    /// deleted at the same time, the second deletion sees the first.
    pub async fn delete(
        self,
        user: &UserId,
        id: &CredentialId,
        revocation: RevocationScope,
        retry_for: Duration,
        who: &AuditContext,
    ) -> Result<Option<DeletedCredential>, VaultError> {
        let (user, id) = (user.clone(), *id);
        self.core
            .write_durable(who, move |txn| {
                let Some(row) = txn.tx.credential(user.as_str(), &id.to_string())? else { return Ok(None) };
                let summary = open_summary(txn.keyring, &row)?;
                // A damaged secret stays for a repair: the manifest does not have it as it is.
                let secret = open_secret(txn, &row, &summary)?;
                let revokes = match &revocation {
                    RevocationScope::Never => false,
                    RevocationScope::Token => true,
                    RevocationScope::UnlessShared(among) => !is_shared(txn, &summary, among, Some(&summary.id))?,
                };
                erase(txn, &row, summary.host.as_ref())?;
                let queued = match secret {
                    CredentialSecret::OAuth2(tokens) if revokes => {
                        Some(queue::enqueue(txn, summary.revoked(), tokens, retry_for)?)
                    }
                    CredentialSecret::OAuth2(tokens) if summary.status == CredentialStatus::Active => {
                        if let RevocationScope::UnlessShared(among) = &revocation {
                            hand_over(txn, &summary, tokens, among)?;
                        }
                        None
                    }
                    _ => None,
                };
                txn.record(Action::CredentialDelete, subject(&summary))?;
                Ok(Some(DeletedCredential { summary, revocation: queued }))
            })
            .await
    }
}
