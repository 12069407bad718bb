//! Rows of users.

use super::statement::{SealedRow as _, sealed_row};
use crate::store::engine::{Tx, View};
use crate::store::error::StoreError;

/// A user.
pub(crate) struct UserRow {
    pub(crate) id: String,
    pub(crate) created_at: i64,
    pub(crate) revision: i64,
    pub(crate) data_key: u32,
    pub(crate) sealed: Vec<u8>,
}

sealed_row!(UserRow, "user" by "id"; id, created_at, revision, data_key, sealed);

impl View<'_> {
    /// Returns one user.
    pub(crate) fn user(&self, id: &str) -> Result<Option<UserRow>, StoreError> {
        self.row("SELECT * FROM user WHERE id = ?", [id], UserRow::read)
    }

    /// Returns true if the user exists.
    pub(crate) fn has_user(&self, id: &str) -> Result<bool, StoreError> {
        Ok(self.row("SELECT 1 FROM user WHERE id = ?", [id], |_| Ok(()))?.is_some())
    }

    /// Returns all users by id, each with the number of credentials.
    pub(crate) fn users(&self) -> Result<Vec<(UserRow, u64)>, StoreError> {
        let sql = "SELECT *, (SELECT count(*) FROM credential WHERE credential.user = user.id) AS credentials
             FROM user ORDER BY id";
        self.rows(sql, [], |row| Ok((UserRow::read(row)?, row.get::<_, i64>("credentials")?.unsigned_abs())))
    }
}

impl Tx<'_> {
    /// Deletes a user without credentials.
    pub(crate) fn delete_user(&self, id: &str) -> Result<(), StoreError> {
        self.execute("DELETE FROM user WHERE id = ?", [id])
    }
}
