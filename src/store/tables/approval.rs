//! Rows of requests that a person approves.

use super::statement::{SealedRow as _, sealed_row};
use crate::store::engine::{Tx, View};
use crate::store::error::StoreError;

/// A request that waits for a person, or that a person decided about.
#[derive(Clone)]
pub(crate) struct ApprovalRow {
    pub(crate) id: String,
    pub(crate) key: String,
    pub(crate) credential: String,
    pub(crate) status: String,
    pub(crate) created_at: i64,
    pub(crate) expires_at: i64,
    pub(crate) revision: i64,
    pub(crate) data_key: u32,
    pub(crate) sealed: Vec<u8>,
}

sealed_row! {
    ApprovalRow, "approval" by "id";
    id, key, credential, status, created_at, expires_at, revision, data_key, sealed
}

impl View<'_> {
    /// Returns one request.
    pub(crate) fn approval(&self, id: &str) -> Result<Option<ApprovalRow>, StoreError> {
        self.row("SELECT * FROM approval WHERE id = ?", [id], ApprovalRow::read)
    }

    /// Returns the requests of an API key, oldest first.
    pub(crate) fn approvals_of_key(&self, key: &str) -> Result<Vec<ApprovalRow>, StoreError> {
        self.rows("SELECT * FROM approval WHERE key = ? ORDER BY id", [key], ApprovalRow::read)
    }

    /// Returns the requests with a credential.
    pub(crate) fn approvals_of_credential(&self, credential: &str) -> Result<Vec<ApprovalRow>, StoreError> {
        self.rows("SELECT * FROM approval WHERE credential = ?", [credential], ApprovalRow::read)
    }

    /// Returns up to `limit` requests that ended by `now`.
    pub(crate) fn ended_approvals(&self, now: i64, limit: u32) -> Result<Vec<ApprovalRow>, StoreError> {
        self.rows("SELECT * FROM approval WHERE expires_at <= ? ORDER BY id LIMIT ?", (now, limit), ApprovalRow::read)
    }
}

impl Tx<'_> {
    /// Deletes one request.
    pub(crate) fn delete_approval(&self, id: &str) -> Result<(), StoreError> {
        self.execute("DELETE FROM approval WHERE id = ?", [id])
    }
}
