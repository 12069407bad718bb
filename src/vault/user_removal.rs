//! Removal of a user with everything that belongs to it.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use crate::id::{ProviderName, UserId};
use crate::store::CredentialRow;
use crate::vault::api_keys::api_key_record;
use crate::vault::credentials::credential_record::{erase, open_secret, open_summary, subject};
use crate::vault::credentials::delete::DeletedCredential;
use crate::vault::credentials::metadata::CredentialMetadata;
use crate::vault::credentials::shared_grant::RevocationScope;
use crate::vault::error::VaultError;
use crate::vault::logins::{self, pending_login};
use crate::vault::revocations::queue;
use crate::vault::secrets::credential_secret::{CredentialSecret, Tokens};
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

/// A credential of the removed user, and its row.
type OpenedCredential = (CredentialRow, CredentialMetadata, CredentialSecret);

/// Deletes the credentials of a user. Of several with one grant the newest is revoked, with the
/// tokens of the others.
fn delete_credentials(
    txn: &mut WriteTxn<'_>,
    user: &UserId,
    (revocation, retry_for): (&impl Fn(&ProviderName) -> RevocationScope, Duration),
    removed: &mut RemovedUser,
) -> Result<(), VaultError> {
    let mut opened: Vec<OpenedCredential> = Vec::new();
    for row in txn.tx.credentials_each(user.as_str(), None, "", None)?.into_iter().rev() {
        let Ok(row) = row else {
            removed.damaged += 1;
            continue;
        };
        let open = || {
            let summary = open_summary(txn.keyring, &row)?;
            open_secret(txn, &row, &summary).map(|secret| (summary, secret))
        };
        match open() {
            Err(error) if error.is_damage() => removed.damaged += 1,
            one => {
                let (summary, secret) = one?;
                opened.push((row, summary, secret));
            }
        }
    }
    let revoked = revoked_tokens(&opened, revocation);
    for ((row, summary, _), tokens) in opened.into_iter().zip(revoked) {
        erase(txn, &row, summary.host.as_ref())?;
        let queued = tokens.map(|tokens| queue::enqueue(txn, summary.revoked(), tokens, retry_for)).transpose()?;
        txn.record(Action::CredentialDelete, subject(&summary))?;
        removed.clients.extend(summary.client_id.clone());
        removed.credentials.push(DeletedCredential { summary, revocation: queued });
    }
    removed.credentials.reverse();
    Ok(())
}

/// A grant: the providers of its server, its client and its account.
type Grant = (Vec<ProviderName>, Option<String>, String);

/// Returns the tokens to revoke for each credential, newest first. All credentials of the user end,
/// so that one with an unknown account is revoked itself.
fn revoked_tokens(
    opened: &[OpenedCredential],
    revocation: &impl Fn(&ProviderName) -> RevocationScope,
) -> Vec<Option<Tokens>> {
    let mut heirs: HashMap<Grant, usize> = HashMap::new();
    let mut revoked: Vec<Option<Tokens>> = Vec::new();
    for (position, (_, summary, secret)) in opened.iter().enumerate() {
        let tokens = if let CredentialSecret::OAuth2(tokens) = secret { Some(tokens.clone()) } else { None };
        let grant = match (revocation(&summary.provider), &summary.account) {
            (RevocationScope::Never, _) => {
                revoked.push(None);
                continue;
            }
            (RevocationScope::UnlessShared(among), Some(account)) => {
                Some((among, summary.client_id.clone(), account.clone()))
            }
            _ => None,
        };
        let heir = grant.map(|grant| *heirs.entry(grant).or_insert(position)).filter(|heir| *heir != position);
        match (heir.and_then(|heir| revoked[heir].as_mut()), tokens) {
            (Some(heir), Some(tokens)) => {
                if !heir.overlaps(&tokens) {
                    heir.keep_replaced(tokens);
                }
                revoked.push(None);
            }
            (_, tokens) => revoked.push(tokens),
        }
    }
    revoked
}
