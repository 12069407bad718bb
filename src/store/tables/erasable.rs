//! Rows that can be erased whatever is wrong with them, by the bytes of their keys: they end by themselves, or are made anew.

use crate::store::engine::{Tx, View};
use crate::store::error::StoreError;

/// A table of such rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Erasable {
    Pending,
    Revocation,
    Registration,
    SigningKey,
}

/// All of them.
pub(crate) const ERASABLE: [Erasable; 4] =
    [Erasable::Pending, Erasable::Revocation, Erasable::Registration, Erasable::SigningKey];

impl Erasable {
    /// As the vault calls the table, and the column of its key.
    fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::Pending => ("pending_authorization", "state_hash"),
            Self::Revocation => ("revocation", "id"),
            Self::Registration => ("client_registration", "lookup"),
            Self::SigningKey => ("signing_key", "id"),
        }
    }

    /// As the vault calls it.
    pub(crate) fn table(self) -> &'static str {
        self.names().0
    }
}

impl View<'_> {
    /// The key of every row, whether or not it is a text.
    pub(crate) fn erasable_keys(&self, table: Erasable) -> Result<Vec<Vec<u8>>, StoreError> {
        let (table, key) = table.names();
        let mut statement = self.connection.prepare_cached(&format!("SELECT CAST({key} AS BLOB) FROM {table}"))?;
        Ok(statement.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?)
    }
}

impl Tx<'_> {
    /// Erases the row with this key; whether there was one.
    pub(crate) fn erase(&self, table: Erasable, key: &[u8]) -> Result<bool, StoreError> {
        let (table, column) = table.names();
        let is = if column == "id" { "CAST(? AS TEXT)" } else { "?" };
        let by_key =
            self.connection.prepare_cached(&format!("DELETE FROM {table} WHERE {column} = {is}"))?.execute([key])?;
        if by_key > 0 {
            return Ok(true);
        }
        // It is not where its key would be looked for.
        let sql = format!("DELETE FROM {table} WHERE CAST({column} AS BLOB) = ?");
        Ok(self.connection.prepare_cached(&sql)?.execute([key])? > 0)
    }
}
