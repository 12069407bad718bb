//! Schema versions: creates a new file, migrates an older one, and refuses a newer one.

use std::path::Path;

use rusqlite::{Connection, TransactionBehavior};

use super::engine::{Tx, TxnState};
use super::error::StoreError;

/// The `application_id` in the file's header, as schema.sql sets it.
const APPLICATION_ID: i32 = 0x5352_5654;

/// The `application_id` of the versions before the first release, whose schema is not read.
const UNRELEASED_ID: i32 = 0x5352_4F4D;

/// Version 1 of the schema.
const FIRST: &str = include_str!("../../schema.sql");

/// Migration steps: step `i` brings version `i + 1` to version `i + 2`. A released step is never
/// changed.
const STEPS: &[&str] = &[];

/// Schema version that this program writes and reads.
#[expect(clippy::cast_possible_truncation, reason = "there will never be four thousand million steps")]
pub const VERSION: u32 = 1 + STEPS.len() as u32;

/// Creates the schema in an empty file and lets `fill` insert the first rows, in one transaction.
pub(super) fn create<E: From<StoreError>>(
    connection: &mut Connection,
    fill: impl FnOnce(&Tx<'_>) -> Result<(), E>,
) -> Result<(), E> {
    // An immediate transaction would write the first page before the schema sets auto_vacuum. No
    // other process has the file open.
    let whole = connection.transaction().map_err(StoreError::from)?;
    lay_out_version(&whole, VERSION)?;
    whole.execute("INSERT INTO probe (one, at) VALUES (1, 0)", []).map_err(StoreError::from)?;
    TxnState::alone(&whole, fill)?;
    whole.commit().map_err(StoreError::from)?;
    Ok(())
}

/// Creates the tables of a version in an empty file, without rows.
pub(super) fn lay_out_version(connection: &Connection, version: u32) -> Result<(), StoreError> {
    if version == 0 || version > VERSION {
        return Err(StoreError::NewerFormat { found: version, known: VERSION });
    }
    connection.execute_batch(FIRST)?;
    for step in STEPS.iter().take(usize::try_from(version - 1).expect("a small number")) {
        connection.execute_batch(step)?;
    }
    connection.pragma_update(None, "user_version", version)?;
    Ok(())
}

/// A table with its columns in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Table {
    pub(crate) name: String,
    pub(crate) columns: Vec<String>,
}

impl Table {
    /// Returns all tables of the current schema, by name.
    pub(crate) fn all() -> Result<Vec<Self>, StoreError> {
        let model = Connection::open_in_memory()?;
        lay_out_version(&model, VERSION)?;
        tables_in(&model)
    }

    pub(super) fn quoted_columns(&self) -> String {
        self.columns.iter().map(|column| quoted(column)).collect::<Vec<_>>().join(", ")
    }

    pub(super) fn insertion(&self) -> String {
        let places = vec!["?"; self.columns.len()].join(", ");
        format!("INSERT OR REPLACE INTO {} ({}) VALUES ({places})", quoted(&self.name), self.quoted_columns())
    }
}

/// Returns the tables of a file by name, each with its columns in order.
pub(super) fn tables_in(connection: &Connection) -> Result<Vec<Table>, StoreError> {
    let mut names = connection.prepare(
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND substr(name, 1, 7) <> 'sqlite_' ORDER BY name",
    )?;
    let mut columns = connection.prepare("SELECT name FROM pragma_table_info(?) ORDER BY cid")?;
    let names: Vec<String> = names.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
    let table = |name: String| {
        let columns = columns.query_map([&name], |row| row.get(0))?.collect::<Result<_, _>>()?;
        Ok(Table { name, columns })
    };
    names.into_iter().map(table).collect()
}

/// Quotes the name of a table or column.
pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Checks the file's version and applies the missing steps in one transaction, so that a kill
/// leaves the old version or the new one.
pub(super) fn migrate(connection: &mut Connection, path: &Path) -> Result<(), StoreError> {
    migrate_by(connection, path, STEPS)
}

fn migrate_by(connection: &mut Connection, path: &Path, steps: &[&str]) -> Result<(), StoreError> {
    let known = 1 + u32::try_from(steps.len()).expect("a handful");
    if version(connection, path, known)? == known {
        return Ok(());
    }
    let whole = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // Read again, because another process may have migrated in the meantime.
    let found = version(&whole, path, known)?;
    for step in steps.iter().skip(usize::try_from(found - 1).expect("a handful")) {
        whole.execute_batch(step)?;
    }
    whole.pragma_update(None, "user_version", known)?;
    whole.commit()?;
    Ok(())
}

fn version(connection: &Connection, path: &Path, known: u32) -> Result<u32, StoreError> {
    let id: i32 = connection.pragma_query_value(None, "application_id", |row| row.get(0))?;
    let found: u32 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    match found {
        _ if id == UNRELEASED_ID => Err(StoreError::Unreleased(path.to_owned())),
        _ if id != APPLICATION_ID => Err(StoreError::NotAVault(path.to_owned())),
        0 => Err(StoreError::NotAVault(path.to_owned())),
        found if found > known => Err(StoreError::NewerFormat { found, known }),
        found => Ok(found),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::engine::connection::{open_new, open_writer, use_wal};
    use crate::store::engine::file::beside;

    fn first_version() -> Connection {
        let mut connection = Connection::open_in_memory().unwrap();
        create::<StoreError>(&mut connection, |_| Ok(())).unwrap();
        connection
    }

    fn tables(connection: &Connection) -> i64 {
        connection.query_row("SELECT count(*) FROM sqlite_schema WHERE type = 'table'", [], |row| row.get(0)).unwrap()
    }

    #[test]
    fn steps_are_applied_together_or_not_at_all() {
        let mut connection = first_version();
        let before = tables(&connection);
        let path = Path::new("x");
        let broken = ["CREATE TABLE later (a INTEGER) STRICT", "CREATE TABLE later (a INTEGER) STRICT"];
        assert!(migrate_by(&mut connection, path, &broken).is_err());
        assert_eq!((tables(&connection), version(&connection, path, 9).unwrap()), (before, 1));
        let whole = ["CREATE TABLE later (a INTEGER) STRICT", "CREATE TABLE latest (a INTEGER) STRICT"];
        migrate_by(&mut connection, path, &whole).unwrap();
        assert_eq!((tables(&connection), version(&connection, path, 9).unwrap()), (before + 2, 3));
        migrate_by(&mut connection, path, &whole).unwrap();
    }

    #[test]
    fn new_file_has_auto_vacuum_and_wal() {
        const INCREMENTAL: i64 = 2;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().canonicalize().unwrap().join("v.db");
        std::fs::write(&path, "").unwrap();
        let mut connection = open_new(&path).unwrap();
        create::<StoreError>(&mut connection, |_| Ok(())).unwrap();
        use_wal(&connection).unwrap();
        let auto_vacuum: i64 = connection.pragma_query_value(None, "auto_vacuum", |row| row.get(0)).unwrap();
        let journal: String = connection.pragma_query_value(None, "journal_mode", |row| row.get(0)).unwrap();
        assert_eq!((auto_vacuum, journal.as_str()), (INCREMENTAL, "wal"));
    }

    // A kill is a copy of the files as they are at that moment.
    #[test]
    fn a_killed_migration_leaves_the_old_version() {
        let folder = tempfile::tempdir().unwrap();
        let [path, killed] = ["v.db", "killed.db"].map(|name| folder.path().canonicalize().unwrap().join(name));
        std::fs::write(&path, "").unwrap();
        let mut connection = open_new(&path).unwrap();
        create::<StoreError>(&mut connection, |_| Ok(())).unwrap();
        use_wal(&connection).unwrap();
        let step = "CREATE TABLE later (a INTEGER) STRICT";
        let version_after_kill = |known: u32| {
            for suffix in ["", "-wal"] {
                std::fs::copy(beside(&path, suffix), beside(&killed, suffix)).unwrap();
            }
            let _ = std::fs::remove_file(beside(&killed, "-shm"));
            let connection = open_writer(&killed).unwrap();
            (version(&connection, &killed, known).unwrap(), tables(&connection))
        };
        let before = tables(&connection);
        let whole = connection.transaction_with_behavior(TransactionBehavior::Immediate).unwrap();
        whole.pragma_update(None, "cache_size", 1).unwrap();
        whole.execute_batch(step).unwrap();
        whole.pragma_update(None, "user_version", 2).unwrap();
        whole.cache_flush().unwrap();
        assert_eq!(version_after_kill(2), (1, before));
        whole.rollback().unwrap();
        migrate_by(&mut connection, &path, &[step]).unwrap();
        assert_eq!(version_after_kill(2), (2, before + 1));
    }

    #[test]
    fn newer_unreleased_and_foreign_files_are_refused() {
        let mut connection = first_version();
        connection.pragma_update(None, "user_version", 700).unwrap();
        let error = migrate(&mut connection, Path::new("x")).unwrap_err();
        assert!(matches!(error, StoreError::NewerFormat { found: 700, known: VERSION }), "{error}");
        connection.pragma_update(None, "application_id", UNRELEASED_ID).unwrap();
        connection.pragma_update(None, "user_version", 6).unwrap();
        assert!(matches!(migrate(&mut connection, Path::new("x")), Err(StoreError::Unreleased(_))));
        let mut foreign = Connection::open_in_memory().unwrap();
        assert!(matches!(migrate(&mut foreign, Path::new("x")), Err(StoreError::NotAVault(_))));
    }
}
