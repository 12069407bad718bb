//! Pending logins in the vault: stored under a keyed hash of their state token, taken once, removed when they expire.

use super::pending_login::{LoginFlow, PendingAuthorization, aad, damaged, state_hash};
use crate::clock::UnixTime;
use crate::id::{ProviderName, UserId};
use crate::secret::Secret;
use crate::store::{PendingRow, WritePriority};
use crate::vault::crypto::record::{self};
use crate::vault::error::VaultError;
use crate::vault::hex;
use crate::vault::txn::audit_context::AuditContext;
use crate::vault::txn::audit_row::{Action, Subject};
use crate::vault::txn::core::VaultCore;
use crate::vault::txn::write_txn::WriteTxn;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Rows erased in one transaction at most, so that cleaning up never keeps a request waiting for long.
const BATCH: u32 = 500;

/// A user's newest begun logins, which are kept whatever comes; older ones go, so that a key that may begin them cannot fill the
/// vault.
const MOST: u32 = 1_000;

/// How many more there can be until the older ones go, all at once: to find them is to look at every one that is there.
const MORE: u32 = 250;

/// Users of whom it is remembered how many logins they may begin until that look.
const USERS: usize = 4_096;

/// How many logins each user may begin until it is looked at how many there are. Nobody is in it at the start, and other
/// processes begin few.
#[derive(Default)]
pub(in crate::vault) struct LoginQuota(Mutex<HashMap<UserId, u32>>);

impl LoginQuota {
    /// Takes a place; `false` where none is known of.
    fn take(&self, user: &UserId) -> bool {
        let mut room = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(left) = room.get_mut(user).filter(|left| **left > 0) else { return false };
        *left -= 1;
        true
    }

    fn is(&self, user: &UserId, left: u32) {
        let mut room = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if room.len() >= USERS {
            room.clear();
        }
        room.insert(user.clone(), left);
    }
}

/// How often a login can be written anew before its revision reaches that of the next one: a poll of a device writes it twice,
/// and none lives for longer than a day.
const WRITINGS: i64 = 1 << 20;

/// The pending logins of a vault.
#[derive(Clone, Copy)]
pub struct Logins<'v> {
    pub(in crate::vault) core: &'v VaultCore,
    pub(in crate::vault) quota: &'v Arc<LoginQuota>,
}

impl Logins<'_> {
    /// Remembers a begun login under a keyed hash of its state token; the token itself is not kept. Of each user the newest
    /// thousand are kept.
    pub async fn begin(self, state: &str, pending: PendingAuthorization, who: &AuditContext) -> Result<(), VaultError> {
        let (state, room) = (Secret::new(state), self.quota.clone());
        self.core
            .write(who, move |txn| {
                if !room.take(&pending.user) {
                    let there = remove_oldest(txn, pending.user.as_str())?;
                    room.is(&pending.user, (MOST + MORE).saturating_sub(there + 1));
                }
                let data_key = txn.keyring.current_data_key().version;
                let mut row = PendingRow {
                    state_hash: state_hash(&txn.keyring.root().index, txn.keyring, pending.flow, state.expose()),
                    user: pending.user.to_string(),
                    provider: pending.provider.to_string(),
                    created_at: pending.created_at.0,
                    expires_at: pending.expires_at.0,
                    revision: first_revision(txn.manifest().audit_length),
                    data_key,
                    sealed: Vec::new(),
                };
                let id = hex::write(&row.state_hash);
                row.sealed = txn.seal(&aad(&row, &id), &pending.write())?;
                txn.tx.insert_pending(&row)?;
                txn.added(&aad(&row, &id), &row.sealed)?;
                let (user, provider) = (Some(&pending.user), Some(&pending.provider));
                txn.record(Action::LoginBegin, Subject { user, provider, ..Subject::default() })
            })
            .await
    }

    /// Takes a begun login out: once, for its own user and provider, and before it expires. In every other case it
    /// is `None`, and the login stays as it is.
    pub async fn take(
        self,
        state: &str,
        user: &UserId,
        provider: &ProviderName,
        who: &AuditContext,
    ) -> Result<Option<PendingAuthorization>, VaultError> {
        self.take_of_flow(LoginFlow::External, state, user, provider, who).await
    }

    /// The same for a login on another device, whose tokens are of another kind than states.
    pub async fn take_device(
        self,
        token: &str,
        user: &UserId,
        provider: &ProviderName,
        who: &AuditContext,
    ) -> Result<Option<PendingAuthorization>, VaultError> {
        self.take_of_flow(LoginFlow::Device, token, user, provider, who).await
    }

    async fn take_of_flow(
        self,
        flow: LoginFlow,
        state: &str,
        user: &UserId,
        provider: &ProviderName,
        who: &AuditContext,
    ) -> Result<Option<PendingAuthorization>, VaultError> {
        let (state, user, provider) = (Secret::new(state), user.clone(), provider.clone());
        // A code is not to be spent where what it brings could not be stored; the tokens of a device are here already.
        let priority = if flow == LoginFlow::Device { WritePriority::Critical } else { WritePriority::Normal };
        self.core
            .write_with(priority, who, move |txn| {
                for key in txn.keyring.index_keys() {
                    let hash = state_hash(key, txn.keyring, flow, state.expose());
                    let taken = txn.tx.take_pending(&hash, user.as_str(), provider.as_str(), txn.now.0)?;
                    let Some(row) = taken else { continue };
                    let id = hex::write(&row.state_hash);
                    let bytes = record::open(txn.keyring, &aad(&row, &id), row.data_key, &row.sealed)?;
                    let pending =
                        PendingAuthorization::read(&row, &user, &provider, &bytes).ok_or_else(|| damaged(&row))?;
                    txn.removed(&aad(&row, &id), &row.sealed)?;
                    let subject = Subject { user: Some(&user), provider: Some(&provider), ..Subject::default() };
                    txn.record(Action::LoginTake, subject)?;
                    return Ok(Some(pending));
                }
                Ok(None)
            })
            .await
    }

    /// Erases the logins that expired by `now`, and says how many. One that does not open stays, for a verification to name: what
    /// it counted for is not known, and it keeps no other from being erased.
    pub async fn purge_expired(self, now: UnixTime) -> Result<u64, VaultError> {
        let (who, mut purged, mut after) = (AuditContext::system(), 0, None::<String>);
        loop {
            let from = after.take();
            let batch = self.core.write(&who, move |txn| {
                let rows = txn.tx.expired_pending(now.0, from.as_deref(), BATCH)?;
                let last = rows.iter().rev().find_map(|(hash, _)| hash.clone());
                let next = last.filter(|_| rows.len() >= BATCH as usize);
                let mut count = 0;
                for row in rows.iter().filter_map(|(_, row)| row.as_ref().ok()) {
                    let id = hex::write(&row.state_hash);
                    let place = aad(row, &id);
                    if record::open(txn.keyring, &place, row.data_key, &row.sealed).is_ok() {
                        txn.removed(&place, &row.sealed)?;
                        txn.tx.delete_pending(&row.state_hash)?;
                        count += 1;
                    }
                }
                Ok((count, next))
            });
            let (count, next) = batch.await?;
            purged += count;
            match next {
                None => return Ok(purged),
                next => after = next,
            }
        }
    }
}

/// Erases what a user began before its newest logins, and says how many are left.
fn remove_oldest(txn: &mut WriteTxn<'_>, user: &str) -> Result<u32, VaultError> {
    for old in txn.tx.take_pending_beyond(user, MOST - 1, BATCH)? {
        txn.removed(&aad(&old, &hex::write(&old.state_hash)), &old.sealed)?;
    }
    Ok(txn.tx.count_pending_of(user)?)
}

/// The revision of a login that is begun after so many audit rows. Times are whole seconds: which of two logins of one second is
/// the newer, their revisions say.
fn first_revision(audit_rows: u64) -> i64 {
    i64::try_from(audit_rows).unwrap_or(i64::MAX).min(i64::MAX / WRITINGS - 1) * WRITINGS
}

/// Erases all begun logins: what they are found by is not known any more.
pub(in crate::vault) fn remove_all(txn: &mut WriteTxn<'_>) -> Result<(), VaultError> {
    let rows = txn.tx.take_all_pending()?;
    rows.iter().try_for_each(|row| txn.removed(&aad(row, &hex::write(&row.state_hash)), &row.sealed))
}

/// Erases all logins that a user began.
pub(in crate::vault) fn remove_of(txn: &mut WriteTxn<'_>, user: &str) -> Result<(), VaultError> {
    let rows = txn.tx.take_pending_of(user)?;
    rows.iter().try_for_each(|row| txn.removed(&aad(row, &hex::write(&row.state_hash)), &row.sealed))
}
