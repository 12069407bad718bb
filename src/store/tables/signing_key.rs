//! Rows of Strongroom's private signing keys.

use rusqlite::{Row, params};

use super::statement::read_columns;
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

impl SigningKeyRow {
    pub(super) fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        read_columns!(row; id, created_at, revision, data_key, sealed)
    }
}

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
    /// Inserts a key.
    pub(crate) fn insert_signing_key(&self, row: &SigningKeyRow) -> Result<(), StoreError> {
        let data_key = self.current_data_key(&row.sealed)?;
        self.execute(
            "INSERT INTO signing_key (id, created_at, revision, data_key, sealed) VALUES (?, ?, ?, ?, ?)",
            params![row.id, row.created_at, row.revision, data_key, row.sealed],
        )
    }
}
