//! Checks of the file: its schema, and SQLite's own integrity check.

use std::collections::BTreeMap;

use rusqlite::{Connection, Row};

use super::engine::View;
use super::error::StoreError;
use super::schema::{VERSION, lay_out_version};

impl View<'_> {
    /// Returns the parts of the schema that are not as this program lays them out, each with its
    /// name.
    pub(crate) fn schema_faults(&self) -> Result<Vec<(String, &'static str)>, StoreError> {
        faults(self.connection)
    }

    /// Returns the faults that SQLite finds in the file, in its words.
    pub(crate) fn integrity(&self) -> Result<Vec<String>, StoreError> {
        let mut check = self.connection.prepare("PRAGMA integrity_check(20)")?;
        let mut found = check.query_map([], |row| row.get(0))?.collect::<Result<Vec<String>, _>>()?;
        found.retain(|line| line != "ok");
        let mut check = self.connection.prepare("PRAGMA foreign_key_check")?;
        let broken = check.query_map([], |row| {
            let (table, parent): (String, String) = (row.get(0)?, row.get(2)?);
            Ok(format!("a row of {table} refers to a missing row of {parent}"))
        })?;
        found.extend(broken.collect::<Result<Vec<_>, _>>()?);
        // The integrity check of a read-only connection does not evaluate CHECK constraints.
        for table in ["vault", "probe", "manifest"] {
            let sql = format!("SELECT count(*) = 1 AND min(one) = 1 FROM {table}");
            if !self.connection.query_row(&sql, [], |row| row.get(0))? {
                found.push(format!("{table} must have exactly one row"));
            }
        }
        Ok(found)
    }
}

/// Compares a schema with the one that this program lays out. Tables of other programs and their
/// indexes are allowed (Litestream keeps two tables); every other addition is a fault.
pub(super) fn faults(connection: &Connection) -> Result<Vec<(String, &'static str)>, StoreError> {
    let model = Connection::open_in_memory()?;
    lay_out_version(&model, VERSION)?;
    let due = objects_in(&model)?;
    let there = objects_in(connection)?;
    let is_ours = |table: &str| due.contains_key(&("table".to_owned(), table.to_lowercase()));
    let mut faults = Vec::new();
    for (key @ (_, name), sql) in &due {
        match there.get(key) {
            None => faults.push((name.clone(), "it is missing from the schema")),
            Some(found) if found != sql => faults.push((name.clone(), "its schema was changed")),
            Some(_) => {}
        }
    }
    for ((kind, name), (table, _)) in there.iter().filter(|(key, _)| !due.contains_key(*key)) {
        // A foreign key of another table would keep our rows from being deleted.
        let is_strange = match kind.as_str() {
            "table" => refers_to(connection, name)?.iter().any(|table| is_ours(table)),
            "index" => is_ours(table),
            _ => true,
        };
        if is_strange {
            faults.push((name.clone(), "it does not belong to the schema"));
        }
    }
    Ok(faults)
}

/// Objects of a schema by kind and name, with the table and the SQL text of each.
type Objects = BTreeMap<(String, String), (String, Option<String>)>;

/// Returns the tables that a table's foreign keys refer to.
fn refers_to(connection: &Connection, table: &str) -> Result<Vec<String>, StoreError> {
    let mut tables = connection.prepare("SELECT \"table\" FROM pragma_foreign_key_list(?)")?;
    Ok(tables.query_map([table], |row| row.get(0))?.collect::<Result<_, _>>()?)
}

fn objects_in(connection: &Connection) -> Result<Objects, StoreError> {
    let mut objects = connection.prepare("SELECT type, name, tbl_name, sql FROM sqlite_schema")?;
    let read = |row: &Row<'_>| Ok(((row.get(0)?, row.get(1)?), (row.get(2)?, row.get(3)?)));
    Ok(objects.query_map([], read)?.collect::<Result<_, _>>()?)
}
