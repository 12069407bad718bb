//! Short forms of statements, for all tables.

use rusqlite::{OptionalExtension, Params, Row};

use crate::store::engine::{Tx, View};
use crate::store::error::StoreError;

/// Reads the columns of these names into the fields of `Self`, a row of a table.
macro_rules! read_columns {
    ($row:ident; $($column:ident),+) => {
        Ok(Self { $($column: $row.get(stringify!($column))?),+ })
    };
}
pub(super) use read_columns;

impl View<'_> {
    /// Returns all rows of a statement, which is prepared once for each connection.
    pub(super) fn rows<T>(
        &self,
        sql: &str,
        values: impl Params,
        read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, StoreError> {
        let mut statement = self.connection.prepare_cached(sql)?;
        Ok(statement.query_map(values, read)?.collect::<Result<_, _>>()?)
    }

    /// Returns the only row of a statement; `None` if there is no row.
    pub(super) fn row<T>(
        &self,
        sql: &str,
        values: impl Params,
        read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Option<T>, StoreError> {
        Ok(self.connection.prepare_cached(sql)?.query_row(values, read).optional()?)
    }

    /// Returns up to `limit` sealed rows of a table in the order of their keys, after one or from
    /// the first, without those under the data key `but`. A key that is a hash is given in hex.
    pub(super) fn sealed_rows<T>(
        &self,
        (table, key): (&str, &str),
        after: Option<&str>,
        but: Option<u32>,
        limit: u32,
        read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, StoreError> {
        let (than, after) = behind(after);
        let value = if matches!(key, "state_hash" | "lookup") { "unhex(?)" } else { "?" };
        let sql =
            format!("SELECT * FROM {table} WHERE {key} {than} {value} AND data_key IS NOT ? ORDER BY {key} LIMIT ?");
        self.rows(&sql, (after, but, limit), read)
    }
}

impl Tx<'_> {
    /// Runs a statement without rows, which is prepared once for each connection.
    pub(super) fn execute(&self, sql: &str, values: impl Params) -> Result<(), StoreError> {
        self.connection.prepare_cached(sql)?.execute(values)?;
        Ok(())
    }
}

/// Returns the operator and the key with which a scan continues after a row. Without one it starts
/// at the first row, even if its key is empty.
pub(super) fn behind(after: Option<&str>) -> (&'static str, &str) {
    after.map_or((">=", ""), |key| (">", key))
}
