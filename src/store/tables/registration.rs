//! Rows of client registrations (RFC 7591).

use rusqlite::{OptionalExtension, Row, params};

use super::scan_start::behind;
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
        Ok(Self {
            lookup: row.get("lookup")?,
            created_at: row.get("created_at")?,
            revision: row.get("revision")?,
            data_key: row.get("data_key")?,
            sealed: row.get("sealed")?,
        })
    }
}

impl View<'_> {
    /// Returns the registration with this keyed hash.
    pub(crate) fn registration(&self, lookup: &[u8; 32]) -> Result<Option<RegistrationRow>, StoreError> {
        let mut statement = self.connection.prepare_cached("SELECT * FROM client_registration WHERE lookup = ?")?;
        Ok(statement.query_row([lookup], RegistrationRow::read).optional()?)
    }
}

impl View<'_> {
    /// Returns up to `limit` registrations after the one with this hash in hex, or from the first,
    /// without those under the data key `but`.
    pub(crate) fn registrations_after(
        &self,
        after: Option<&str>,
        but: Option<u32>,
        limit: u32,
    ) -> Result<Vec<RegistrationRow>, StoreError> {
        let (than, after) = behind(after);
        let sql = format!(
            "SELECT * FROM client_registration WHERE lookup {than} unhex(?) AND data_key IS NOT ? ORDER BY lookup LIMIT ?"
        );
        let mut statement = self.connection.prepare_cached(&sql)?;
        Ok(statement.query_map(params![after, but, limit], RegistrationRow::read)?.collect::<Result<_, _>>()?)
    }
}

impl Tx<'_> {
    /// Deletes the registration with this hash.
    pub(crate) fn delete_registration(&self, lookup: &[u8; 32]) -> Result<(), StoreError> {
        self.connection.prepare_cached("DELETE FROM client_registration WHERE lookup = ?")?.execute([lookup])?;
        Ok(())
    }

    /// Stores a registration, in place of an older one with the same hash.
    pub(crate) fn put_registration(&self, row: &RegistrationRow) -> Result<(), StoreError> {
        let data_key = self.current_data_key(&row.sealed)?;
        self.connection
            .prepare_cached(
                "INSERT OR REPLACE INTO client_registration (lookup, created_at, revision, data_key, sealed)
                 VALUES (?, ?, ?, ?, ?)",
            )?
            .execute(params![row.lookup, row.created_at, row.revision, data_key, row.sealed])?;
        Ok(())
    }
}
