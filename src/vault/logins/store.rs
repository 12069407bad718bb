//! Pending logins in the vault: stored under a keyed hash of their state token, taken once, removed
//! when they expire.

use super::pending_login::{LoginFlow, PendingAuthorization, aad, open, state_hash};
use crate::clock::UnixTime;
use crate::id::{CredentialId, ProviderName, UserId};
use crate::secret::Secret;
use crate::store::{PendingRow, View, WritePriority, bytes};
use crate::vault::crypto::fields::encode;
use crate::vault::crypto::keyring::Keyring;
use crate::vault::crypto::record;
use crate::vault::error::VaultError;
use crate::vault::hex;
use crate::vault::txn::audit_context::AuditContext;
use crate::vault::txn::audit_row::{Action, Subject};
use crate::vault::txn::core::VaultCore;
use crate::vault::txn::write_txn::WriteTxn;
use crate::vault::users::was_removed;

/// Maximum number of rows deleted in one transaction, so that clean-up does not delay requests.
const BATCH: u32 = 500;

/// Number of newest pending logins kept for each user. Older ones are deleted, so that an API key
/// that may start logins cannot fill the vault.
const MOST: i64 = 1_000;

/// Sealed bytes of the newest pending logins kept for each user.
const MOST_BYTES: i64 = 4 << 20;

/// Part of both that a user may exceed until the older ones are deleted in one pass: finding the
/// oldest reads every row of the user.
const TOLERANCE: i64 = 4;

/// Number of revisions reserved for each login: each poll of a device writes it twice, and a login
/// lives for at most a day.
const WRITINGS: i64 = 1 << 20;

/// The reason why a request cannot take a login of its user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MissedLogin {
    /// It has expired.
    Expired,
    /// It is a login at another provider.
    OtherProvider,
}

/// The pending logins of a vault.
#[derive(Clone, Copy)]
pub struct Logins<'v> {
    pub(crate) core: &'v VaultCore,
}

impl Logins<'_> {
    /// Stores a pending login under a keyed hash of its state token; the token is not stored.
    /// For each user the newest thousand are kept.
    pub async fn begin(self, state: &str, pending: PendingAuthorization, who: &AuditContext) -> Result<(), VaultError> {
        let state = Secret::new(state);
        self.core
            .write(who, move |txn| {
                if was_removed(txn, &pending.user, pending.begun_at)? {
                    return Err(VaultError::UserRemoved);
                }
                let encoded = encode(&pending);
                make_room(txn, pending.user.as_str(), bytes(record::sealed_len(encoded.len())))?;
                let data_key = txn.keyring.data.current().version;
                let mut row = PendingRow {
                    state_hash: state_hash(txn.keyring, pending.flow, state.expose()),
                    user: pending.user.to_string(),
                    provider: pending.provider.to_string(),
                    created_at: pending.created_at.0,
                    expires_at: pending.expires_at.0,
                    revision: first_revision(txn.manifest().audit_length),
                    data_key,
                    sealed: Vec::new(),
                };
                let id = hex::write(&row.state_hash);
                row.sealed = txn.seal(&aad(&row, &id), &encoded)?;
                txn.tx.insert_pending(&row)?;
                txn.added(&aad(&row, &id), &row.sealed)?;
                let (user, provider) = (Some(&pending.user), Some(&pending.provider));
                txn.record(Action::LoginBegin, Subject { user, provider, ..Subject::default() })
            })
            .await
    }

    /// Records that a login which was taken gave no credential; `reason` is one word.
    pub async fn record_failure(
        self,
        user: &UserId,
        provider: &ProviderName,
        credential: Option<CredentialId>,
        reason: &'static str,
        who: &AuditContext,
    ) -> Result<(), VaultError> {
        let (user, provider) = (user.clone(), provider.clone());
        self.core
            .write(who, move |txn| {
                let subject = Subject {
                    user: Some(&user),
                    provider: Some(&provider),
                    credential: credential.as_ref(),
                    failure: Some(reason),
                    ..Subject::default()
                };
                txn.record(Action::LoginFail, subject)
            })
            .await
    }

    /// Takes a pending login: once, for its own flow, user and provider, and before it expires.
    /// Otherwise it returns `None`, and the login stays.
    pub async fn take(
        self,
        flow: LoginFlow,
        state: &str,
        user: &UserId,
        provider: &ProviderName,
        who: &AuditContext,
    ) -> Result<Option<PendingAuthorization>, VaultError> {
        let (state, user, provider) = (Secret::new(state), user.clone(), provider.clone());
        // A code must not be used up if its tokens could not be stored. The tokens of a
        // device login already exist.
        let priority = if flow == LoginFlow::Device { WritePriority::Critical } else { WritePriority::Normal };
        self.core
            .write_with(priority, false, who, move |txn| {
                let hash = state_hash(txn.keyring, flow, state.expose());
                let taken = txn.tx.take_pending(&hash, user.as_str(), provider.as_str(), txn.now.0)?;
                let Some(row) = taken else { return Ok(None) };
                let pending = open(txn.keyring, &row)?;
                txn.removed(&aad(&row, &hex::write(&row.state_hash)), &row.sealed)?;
                let subject = Subject { user: Some(&user), provider: Some(&provider), ..Subject::default() };
                txn.record(Action::LoginTake, subject)?;
                Ok(Some(pending))
            })
            .await
    }

    /// Records that a request could not take a login of its user; `reason` is one word. An expired
    /// login is deleted, so that each one is recorded once. Returns `None` if the user has no login
    /// with this state.
    pub async fn record_missed(
        self,
        flow: LoginFlow,
        state: &str,
        user: &UserId,
        provider: &ProviderName,
        (reason, who): (&'static str, &AuditContext),
    ) -> Result<Option<MissedLogin>, VaultError> {
        let there = |view: &View<'_>, keyring: &Keyring| {
            let row = view.pending_at(&state_hash(keyring, flow, state))?;
            Ok::<_, VaultError>(row.filter(|row| row.user == user.as_str()))
        };
        // An unknown state must not cost a write.
        if self.core.read(|view, keyring| there(view, keyring))?.is_none() {
            return Ok(None);
        }
        let (state, user, provider) = (Secret::new(state), user.clone(), provider.clone());
        self.core
            .write(who, move |txn| {
                let row = txn.tx.pending_at(&state_hash(txn.keyring, flow, state.expose()))?;
                let Some(row) = row.filter(|row| row.user == user.as_str()) else { return Ok(None) };
                let pending = open(txn.keyring, &row)?;
                let missed = if row.provider == provider.as_str() {
                    txn.removed(&aad(&row, &hex::write(&row.state_hash)), &row.sealed)?;
                    txn.tx.delete_pending(&row)?;
                    MissedLogin::Expired
                } else {
                    MissedLogin::OtherProvider
                };
                let subject = Subject {
                    user: Some(&user),
                    provider: Some(&pending.provider),
                    credential: pending.reconnect.as_ref(),
                    failure: Some(reason),
                    ..Subject::default()
                };
                txn.record(Action::LoginFail, subject)?;
                Ok(Some(missed))
            })
            .await
    }

    /// Returns a pending login without taking it.
    pub fn peek(
        self,
        flow: LoginFlow,
        state: &str,
        user: &UserId,
        provider: &ProviderName,
    ) -> Result<Option<PendingAuthorization>, VaultError> {
        let now = self.core.clock.now();
        self.core.read(|view, keyring| {
            let row = view.pending(&state_hash(keyring, flow, state), user.as_str(), provider.as_str(), now.0)?;
            row.map(|row| open(keyring, &row)).transpose()
        })
    }

    /// Deletes the logins that expired by `now`, and returns their number. A damaged login
    /// stays for a verification to report, because its share of the manifest's sum is unknown.
    /// It does not block the others.
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
                        txn.tx.delete_pending(row)?;
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

/// Deletes the user's oldest logins if a new one of this size needs their room.
fn make_room(txn: &mut WriteTxn<'_>, user: &str, size: i64) -> Result<(), VaultError> {
    let usage = txn.tx.usage(user)?;
    let fits = |has: i64, most: i64| has <= most + most / TOLERANCE;
    if fits(usage.logins + 1, MOST) && fits(usage.login_bytes + size, MOST_BYTES) {
        return Ok(());
    }
    let oldest = txn.tx.take_pending_beyond(user, (MOST - 1, MOST_BYTES - size), BATCH)?;
    uncount(txn, &oldest)
}

/// The first revision of a login, from the number of audit rows. Times are whole seconds, so
/// revisions order the logins of one second.
fn first_revision(audit_rows: u64) -> i64 {
    i64::try_from(audit_rows).unwrap_or(i64::MAX).min(i64::MAX / WRITINGS - 1) * WRITINGS
}

/// Takes deleted logins out of the manifest's count.
pub(crate) fn uncount(txn: &mut WriteTxn<'_>, deleted: &[PendingRow]) -> Result<(), VaultError> {
    deleted.iter().try_for_each(|row| txn.removed(&aad(row, &hex::write(&row.state_hash)), &row.sealed))
}
