//! Rows of client registrations (RFC 7591).

use rusqlite::{Row, params};

use super::statement::read_columns;
use crate::store::engine::{Tx, View};
use crate::store::error::StoreError;

/// Our client at one authorization server, for one redirect URI.
#[derive(Clone)]
pub(crate) struct RegistrationRow {
    pub(crate) lookup: [u8; 32],
    pub(crate) created_at: i64,
    pub(crate) revision: i64,
    pub(crate) data_key: u32,
    pub(crate) sealed: Vec<u8>,
}

impl RegistrationRow {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        read_columns!(row; lookup, created_at, revision, data_key, sealed)
    }
}

impl View<'_> {
    /// Returns the registration with this keyed hash.
    pub(crate) fn registration(&self, lookup: &[u8; 32]) -> Result<Option<RegistrationRow>, StoreError> {
        self.row("SELECT * FROM client_registration WHERE lookup = ?", [lookup], RegistrationRow::read)
    }

    /// Returns up to `limit` registrations after the one with this hash in hex, or from the first,
    /// without those under the data key `but`.
    pub(crate) fn registrations_after(
        &self,
        after: Option<&str>,
        but: Option<u32>,
        limit: u32,
    ) -> Result<Vec<RegistrationRow>, StoreError> {
        self.sealed_rows(("client_registration", "lookup"), after, but, limit, RegistrationRow::read)
    }
}

impl Tx<'_> {
    /// Deletes the registration with this hash.
    pub(crate) fn delete_registration(&self, lookup: &[u8; 32]) -> Result<(), StoreError> {
        self.execute("DELETE FROM client_registration WHERE lookup = ?", [lookup])
    }

    /// Stores a registration, in place of an older one with the same hash.
    pub(crate) fn put_registration(&self, row: &RegistrationRow) -> Result<(), StoreError> {
        let data_key = self.current_data_key(&row.sealed)?;
        self.execute(
            "INSERT OR REPLACE INTO client_registration (lookup, created_at, revision, data_key, sealed)
             VALUES (?, ?, ?, ?, ?)",
            params![row.lookup, row.created_at, row.revision, data_key, row.sealed],
        )
    }
}
