//! Polling for a login on another device (RFC 8628). One transaction decides which caller may poll,
//! so that all callers and processes together poll no more often than the provider wants.

use std::time::Duration;

use super::pending_login::{DevicePolling, LoginFlow, PendingAuthorization, aad, damaged, open, state_hash};
use super::store::Logins;
use crate::id::{ProviderName, UserId};
use crate::secret::Secret;
use crate::store::PendingRow;
use crate::vault::crypto::fields::encode;
use crate::vault::error::VaultError;
use crate::vault::hex;
use crate::vault::txn::audit_context::AuditContext;
use crate::vault::txn::write_txn::WriteTxn;

/// The permission to poll.
pub enum PollTurn {
    /// Not yet: wait for the interval between two polls.
    Wait(Duration),
    /// The caller may poll. No other caller may until `Logins::end_poll` or the end of the lease.
    Ask(Box<PendingAuthorization>, Secret),
}

impl Logins<'_> {
    /// Takes the turn to poll for a login, if it is time; `None` if the user has no such login
    /// at this provider. The turn is leased for `lease`, which must be longer than a request.
    /// `now` is in milliseconds.
    pub async fn begin_poll(
        self,
        token: &Secret,
        user: &UserId,
        provider: &ProviderName,
        (now, lease): (i64, Duration),
        who: &AuditContext,
    ) -> Result<Option<PollTurn>, VaultError> {
        let (token, user, provider) = (token.clone(), user.clone(), provider.clone());
        self.core
            .write(who, move |txn| {
                let Some((row, mut pending, device)) = find(txn, &token, &user, &provider)? else { return Ok(None) };
                if now < device.next_poll_at {
                    return Ok(Some(PollTurn::Wait(device.interval)));
                }
                let next_poll_at = later(now, lease);
                pending.device = Some(DevicePolling { next_poll_at, ..device.clone() });
                replace(txn, row, &pending)?;
                Ok(Some(PollTurn::Ask(Box::new(pending), device.code)))
            })
            .await
    }

    /// Ends the turn: the next poll is allowed after `pause`, and later ones after every
    /// `interval`.
    pub async fn end_poll(
        self,
        token: &Secret,
        user: &UserId,
        provider: &ProviderName,
        now: i64,
        (pause, interval): (Duration, Duration),
        who: &AuditContext,
    ) -> Result<(), VaultError> {
        let (token, user, provider) = (token.clone(), user.clone(), provider.clone());
        self.core
            .write(who, move |txn| {
                let Some((row, mut pending, device)) = find(txn, &token, &user, &provider)? else { return Ok(()) };
                pending.device = Some(DevicePolling { interval, next_poll_at: later(now, pause), ..device });
                replace(txn, row, &pending)
            })
            .await
    }
}

fn later(now: i64, by: Duration) -> i64 {
    now.saturating_add(i64::try_from(by.as_millis()).unwrap_or(i64::MAX))
}

type Found = (PendingRow, PendingAuthorization, DevicePolling);

fn find(
    txn: &WriteTxn<'_>,
    token: &Secret,
    user: &UserId,
    provider: &ProviderName,
) -> Result<Option<Found>, VaultError> {
    let hash = state_hash(txn.keyring, LoginFlow::Device, token.expose());
    let Some(row) = txn.tx.pending(&hash, user.as_str(), provider.as_str(), txn.now.0)? else { return Ok(None) };
    let pending = open(txn.keyring, &row)?;
    let device = pending.device.clone().ok_or_else(|| damaged(&row))?;
    Ok(Some((row, pending, device)))
}

fn replace(txn: &mut WriteTxn<'_>, old: PendingRow, pending: &PendingAuthorization) -> Result<(), VaultError> {
    let id = hex::write(&old.state_hash);
    txn.removed(&aad(&old, &id), &old.sealed)?;
    let data_key = txn.keyring.data.current().version;
    let before = old.sealed.len();
    let mut row = PendingRow { revision: old.revision + 1, data_key, ..old };
    row.sealed = txn.seal(&aad(&row, &id), &encode(pending))?;
    txn.tx.update_pending(&row, before)?;
    txn.added(&aad(&row, &id), &row.sealed)
}
