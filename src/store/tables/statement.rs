//! Short forms of statements, for all tables.

use rusqlite::{OptionalExtension, Params, Row, ToSql, params_from_iter};

use crate::store::engine::{Tx, View};
use crate::store::error::StoreError;

/// A row with one sealed record.
pub(crate) trait SealedRow: Sized {
    const TABLE: &'static str;
    /// The column of the primary key.
    const KEY: &'static str;
    /// Returns the record.
    fn sealed(&self) -> &[u8];
    /// Returns all columns.
    fn columns(&self) -> NewRow<'_>;
    /// Reads all columns.
    fn read(row: &Row<'_>) -> rusqlite::Result<Self>;
}

/// The columns of a row that is inserted.
pub(crate) struct NewRow<'r> {
    /// Names, as SQL.
    pub(super) names: &'static str,
    pub(super) values: Vec<&'r dyn ToSql>,
}

/// Reads the columns of these names into the fields of `Self`, a row of a table.
macro_rules! read_columns {
    ($row:ident; $($column:ident),+) => {
        Ok(Self { $($column: $row.get(stringify!($column))?),+ })
    };
}

/// Returns the columns of these names, from the fields of a row or of several.
macro_rules! columns {
    ($row:ident; $($column:ident),+) => {
        $crate::store::tables::statement::columns!($($row.$column),+)
    };
    ($row:ident.$column:ident $(, $more_row:ident.$more:ident)*) => {
        $crate::store::tables::statement::NewRow {
            names: concat!(stringify!($column) $(, ", ", stringify!($more))*),
            values: vec![&$row.$column as &dyn rusqlite::ToSql $(, &$more_row.$more)*],
        }
    };
}

/// Implements [`SealedRow`] for a type whose fields are the columns.
macro_rules! sealed_row {
    ($type:ident, $table:literal by $key:literal; $($column:ident),+) => {
        impl $crate::store::tables::statement::SealedRow for $type {
            const TABLE: &'static str = $table;
            const KEY: &'static str = $key;

            fn sealed(&self) -> &[u8] {
                &self.sealed
            }

            fn columns(&self) -> $crate::store::tables::statement::NewRow<'_> {
                let row = self;
                $crate::store::tables::statement::columns!(row; $($column),+)
            }

            fn read(row: &rusqlite::Row<'_>) -> rusqlite::Result<Self> {
                $crate::store::tables::statement::read_columns!(row; $($column),+)
            }
        }
    };
}
pub(super) use {columns, read_columns, sealed_row};

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

    /// Returns up to `limit` rows of a table in the order of their keys, after one or from the
    /// first, without those under the data key `but`. A key that is a hash is given in hex.
    pub(crate) fn sealed_rows<R: SealedRow>(
        &self,
        after: Option<&str>,
        but: Option<u32>,
        limit: u32,
    ) -> Result<Vec<R>, StoreError> {
        let (than, after) = behind(after);
        let (table, key) = (R::TABLE, R::KEY);
        let value = if matches!(key, "state_hash" | "lookup") { "unhex(?)" } else { "?" };
        let sql =
            format!("SELECT * FROM {table} WHERE {key} {than} {value} AND data_key IS NOT ? ORDER BY {key} LIMIT ?");
        self.rows(&sql, (after, but, limit), R::read)
    }
}

impl Tx<'_> {
    /// Runs a statement without rows, which is prepared once for each connection.
    pub(super) fn execute(&self, sql: &str, values: impl Params) -> Result<(), StoreError> {
        self.connection.prepare_cached(sql)?.execute(values)?;
        Ok(())
    }

    /// Inserts a row. An existing key is an error.
    pub(super) fn insert(&self, table: &str, row: NewRow<'_>) -> Result<(), StoreError> {
        let NewRow { names, values } = row;
        let places = "?, ".repeat(values.len() - 1);
        self.execute(&format!("INSERT INTO {table} ({names}) VALUES ({places}?)"), params_from_iter(values))
    }

    /// Inserts a row whose record must be sealed under the current data key.
    pub(crate) fn insert_sealed<R: SealedRow>(&self, row: &R) -> Result<(), StoreError> {
        self.current_data_key(row.sealed())?;
        self.insert(R::TABLE, row.columns())
    }
}

/// Returns the operator and the key with which a scan continues after a row. Without one it starts
/// at the first row, even if its key is empty.
pub(super) fn behind(after: Option<&str>) -> (&'static str, &str) {
    after.map_or((">=", ""), |key| (">", key))
}
