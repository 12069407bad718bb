//! Users: they come into being with their first credential or API key, and go when an operator says so.

use crate::clock::UnixTime;
use crate::id::UserId;
use crate::store::UserRow;
use crate::vault::api_keys::api_key_cache;
use crate::vault::credentials::metadata::KnownUser;
use crate::vault::crypto::keyring::Keyring;
use crate::vault::crypto::record::{self, RecordAad};
use crate::vault::error::VaultError;
use crate::vault::logins::pending_login;
use crate::vault::open::Vault;
use crate::vault::txn::audit_context::AuditContext;
use crate::vault::txn::audit_row::{Action, Subject};
use crate::vault::txn::write_txn::Ledger;

impl Vault {
    /// Adds a user; `false` where it is there already.
    pub async fn add_user(&self, user: &UserId, who: &AuditContext) -> Result<bool, VaultError> {
        let user = user.clone();
        self.change(who, move |ledger| {
            let new = ensure(ledger, &user)?;
            if new {
                ledger.record(Action::UserAdd, Subject { user: Some(&user), ..Subject::default() })?;
            }
            Ok(new)
        })
        .await
    }

    /// Every user, by id.
    pub fn users(&self) -> Result<Vec<KnownUser>, VaultError> {
        self.look(|view, keyring| view.users()?.iter().map(|(row, count)| read(keyring, row, *count)).collect())
    }

    /// Whether the user is known.
    pub fn has_user(&self, user: &UserId) -> Result<bool, VaultError> {
        self.look(|view, keyring| match view.user(user.as_str())? {
            Some(row) => read(keyring, &row, 0).map(|_| true),
            None => Ok(false),
        })
    }

    /// Erases a user with its API keys and begun logins; `false` where it is unknown. Its credentials are to be
    /// deleted before, each with its revocation: [`VaultError::UserHasCredentials`] where one is left.
    pub async fn remove_user(&self, user: &UserId, who: &AuditContext) -> Result<bool, VaultError> {
        let user = user.clone();
        self.change_for_good(who, move |ledger| {
            let Some(row) = ledger.tx.user(user.as_str())? else { return Ok(false) };
            if !ledger.tx.credentials(user.as_str(), None, "", Some(1))?.is_empty() {
                return Err(VaultError::UserHasCredentials);
            }
            api_key_cache::remove_of(ledger, user.as_str())?;
            pending_login::remove_of(ledger, user.as_str())?;
            ledger.removed(&place(&row), &row.sealed)?;
            ledger.tx.delete_user(user.as_str())?;
            ledger.record(Action::UserRemove, Subject { user: Some(&user), ..Subject::default() })?;
            Ok(true)
        })
        .await
    }
}

/// Makes the user's row where there is none; whether it was made.
pub(in crate::vault) fn ensure(ledger: &mut Ledger<'_>, user: &UserId) -> Result<bool, VaultError> {
    if ledger.tx.user(user.as_str())?.is_some() {
        return Ok(false);
    }
    let data_key = ledger.keyring.current_data_key().version;
    let mut row = UserRow { id: user.to_string(), created_at: ledger.now.0, revision: 1, data_key, sealed: Vec::new() };
    row.sealed = ledger.seal(&place(&row), &[])?;
    ledger.tx.insert_user(&row)?;
    ledger.added(&place(&row), &row.sealed)?;
    Ok(true)
}

fn read(keyring: &Keyring, row: &UserRow, credentials: u64) -> Result<KnownUser, VaultError> {
    record::open(keyring, &place(row), row.data_key, &row.sealed)?;
    let id = row.id.parse().map_err(|_| VaultError::DamagedRow {
        table: "user",
        id: row.id.clone(),
        what: "the id is not a user's",
    })?;
    Ok(KnownUser { id, created_at: UnixTime(row.created_at), credentials })
}

pub(in crate::vault) fn place(row: &UserRow) -> RecordAad<'_> {
    RecordAad {
        table: "user",
        column: "sealed",
        row: &row.id,
        revision: row.revision,
        user: &row.id,
        more: std::slice::from_ref(&row.created_at),
        ..RecordAad::default()
    }
}
