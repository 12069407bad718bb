//! Rows of all tables as plain values, for backups.
//!
//! Tables and columns are those of this program's schema. A table that another program created is
//! not included.

use rusqlite::ToSql;
use rusqlite::types::{ToSqlOutput, Value, ValueRef};

use super::engine::View;
use super::error::StoreError;
use super::schema::{Table, quoted};

/// One value of a row. The tables are STRICT and have no other types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cell<'r> {
    Null,
    Integer(i64),
    Text(&'r str),
    Blob(&'r [u8]),
}

impl ToSql for Cell<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match *self {
            Cell::Null => ToSqlOutput::Owned(Value::Null),
            Cell::Integer(number) => ToSqlOutput::Owned(Value::Integer(number)),
            Cell::Text(text) => ToSqlOutput::Borrowed(ValueRef::Text(text.as_bytes())),
            Cell::Blob(bytes) => ToSqlOutput::Borrowed(ValueRef::Blob(bytes)),
        })
    }
}

impl<'r> TryFrom<ValueRef<'r>> for Cell<'r> {
    type Error = StoreError;

    fn try_from(value: ValueRef<'r>) -> Result<Self, StoreError> {
        let strange = || StoreError::Corrupt("a value of a type that is never written".into());
        Ok(match value {
            ValueRef::Null => Self::Null,
            ValueRef::Integer(number) => Self::Integer(number),
            ValueRef::Text(text) => Self::Text(std::str::from_utf8(text).map_err(|_| strange())?),
            ValueRef::Blob(bytes) => Self::Blob(bytes),
            ValueRef::Real(_) => return Err(strange()),
        })
    }
}

impl View<'_> {
    /// Calls `each` with every row of a table. No row is kept in memory.
    pub(crate) fn each_row<E: From<StoreError>>(
        &self,
        table: &Table,
        mut each: impl FnMut(&[Cell<'_>]) -> Result<(), E>,
    ) -> Result<(), E> {
        let sql = format!("SELECT {} FROM {}", table.quoted_columns(), quoted(&table.name));
        let mut statement = self.connection.prepare(&sql).map_err(StoreError::from)?;
        let mut rows = statement.query([]).map_err(StoreError::from)?;
        while let Some(row) = rows.next().map_err(StoreError::from)? {
            let cells: Result<Vec<Cell<'_>>, StoreError> =
                (0..table.columns.len()).map(|at| Cell::try_from(row.get_ref(at)?)).collect();
            each(&cells?)?;
        }
        Ok(())
    }
}
