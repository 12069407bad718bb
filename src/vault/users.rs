//! Users: created with their first credential or API key, removed by the operator.

use serde::{Deserialize, Serialize};

use crate::clock::UnixTime;
use crate::id::UserId;
use crate::store::UserRow;
use crate::vault::crypto::fields::as_json;
use crate::vault::crypto::keyring::Keyring;
use crate::vault::crypto::record::{self, RecordAad};
use crate::vault::error::VaultError;
use crate::vault::txn::audit_context::{Actor, AuditContext};
use crate::vault::txn::audit_row::{Action, Subject};
use crate::vault::txn::core::VaultCore;
use crate::vault::txn::manifest::Manifest;
use crate::vault::txn::write_txn::WriteTxn;

/// A user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct KnownUser {
    /// The id, chosen by the application.
    pub id: UserId,
    /// Time of creation.
    pub created_at: UnixTime,
    /// Number of stored credentials.
    pub credentials: u64,
}

/// The users of a vault. A user is created with its first credential or API key.
#[derive(Clone, Copy)]
pub struct Users<'v> {
    pub(crate) core: &'v VaultCore,
}

impl Users<'_> {
    /// Adds a user; returns false if it exists.
    pub async fn add(self, user: &UserId, who: &AuditContext) -> Result<bool, VaultError> {
        let user = user.clone();
        self.core
            .write(who, move |txn| {
                let new = ensure(txn, &user)?;
                if new {
                    txn.record(Action::UserAdd, Subject { user: Some(&user), ..Subject::default() })?;
                }
                Ok(new)
            })
            .await
    }

    /// Lists all users, by id.
    pub fn list(self) -> Result<Vec<KnownUser>, VaultError> {
        self.core.read(|view, keyring| view.users()?.iter().map(|(row, count)| read(keyring, row, *count)).collect())
    }

    /// Returns the current end of the audit log. An operation that a provider delays passes it to
    /// the write at its end, which fails if the user was removed in between.
    pub fn now(self) -> Result<LogPosition, VaultError> {
        self.core.read(|view, keyring| Ok(LogPosition(Manifest::load(view, keyring)?.audit_length)))
    }

    /// Returns true if the user exists.
    pub fn exists(self, user: &UserId) -> Result<bool, VaultError> {
        self.core.read(|view, keyring| match view.user(user.as_str())? {
            Some(row) => read(keyring, &row, 0).map(|_| true),
            None => Ok(false),
        })
    }
}

/// A position in the audit log, as a time that does not depend on a clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogPosition(pub(crate) u64);

as_json!(LogPosition);

/// Returns true if the user was removed after `since`, even if it was added again. The API keys of a
/// user disappear with it, so a request with such a key needs no position.
pub(crate) fn was_removed(txn: &WriteTxn<'_>, user: &UserId, since: Option<LogPosition>) -> Result<bool, VaultError> {
    if let Actor::ApiKey(key) = txn.actor()
        && !txn.tx.has_api_key(&key.to_string())?
    {
        return Ok(true);
    }
    let Some(LogPosition(since)) = since else { return Ok(false) };
    // Rows that are needed here may have been pruned; then the login can be repeated.
    Ok(txn.manifest().audit_base > since
        || txn.tx.has_removal(user.as_str(), i64::try_from(since).unwrap_or(i64::MAX))?)
}

/// Creates the user's row if it does not exist, and returns true if so.
pub(crate) fn ensure(txn: &mut WriteTxn<'_>, user: &UserId) -> Result<bool, VaultError> {
    if txn.tx.has_user(user.as_str())? {
        return Ok(false);
    }
    let data_key = txn.keyring.data.current().version;
    let mut row = UserRow { id: user.to_string(), created_at: txn.now.0, revision: 1, data_key, sealed: Vec::new() };
    row.sealed = txn.seal(&aad(&row), &[])?;
    txn.tx.insert_sealed(&row)?;
    txn.added(&aad(&row), &row.sealed)?;
    Ok(true)
}

fn read(keyring: &Keyring, row: &UserRow, credentials: u64) -> Result<KnownUser, VaultError> {
    record::open(keyring, &aad(row), row.data_key, &row.sealed)?;
    let id = row.id.parse().map_err(|_| VaultError::DamagedRow {
        table: "user",
        id: row.id.clone(),
        what: "the id is not a user's",
    })?;
    Ok(KnownUser { id, created_at: UnixTime(row.created_at), credentials })
}

pub(crate) fn aad(row: &UserRow) -> RecordAad<'_> {
    RecordAad {
        table: "user",
        column: "sealed",
        row: &row.id,
        revision: row.revision,
        user: &row.id,
        more: [row.created_at, 0, 0],
        ..RecordAad::default()
    }
}
