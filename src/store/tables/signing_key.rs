//! Rows of Strongroom's private signing keys.

use super::statement::{SealedRow as _, sealed_row};
use crate::store::engine::{Tx, View};
use crate::store::error::StoreError;

/// A sealed private key.
pub(crate) struct SigningKeyRow {
    pub(crate) id: String,
    pub(crate) created_at: i64,
    pub(crate) revision: i64,
    pub(crate) data_key: u32,
    pub(crate) sealed: Vec<u8>,
}

sealed_row!(SigningKeyRow, "signing_key" by "id"; id, created_at, revision, data_key, sealed);

impl View<'_> {
    /// Returns all keys, newest first.
    pub(crate) fn signing_keys(&self) -> Result<Vec<SigningKeyRow>, StoreError> {
        self.rows("SELECT * FROM signing_key ORDER BY created_at DESC, id", [], SigningKeyRow::read)
    }

    /// Returns one key.
    pub(crate) fn signing_key(&self, id: &str) -> Result<Option<SigningKeyRow>, StoreError> {
        self.row("SELECT * FROM signing_key WHERE id = ?", [id], SigningKeyRow::read)
    }
}

impl Tx<'_> {
    /// Deletes one key.
    pub(crate) fn delete_signing_key(&self, id: &str) -> Result<(), StoreError> {
        self.execute("DELETE FROM signing_key WHERE id = ?", [id])
    }
}
