//! New vault file that is filled with the rows of a backup.
//!
//! It has a temporary name until it is complete, or no name at all if a backup is only verified.

use std::fs::File;
use std::path::{Path, PathBuf};

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, TransactionBehavior, params_from_iter};

use super::engine::{Tx, TxnState, View, connection, file};
use super::error::StoreError;
use super::schema::{self, Table};

/// The file. It is removed if it is dropped before it is published.
pub(crate) struct RestoreTarget {
    connection: Option<Connection>,
    tables: Vec<Table>,
    /// Path of the file; `None` if it has no name.
    path: Option<PathBuf>,
    /// Lock of the future path.
    _lock: Option<File>,
}

impl RestoreTarget {
    /// Creates a file in the folder of `target` (0600) with the schema of this version, and takes
    /// the lock of `target`. Neither `target` nor a journal beside it may exist: SQLite would apply
    /// an old journal to the new file.
    pub(crate) fn beside(target: &Path, version: u32, unique: &str) -> Result<Self, StoreError> {
        let lock = file::lock_new(target)?;
        let path = file::create(&file::partial(target, unique))?;
        match connection::open_restore_target(&path) {
            Ok(connection) => Self::begin(connection, Some(path), Some(lock), version),
            Err(error) => {
                file::remove_unfinished(&path);
                Err(error)
            }
        }
    }

    /// Creates a file without a name, in the system's temporary folder.
    pub(crate) fn scratch(version: u32) -> Result<Self, StoreError> {
        Self::begin(connection::open_scratch()?, None, None, version)
    }

    fn begin(
        connection: Connection,
        path: Option<PathBuf>,
        lock: Option<File>,
        version: u32,
    ) -> Result<Self, StoreError> {
        let mut target = Self { connection: Some(connection), tables: Vec::new(), path, _lock: lock };
        schema::lay_out_version(target.connection(), version)?;
        target.tables = schema::tables_in(target.connection())?;
        // Foreign keys are checked at the end: the tables come in any order.
        target.connection().execute_batch("PRAGMA foreign_keys = OFF; BEGIN IMMEDIATE")?;
        Ok(target)
    }

    /// Inserts a row.
    pub(crate) fn insert(&self, table: &Table, row: &[ValueRef<'_>]) -> Result<(), StoreError> {
        let known = self.tables.iter().find(|known| known.name == table.name);
        let known = known.filter(|known| table.columns.iter().all(|column| known.columns.contains(column)));
        if known.is_none() || row.len() != table.columns.len() {
            return Err(StoreError::Corrupt("a row of a table that this schema version does not have".into()));
        }
        self.connection()
            .prepare_cached(&table.insertion())?
            .execute(params_from_iter(row.iter().copied().map(ToSqlOutput::Borrowed)))?;
        Ok(())
    }

    /// Ends the rows: checks the foreign keys and migrates an older schema.
    pub(crate) fn end_rows(&mut self) -> Result<(), StoreError> {
        self.connection().execute_batch("COMMIT")?;
        let loose: bool =
            self.connection()
                .query_row("SELECT EXISTS (SELECT 1 FROM pragma_foreign_key_check)", [], |row| row.get(0))?;
        if loose {
            return Err(StoreError::Corrupt("a row refers to a missing row".into()));
        }
        let path = self.path.clone().unwrap_or_default();
        let connection = self.connection.as_mut().expect("only publish takes it");
        schema::migrate(connection, &path)?;
        Ok(connection.pragma_update(None, "foreign_keys", true)?)
    }

    /// Reads the file.
    pub(crate) fn read<T, E: From<StoreError>>(&self, read: impl FnOnce(&View<'_>) -> Result<T, E>) -> Result<T, E> {
        read(&View::uncached(self.connection()))
    }

    /// Changes the file in one transaction.
    pub(crate) fn write<T, E: From<StoreError>>(&mut self, work: impl FnOnce(&Tx<'_>) -> Result<T, E>) -> Result<T, E> {
        let connection = self.connection.as_mut().expect("only publish takes it");
        let whole = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(StoreError::from)?;
        let done = TxnState::alone(&whole, work)?;
        whole.commit().map_err(StoreError::from)?;
        Ok(done)
    }

    /// Closes and syncs the file, renames it without replacing another file, and syncs the folder.
    pub(crate) fn publish(mut self, target: &Path) -> Result<(), StoreError> {
        let (Some(connection), Some(path)) = (self.connection.take(), &self.path) else { return Ok(()) };
        connection.close().map_err(|(_, error)| StoreError::from(error))?;
        file::sync(path)?;
        file::must_be_free(target)?;
        file::rename_to_free(path, target)?;
        self.path = None;
        Ok(())
    }

    fn connection(&self) -> &Connection {
        self.connection.as_ref().expect("only publish takes it")
    }
}

impl Drop for RestoreTarget {
    fn drop(&mut self) {
        drop(self.connection.take());
        if let Some(path) = &self.path {
            file::remove_unfinished(path);
        }
    }
}

impl std::fmt::Debug for RestoreTarget {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RestoreTarget").field("path", &self.path).finish_non_exhaustive()
    }
}
