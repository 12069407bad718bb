//! Rows of users.

use rusqlite::{OptionalExtension, Row, params};

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

impl UserRow {
    pub(super) fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            id: row.get(0)?,
            created_at: row.get(1)?,
            revision: row.get(2)?,
            data_key: row.get(3)?,
            sealed: row.get(4)?,
        })
    }
}

impl View<'_> {
    /// Returns one user.
    pub(crate) fn user(&self, id: &str) -> Result<Option<UserRow>, StoreError> {
        let mut statement = self
            .connection
            .prepare_cached("SELECT id, created_at, revision, data_key, sealed FROM user WHERE id = ?")?;
        Ok(statement.query_row([id], UserRow::read).optional()?)
    }

    /// Returns all users by id, each with the number of credentials.
    pub(crate) fn users(&self) -> Result<Vec<(UserRow, u64)>, StoreError> {
        let mut statement = self.connection.prepare_cached(
            "SELECT id, created_at, revision, data_key, sealed,
                 (SELECT count(*) FROM credential WHERE credential.user = user.id)
             FROM user ORDER BY id",
        )?;
        let rows = statement.query_map([], |row| {
            let credentials: i64 = row.get(5)?;
            Ok((UserRow::read(row)?, credentials.unsigned_abs()))
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}

impl Tx<'_> {
    /// Inserts a user.
    pub(crate) fn insert_user(&self, row: &UserRow) -> Result<(), StoreError> {
        let data_key = self.current_data_key(&row.sealed)?;
        self.connection
            .prepare_cached("INSERT INTO user (id, created_at, revision, data_key, sealed) VALUES (?, ?, ?, ?, ?)")?
            .execute(params![row.id, row.created_at, row.revision, data_key, row.sealed])?;
        Ok(())
    }

    /// Deletes a user without credentials.
    pub(crate) fn delete_user(&self, id: &str) -> Result<(), StoreError> {
        self.connection.prepare_cached("DELETE FROM user WHERE id = ?")?.execute([id])?;
        Ok(())
    }
}
