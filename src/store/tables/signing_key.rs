//! Rows of Strongroom's private signing keys.

use rusqlite::{OptionalExtension, Row, params};

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
        Ok(Self {
            id: row.get("id")?,
            created_at: row.get("created_at")?,
            revision: row.get("revision")?,
            data_key: row.get("data_key")?,
            sealed: row.get("sealed")?,
        })
    }
}

impl View<'_> {
    /// Returns all keys, newest first.
    pub(crate) fn signing_keys(&self) -> Result<Vec<SigningKeyRow>, StoreError> {
        let mut statement = self.connection.prepare_cached("SELECT * FROM signing_key ORDER BY created_at DESC, id")?;
        Ok(statement.query_map([], SigningKeyRow::read)?.collect::<Result<_, _>>()?)
    }

    /// Returns one key.
    pub(crate) fn signing_key(&self, id: &str) -> Result<Option<SigningKeyRow>, StoreError> {
        let mut statement = self.connection.prepare_cached("SELECT * FROM signing_key WHERE id = ?")?;
        Ok(statement.query_row([id], SigningKeyRow::read).optional()?)
    }
}

impl Tx<'_> {
    /// Inserts a key.
    pub(crate) fn insert_signing_key(&self, row: &SigningKeyRow) -> Result<(), StoreError> {
        let data_key = self.current_data_key(&row.sealed)?;
        self.connection
            .prepare_cached(
                "INSERT INTO signing_key (id, created_at, revision, data_key, sealed) VALUES (?, ?, ?, ?, ?)",
            )?
            .execute(params![row.id, row.created_at, row.revision, data_key, row.sealed])?;
        Ok(())
    }
}
