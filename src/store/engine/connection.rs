//! Opens connections, with the settings that durability and tamper resistance depend on.

use std::path::Path;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use crate::store::error::StoreError;

/// Longest wait for the write lock of another process, whose commands are short.
const BUSY: Duration = Duration::from_secs(5);

/// Sleep between two attempts. SQLite's own busy handler sleeps up to 100 ms, and a process that
/// writes again and again (a rotation) would win each time.
const TRY_AGAIN_AFTER: Duration = Duration::from_millis(1);

/// Prepared statements kept by each connection; the writer has about forty.
const WRITER_STATEMENTS: usize = 64;
const READER_STATEMENTS: usize = 24;

/// Opens the connection that writes. WAL with `synchronous=FULL`: an answered commit survives a
/// power cut (`NORMAL` lost almost half in a measured one).
pub(crate) fn open_writer(path: &Path) -> Result<Connection, StoreError> {
    let connection = open_new(path)?;
    use_wal(&connection)?;
    Ok(connection)
}

/// Opens the connection that writes a new, empty file, with a rollback journal. `secure_delete=ON`
/// overwrites what is deleted (`FAST` leaves 94 % of it).
pub(crate) fn open_new(path: &Path) -> Result<Connection, StoreError> {
    let mut connection = open(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    connection.busy_handler(Some(try_again))?;
    connection.set_prepared_statement_cache_capacity(WRITER_STATEMENTS);
    connection.pragma_update(None, "secure_delete", true)?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "cache_size", -2048)?;
    Ok(connection)
}

/// Changes the file's journal to a write-ahead log, for good.
pub(crate) fn use_wal(connection: &Connection) -> Result<(), StoreError> {
    let mode: String = connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))?;
    if mode != "wal" {
        return Err(StoreError::Sqlite(format!("the file's journal mode is {mode} and cannot be changed to WAL")));
    }
    Ok(connection.pragma_update(None, "journal_size_limit", 8 << 20)?)
}

/// Runs a statement that begins or ends a transaction; it is prepared once for each connection.
pub(crate) fn execute(connection: &Connection, sql: &str) -> Result<(), StoreError> {
    connection.prepare_cached(sql)?.execute([])?;
    Ok(())
}

/// Returns true if SQLite is to try again, after this many attempts.
fn try_again(tries: i32) -> bool {
    std::thread::sleep(TRY_AGAIN_AFTER);
    u128::from(tries.unsigned_abs()) < BUSY.as_millis() / TRY_AGAIN_AFTER.as_millis()
}

/// Opens a connection that can only read.
pub(crate) fn open_reader(path: &Path) -> Result<Connection, StoreError> {
    let connection = open(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    connection.set_prepared_statement_cache_capacity(READER_STATEMENTS);
    connection.pragma_update(None, "query_only", true)?;
    connection.pragma_update(None, "cache_size", -1024)?;
    Ok(connection)
}

/// Opens the connection that fills a new file. The rollback journal is in memory, and the file is
/// synced once at the end.
pub(crate) fn open_restore_target(path: &Path) -> Result<Connection, StoreError> {
    for_restore(open(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?)
}

/// Opens a file without a name. SQLite unlinks it at once, so that nothing remains after a kill.
pub(crate) fn open_scratch() -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    for_restore(harden(Connection::open_with_flags("", flags)?)?)
}

fn for_restore(connection: Connection) -> Result<Connection, StoreError> {
    connection.set_prepared_statement_cache_capacity(WRITER_STATEMENTS);
    connection.pragma_update_and_check(None, "journal_mode", "MEMORY", |_| Ok(()))?;
    connection.pragma_update(None, "synchronous", "OFF")?;
    connection.pragma_update(None, "cache_size", -8192)?;
    Ok(connection)
}

/// Opens a connection with the common settings: no symbolic links, no SQL from the schema that
/// could do harm, damaged cells found on reading. Our schema has no triggers and no views; an
/// attacker would add them to undo our writes.
fn open(path: &Path, access: OpenFlags) -> Result<Connection, StoreError> {
    let flags = access | OpenFlags::SQLITE_OPEN_NOFOLLOW | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    harden(Connection::open_with_flags(path, flags)?)
}

fn harden(connection: Connection) -> Result<Connection, StoreError> {
    connection.busy_timeout(BUSY)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_VIEW, false)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    connection.pragma_update(None, "cell_size_check", true)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    Ok(connection)
}

#[cfg(test)]
mod tests {
    use super::*;

    // tests/chaos/power_cut.rs shows that acknowledged writes are lost if syncs of the WAL are
    // dropped.
    #[test]
    fn commits_are_synced_and_deleted_data_is_overwritten() {
        const FULL: i64 = 2;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().canonicalize().unwrap().join("t.db");
        std::fs::write(&path, "").unwrap();
        let writer = open_writer(&path).unwrap();
        let number = |pragma: &str| writer.pragma_query_value(None, pragma, |row| row.get::<_, i64>(0)).unwrap();
        let text = |pragma: &str| writer.pragma_query_value(None, pragma, |row| row.get::<_, String>(0)).unwrap();
        assert_eq!((text("journal_mode"), number("synchronous")), ("wal".to_owned(), FULL));
        assert_eq!((number("secure_delete"), number("foreign_keys"), number("trusted_schema")), (1, 1, 0));
    }
}
