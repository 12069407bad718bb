//! Users: created with their first credential or API key, removed by the operator.

use serde::Serialize;

use crate::clock::UnixTime;
use crate::id::UserId;
use crate::store::UserRow;
use crate::vault::crypto::keyring::Keyring;
use crate::vault::crypto::record::{self, RecordAad};
use crate::vault::error::VaultError;
use crate::vault::txn::audit_context::AuditContext;
use crate::vault::txn::audit_row::{Action, Subject};
use crate::vault::txn::core::VaultCore;
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

    /// Returns true if the user exists.
    pub fn exists(self, user: &UserId) -> Result<bool, VaultError> {
        self.core.read(|view, keyring| match view.user(user.as_str())? {
            Some(row) => read(keyring, &row, 0).map(|_| true),
            None => Ok(false),
        })
    }
}

/// Creates the user's row if it does not exist, and returns true if so.
pub(crate) fn ensure(txn: &mut WriteTxn<'_>, user: &UserId) -> Result<bool, VaultError> {
    if txn.tx.user(user.as_str())?.is_some() {
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
