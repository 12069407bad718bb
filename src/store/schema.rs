//! Versions of the schema: a new file gets the first, an older one is brought up to date, a newer one is refused.

use std::path::Path;

use rusqlite::{Connection, TransactionBehavior};

use super::engine::{Tx, TxnState};
use super::error::StoreError;

/// "SROM": what `file(1)` and SQLite see in the header.
const APPLICATION_ID: i32 = 0x5352_4F4D;

/// Version 1, commented.
const FIRST: &str = include_str!("../../schema.sql");

/// Our own private keys (RFC 7523), by thumbprint; `sealed` holds the key. The newest signs, and all of them are published.
const SIGNING_KEYS: &str = "
    CREATE TABLE signing_key (
        id TEXT NOT NULL PRIMARY KEY,
        created_at INTEGER NOT NULL,
        revision INTEGER NOT NULL,
        data_key INTEGER NOT NULL,
        sealed BLOB NOT NULL
    ) STRICT, WITHOUT ROWID;
";

/// Clients that registered themselves (RFC 7591), by a keyed hash of issuer and redirect URI; `sealed` holds the rest.
const CLIENT_REGISTRATIONS: &str = "
    CREATE TABLE client_registration (
        lookup BLOB NOT NULL PRIMARY KEY CHECK (length(lookup) = 32),
        created_at INTEGER NOT NULL,
        revision INTEGER NOT NULL,
        data_key INTEGER NOT NULL,
        sealed BLOB NOT NULL
    ) STRICT, WITHOUT ROWID;
";

/// Step `i` brings version `i + 1` to version `i + 2`. Steps that landed are never changed.
const STEPS: &[&str] = &[SIGNING_KEYS, CLIENT_REGISTRATIONS, BACKGROUND_REFRESH, AUDIT_BASE, RESTORED];

/// To version 4: `refresh_at` is when the background looks at a credential next, whether to refresh it. It is authenticated
/// by nothing and decides nothing: what is done then is decided by what is sealed. Credentials of version 1 are looked at
/// ten minutes before their tokens end.
const BACKGROUND_REFRESH: &str = "
    ALTER TABLE credential ADD COLUMN refresh_at INTEGER;
    CREATE INDEX credential_refresh ON credential (refresh_at) WHERE refresh_at IS NOT NULL;
    UPDATE credential SET refresh_at = expires_at - 600
        WHERE kind = 'oauth2' AND status = 'active' AND expires_at IS NOT NULL;
";

/// To version 5: the sealed manifest knows where the audit log begins, which an older program would take for damage. An older
/// manifest is read as it is, so that no table changes.
const AUDIT_BASE: &str = "-- nothing but the version";

/// To version 6: the sealed manifest may say that the vault was restored from a backup. The tables stay; a program that would
/// not heed it refuses the file.
const RESTORED: &str = "-- nothing but the version";

/// The version that this program writes and reads.
#[expect(clippy::cast_possible_truncation, reason = "there will never be four thousand million steps")]
pub const VERSION: u32 = 1 + STEPS.len() as u32;

/// Makes the schema in an empty file and lets `fill` put the first rows in, all in one transaction.
pub(super) fn create<E: From<StoreError>>(
    connection: &mut Connection,
    fill: impl FnOnce(&Tx<'_>) -> Result<(), E>,
) -> Result<(), E> {
    let whole = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(StoreError::from)?;
    lay_out_version(&whole, VERSION)?;
    whole.execute("INSERT INTO generation (one, value) VALUES (1, 1)", []).map_err(StoreError::from)?;
    TxnState::alone(&whole, fill)?;
    whole.commit().map_err(StoreError::from)?;
    Ok(())
}

/// Makes the tables of a version in an empty file, without a row.
pub(super) fn lay_out_version(connection: &Connection, version: u32) -> Result<(), StoreError> {
    let steps = match version {
        1..=VERSION => usize::try_from(version - 1).expect("a handful"),
        found => return Err(StoreError::NewerFormat { found, known: VERSION }),
    };
    connection.execute_batch(FIRST)?;
    for step in &STEPS[..steps] {
        connection.execute_batch(step)?;
    }
    connection.pragma_update(None, "application_id", APPLICATION_ID)?;
    connection.pragma_update(None, "user_version", version)?;
    Ok(())
}

/// A table, and its columns in their order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Table {
    pub(crate) name: String,
    pub(crate) columns: Vec<String>,
}

impl Table {
    /// Every table of the schema that this program writes, by name.
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

/// The tables of a file, by name, each with its columns in their order.
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

/// Checks what the file is and applies the steps that it lacks, all in one transaction: a kill leaves the old or the
/// new.
pub(super) fn migrate(connection: &mut Connection, path: &Path) -> Result<(), StoreError> {
    migrate_by(connection, path, STEPS)
}

fn migrate_by(connection: &mut Connection, path: &Path, steps: &[&str]) -> Result<(), StoreError> {
    let known = 1 + u32::try_from(steps.len()).expect("a handful");
    if version(connection, path, known)? == known {
        return Ok(());
    }
    let whole = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // Asked again inside: another process may have migrated in between.
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
        _ if id != APPLICATION_ID => Err(StoreError::NotAVault(path.to_owned())),
        0 => Err(StoreError::NotAVault(path.to_owned())),
        found if found > known => Err(StoreError::NewerFormat { found, known }),
        found => Ok(found),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A vault as version 1 made it.
    fn first_version() -> Connection {
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch(FIRST).unwrap();
        connection.pragma_update(None, "application_id", APPLICATION_ID).unwrap();
        connection.pragma_update(None, "user_version", 1).unwrap();
        connection
    }

    fn tables(connection: &Connection) -> i64 {
        connection.query_row("SELECT count(*) FROM sqlite_schema WHERE type = 'table'", [], |row| row.get(0)).unwrap()
    }

    #[test]
    fn later_steps_are_applied_together_or_not_at_all() {
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
    fn a_migrated_vault_and_a_new_one_have_one_schema() {
        let schema = |connection: &Connection| -> Vec<String> {
            let sql = "SELECT coalesce(sql, name) FROM sqlite_schema ORDER BY type, name";
            let mut statement = connection.prepare(sql).unwrap();
            statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
        };
        let mut new = Connection::open_in_memory().unwrap();
        create::<StoreError>(&mut new, |_| Ok(())).unwrap();
        let mut old = first_version();
        migrate(&mut old, Path::new("x")).unwrap();
        assert_eq!(schema(&old), schema(&new));
        assert_eq!(version(&old, Path::new("x"), VERSION).unwrap(), VERSION);
    }

    #[test]
    fn a_newer_file_and_a_strange_one_are_refused() {
        let mut connection = first_version();
        connection.pragma_update(None, "user_version", 700).unwrap();
        let error = migrate(&mut connection, Path::new("x")).unwrap_err();
        assert!(matches!(error, StoreError::NewerFormat { found: 700, known: VERSION }), "{error}");
        let mut strange = Connection::open_in_memory().unwrap();
        assert!(matches!(migrate(&mut strange, Path::new("x")), Err(StoreError::NotAVault(_))));
    }
}
