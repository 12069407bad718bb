//! Rows of requests that a person approves.

use rusqlite::{Row, params};

use super::statement::{SealedRow as _, behind, sealed_row};
use crate::store::engine::{Tx, View};
use crate::store::error::StoreError;

/// A request that waits for a person, or that a person decided about.
#[derive(Clone)]
pub(crate) struct ApprovalRow {
    pub(crate) id: String,
    pub(crate) key: String,
    pub(crate) credential: String,
    pub(crate) lookup: String,
    pub(crate) status: String,
    pub(crate) created_at: i64,
    pub(crate) expires_at: i64,
    pub(crate) revision: i64,
    pub(crate) data_key: u32,
    pub(crate) sealed: Vec<u8>,
}

sealed_row! {
    ApprovalRow, "approval" by "id";
    id, key, credential, lookup, status, created_at, expires_at, revision, data_key, sealed
}

/// A row, or the error of reading it.
pub(crate) type ReadApproval = Result<ApprovalRow, StoreError>;

fn read(row: &Row<'_>) -> ReadApproval {
    ApprovalRow::read(row).map_err(StoreError::from)
}

impl View<'_> {
    /// Returns one request.
    pub(crate) fn approval(&self, id: &str) -> Result<Option<ApprovalRow>, StoreError> {
        self.row("SELECT * FROM approval WHERE id = ?", [id], ApprovalRow::read)
    }

    /// Returns the requests of an API key with this lookup, oldest first.
    pub(crate) fn approvals_like(&self, key: &str, lookup: &str) -> Result<Vec<ReadApproval>, StoreError> {
        self.rows("SELECT * FROM approval WHERE key = ? AND lookup = ? ORDER BY id", [key, lookup], |row| Ok(read(row)))
    }

    /// Returns the number of requests of an API key that wait at `now`.
    pub(crate) fn pending_approvals(&self, key: &str, now: i64) -> Result<i64, StoreError> {
        let sql = "SELECT count(*) FROM approval WHERE key = ? AND status = 'pending' AND expires_at > ?";
        Ok(self.row(sql, params![key, now], |row| row.get(0))?.unwrap_or_default())
    }

    /// Returns the requests of an API key.
    pub(crate) fn approvals_of_key(&self, key: &str) -> Result<Vec<ReadApproval>, StoreError> {
        self.rows("SELECT * FROM approval WHERE key = ?", [key], |row| Ok(read(row)))
    }

    /// Returns the requests with a credential.
    pub(crate) fn approvals_of_credential(&self, credential: &str) -> Result<Vec<ReadApproval>, StoreError> {
        self.rows("SELECT * FROM approval WHERE credential = ?", [credential], |row| Ok(read(row)))
    }

    /// Returns up to `limit` requests that ended by `until`, or all if it is `None`, in the order of
    /// their ids after `after`, each with its id if that can be read.
    pub(crate) fn approvals_after(
        &self,
        until: Option<i64>,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<(Option<String>, ReadApproval)>, StoreError> {
        let (than, after) = behind(after);
        let sql = format!(
            "SELECT * FROM approval WHERE id {than} ? AND (?2 IS NULL OR expires_at <= ?2) ORDER BY id LIMIT ?"
        );
        self.rows(&sql, params![after, until, limit], |row| Ok((row.get("id").ok(), read(row))))
    }
}

impl Tx<'_> {
    /// Deletes one request.
    pub(crate) fn delete_approval(&self, id: &str) -> Result<(), StoreError> {
        self.execute("DELETE FROM approval WHERE id = ?", [id])
    }
}
