//! Deleting a credential: its records are gone, the audit row is there and its tokens are in the revocation queue in
//! one transaction, or none of it happened.

use super::metadata::CredentialMetadata;
use super::shared_grant::{RevocationScope, is_shared};
use crate::vault::revocations::queued_revocation::QueuedRevocation;
use std::time::Duration;

use super::credential_record::{erase, open_secret, open_summary, subject};
use super::read::Credentials;
use crate::id::{CredentialId, UserId};
use crate::kind::Kind;
use crate::vault::error::VaultError;
use crate::vault::revocations::queue;
use crate::vault::secrets::credential_secret::CredentialSecret;
use crate::vault::txn::audit_context::AuditContext;
use crate::vault::txn::audit_row::Action;

/// What deleting did.
pub struct DeletedCredential {
    /// The credential, as it was.
    pub summary: CredentialMetadata,
    /// What is to be revoked now; it is in the queue already, so that a crash does not lose it.
    pub revocation: Option<QueuedRevocation>,
}

impl Credentials<'_> {
    /// Erases a credential and queues its tokens where `revocation` says so; `retry_for` is for how long the queue
    /// may keep them. `None` where the user has no such credential.
    ///
    /// Whether the grant is shared is decided inside the transaction: of two siblings that are deleted at one time,
    /// one sees the other gone.
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
                let tokens = match (summary.kind, &revocation) {
                    (Kind::OAuth2, RevocationScope::Token) => Some(open_secret(txn, &row, &summary)?),
                    (Kind::OAuth2, RevocationScope::UnlessShared(among))
                        if !is_shared(txn, &summary, among, Some(&summary.id))? =>
                    {
                        Some(open_secret(txn, &row, &summary)?)
                    }
                    _ => None,
                };
                erase(txn, &row, summary.host.as_ref())?;
                let queued = match tokens {
                    Some(CredentialSecret::OAuth2(tokens)) => {
                        Some(queue::enqueue(txn, summary.revoked(), tokens, retry_for)?)
                    }
                    _ => None,
                };
                txn.record(Action::CredentialDelete, subject(&summary))?;
                Ok(Some(DeletedCredential { summary, revocation: queued }))
            })
            .await
    }
}
