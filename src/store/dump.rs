//! Rows of all tables as plain values, for backups.
//!
//! Tables and columns are those of this program's schema. A table that another program created is
//! not included.

use rusqlite::types::ValueRef;

use super::engine::View;
use super::error::StoreError;
use super::schema::{Table, quoted};

impl View<'_> {
    /// Calls `each` with every row of a table. No row is kept in memory.
    pub(crate) fn each_row<E: From<StoreError>>(
        &self,
        table: &Table,
        mut each: impl FnMut(&[ValueRef<'_>]) -> Result<(), E>,
    ) -> Result<(), E> {
        let sql = format!("SELECT {} FROM {}", table.quoted_columns(), quoted(&table.name));
        let mut statement = self.connection.prepare(&sql).map_err(StoreError::from)?;
        let mut rows = statement.query([]).map_err(StoreError::from)?;
        while let Some(row) = rows.next().map_err(StoreError::from)? {
            let values: Result<Vec<_>, _> = (0..table.columns.len()).map(|at| row.get_ref(at)).collect();
            each(&values.map_err(StoreError::from)?)?;
        }
        Ok(())
    }
}
