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
use crate::vault::logins::{self, pending_login};
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
    /// Number of credentials that do not open. They stay for a repair, and the user with them.
    pub damaged: usize,
}

impl Users<'_> {
    /// Erases a user with its API keys, pending logins and credentials, in one transaction. Queues
    /// the tokens as `revocation` says of their provider; the queue keeps them for `retry_for`.
    /// Returns `None` if there is no such user.
    ///
    /// What does not open stays for a repair: only that may erase it, because the manifest does not
    /// have it as it is.
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
                let mut removed = RemovedUser::default();
                let had_logins = delete_logins(txn, &user, &mut removed)?;
                // A service key can begin logins of a user that does not exist yet.
                if row.is_none() && !had_logins {
                    return Ok(None);
                }
                api_key_record::remove_of(txn, user.as_str())?;
                delete_credentials(txn, &user, (&revocation, retry_for), &mut removed)?;
                if let Some(row) = row.filter(|_| removed.damaged == 0) {
                    txn.removed(&aad(&row), &row.sealed)?;
                    txn.tx.delete_user(user.as_str())?;
                }
                txn.record(Action::UserRemove, Subject { user: Some(&user), ..Subject::default() })?;
                Ok(Some(removed))
            })
            .await
    }
}

/// Deletes the pending logins of a user. Returns true if there were any.
fn delete_logins(txn: &mut WriteTxn<'_>, user: &UserId, removed: &mut RemovedUser) -> Result<bool, VaultError> {
    let mut had_logins = false;
    for row in txn.tx.pending_of(user.as_str())?.iter().flatten() {
        if let Ok(login) = pending_login::open(txn.keyring, row) {
            removed.clients.insert(login.client_id);
            txn.tx.delete_pending(row)?;
            logins::store::uncount(txn, std::slice::from_ref(row))?;
            had_logins = true;
        }
    }
    Ok(had_logins)
}

/// Deletes the credentials of a user, newest first, so that of several with one grant the newest is
/// revoked.
fn delete_credentials(
    txn: &mut WriteTxn<'_>,
    user: &UserId,
    (revocation, retry_for): (&impl Fn(&ProviderName) -> RevocationScope, Duration),
    removed: &mut RemovedUser,
) -> Result<(), VaultError> {
    let mut ended = HashSet::new();
    for row in txn.tx.credentials_each(user.as_str(), None, "", None)?.iter().rev() {
        let Ok(row) = row else {
            removed.damaged += 1;
            continue;
        };
        let opened = open_summary(txn.keyring, row)
            .and_then(|summary| open_secret(txn, row, &summary).map(|secret| (summary, secret)));
        let (summary, secret) = match opened {
            Err(error) if error.is_damage() => {
                removed.damaged += 1;
                continue;
            }
            opened => opened?,
        };
        let revokes = match revocation(&summary.provider) {
            RevocationScope::Never => false,
            RevocationScope::Token => true,
            RevocationScope::UnlessShared(among) => ends_a_grant(&mut ended, &summary, among),
        };
        erase(txn, row, summary.host.as_ref())?;
        let queued = match secret {
            CredentialSecret::OAuth2(tokens) if revokes => {
                Some(queue::enqueue(txn, summary.revoked(), tokens, retry_for)?)
            }
            _ => None,
        };
        txn.record(Action::CredentialDelete, subject(&summary))?;
        removed.clients.extend(summary.client_id.clone());
        removed.credentials.push(DeletedCredential { summary, revocation: queued });
    }
    removed.credentials.reverse();
    Ok(())
}

/// A grant: the providers of its server, its client and its account.
type Grant = (Vec<ProviderName>, Option<String>, String);

/// Returns true if no credential before had the same grant. All credentials of the user end, so that
/// one with an unknown account is revoked itself.
fn ends_a_grant(ended: &mut HashSet<Grant>, summary: &CredentialMetadata, among: Vec<ProviderName>) -> bool {
    let Some(account) = summary.account.clone() else { return true };
    ended.insert((among, summary.client_id.clone(), account))
}
