//! Row counts for the status command.

use crate::store::engine::View;
use crate::store::error::StoreError;

/// Number of rows of each table.
pub(crate) struct Counts {
    pub(crate) users: u64,
    pub(crate) credentials: u64,
    pub(crate) api_keys: u64,
    pub(crate) pending: u64,
    pub(crate) revocations: u64,
    pub(crate) audit: u64,
}

impl View<'_> {
    /// Counts the rows of each table.
    pub(crate) fn counts(&self) -> Result<Counts, StoreError> {
        let count = |sql: &str| -> Result<u64, StoreError> {
            let count: i64 = self.connection.query_row(sql, [], |row| row.get(0))?;
            Ok(count.unsigned_abs())
        };
        Ok(Counts {
            users: count("SELECT count(*) FROM user")?,
            credentials: count("SELECT count(*) FROM credential")?,
            api_keys: count("SELECT count(*) FROM api_key")?,
            pending: count("SELECT count(*) FROM pending_authorization")?,
            revocations: count("SELECT count(*) FROM revocation")?,
            audit: count("SELECT count(*) FROM audit")?,
        })
    }
}
