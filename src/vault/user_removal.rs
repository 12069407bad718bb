//! Removal of a user with everything that belongs to it.

use std::collections::{BTreeSet, HashSet};
use std::time::Duration;

use crate::id::{ProviderName, UserId};
use crate::vault::api_keys::api_key_record;
use crate::vault::credentials::credential_record::{erase, open_secret, open_summary, subject};
use crate::vault::credentials::delete::DeletedCredential;
use crate::vault::credentials::metadata::CredentialMetadata;
use crate::vault::credentials::shared_grant::RevocationScope;
use crate::vault::error::VaultError;
use crate::vault::logins;
use crate::vault::revocations::queue;
use crate::vault::secrets::credential_secret::CredentialSecret;
use crate::vault::txn::audit_context::AuditContext;
use crate::vault::txn::audit_row::{Action, Subject};
use crate::vault::txn::write_txn::WriteTxn;
use crate::vault::users::{Users, aad};

/// A removed user's credentials and clients.
#[derive(Default)]
pub struct RemovedUser {
    /// The deleted credentials, oldest first.
    pub credentials: Vec<DeletedCredential>,
    /// The OAuth clients that they and the pending logins referred to.
    pub clients: BTreeSet<String>,
}

impl Users<'_> {
    /// Erases a user with its API keys, pending logins and credentials, in one transaction. Queues
    /// the tokens as `revocation` says of their provider; the queue keeps them for `retry_for`.
    /// Returns `None` if there is no such user.
    pub async fn remove(
        self,
        user: &UserId,
        revocation: impl Fn(&ProviderName) -> RevocationScope + Send + Sync + 'static,
        retry_for: Duration,
        who: &AuditContext,
    ) -> Result<Option<RemovedUser>, VaultError> {
        let user = user.clone();
        self.core
            .write_durable(who, move |txn| {
                let row = txn.tx.user(user.as_str())?;
                let pending = txn.tx.take_pending_of(user.as_str())?;
                let mut removed = RemovedUser::default();
                for row in &pending {
                    removed
                        .clients
                        .extend(logins::pending_login::open(txn.keyring, row).ok().map(|login| login.client_id));
                }
                logins::store::uncount(txn, &pending)?;
                // A service key can begin logins of a user that does not exist yet.
                if row.is_none() && pending.is_empty() {
                    return Ok(None);
                }
                api_key_record::remove_of(txn, user.as_str())?;
                removed.credentials = delete_all(txn, &user, &revocation, retry_for)?;
                let clients = removed.credentials.iter().filter_map(|one| one.summary.client_id.clone());
                removed.clients.extend(clients);
                if let Some(row) = &row {
                    txn.removed(&aad(row), &row.sealed)?;
                    txn.tx.delete_user(user.as_str())?;
                }
                txn.record(Action::UserRemove, Subject { user: Some(&user), ..Subject::default() })?;
                Ok(Some(removed))
            })
            .await
    }
}

/// Deletes the credentials of a user, newest first, so that of several with one grant the newest is
/// revoked.
fn delete_all(
    txn: &mut WriteTxn<'_>,
    user: &UserId,
    revocation: &impl Fn(&ProviderName) -> RevocationScope,
    retry_for: Duration,
) -> Result<Vec<DeletedCredential>, VaultError> {
    let mut ended = HashSet::new();
    let mut deleted = Vec::new();
    for row in txn.tx.credentials(user.as_str(), None, "", None)?.iter().rev() {
        let summary = open_summary(txn.keyring, row)?;
        let revokes = match revocation(&summary.provider) {
            RevocationScope::Never => false,
            RevocationScope::Token => true,
            RevocationScope::UnlessShared(among) => ends_a_grant(&mut ended, &summary, among),
        };
        let secret = if revokes { Some(open_secret(txn, row, &summary)?) } else { None };
        erase(txn, row, summary.host.as_ref())?;
        let queued = match secret {
            Some(CredentialSecret::OAuth2(tokens)) => Some(queue::enqueue(txn, summary.revoked(), tokens, retry_for)?),
            _ => None,
        };
        txn.record(Action::CredentialDelete, subject(&summary))?;
        deleted.push(DeletedCredential { summary, revocation: queued });
    }
    deleted.reverse();
    Ok(deleted)
}

/// A grant: the providers of its server, its client and its account.
type Grant = (Vec<ProviderName>, Option<String>, String);

/// Returns true if no credential before had the same grant. All credentials of the user end, so that
/// one with an unknown account is revoked itself.
fn ends_a_grant(ended: &mut HashSet<Grant>, summary: &CredentialMetadata, among: Vec<ProviderName>) -> bool {
    let Some(account) = summary.account.clone() else { return true };
    ended.insert((among, summary.client_id.clone(), account))
}
