//! An attacker who can write SQL, on every table and column of the schema: each edit, move, swap,
//! deletion, insertion and replay is rejected on read or reported by `vault verify`. New columns are included automatically.

use std::collections::BTreeMap;
use std::path::Path;

use crate::support::chance::Chance;
use crate::support::sample::{Copies, Sample, Verdict};
use rusqlite::{Connection, params};

/// Columns that are authenticated by nothing, each because it decides nothing (docs/security.md says so of each).
const UNDECIDING: &[(&str, &str)] = &[("probe", "at"), ("credential", "last_used_at"), ("credential", "refresh_at")];

/// A table, its columns, and which of them are its primary key.
struct Table {
    name: String,
    columns: Vec<String>,
    key: Vec<String>,
}

fn tables(file: &Connection) -> Vec<Table> {
    let names: Vec<String> = texts(file, "SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name");
    let columns = |name: &str, and: &str| texts(file, &format!("SELECT name FROM pragma_table_info('{name}') {and}"));
    let table =
        |name: String| Table { columns: columns(&name, ""), key: columns(&name, "WHERE pk > 0 ORDER BY pk"), name };
    names.into_iter().map(table).collect()
}

fn texts(file: &Connection, sql: &str) -> Vec<String> {
    let mut statement = file.prepare(sql).unwrap();
    statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}

impl Table {
    fn is_undeciding(&self, column: &str) -> bool {
        UNDECIDING.contains(&(&self.name, column))
    }

    /// SQL that names one row by where it stands: `n` of the table's order.
    fn row(&self, n: usize) -> String {
        let key = self.key.join(", ");
        format!("({key}) IN (SELECT {key} FROM {} ORDER BY {key} LIMIT 1 OFFSET {n})", self.name)
    }

    fn rows(&self, file: &Connection) -> usize {
        count(file, &self.name)
    }
}

fn count(file: &Connection, table: &str) -> usize {
    let rows: u32 = file.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap();
    rows as usize
}

/// The vault as the attacker has it open, with every guard that SQLite has against them taken off.
fn shell(path: &Path) -> Connection {
    let file = Connection::open(path).unwrap();
    file.execute_batch("PRAGMA ignore_check_constraints = ON; PRAGMA foreign_keys = OFF;").unwrap();
    file
}

/// Attempts and their outcomes.
#[derive(Default)]
struct Tally(BTreeMap<(String, Verdict), u32>);

impl Tally {
    /// Tries one thing on a fresh copy: `sql` must change something, else it was nothing.
    async fn attack(&mut self, sample: &Sample, copies: &Copies, what: &str, sql: &str) -> bool {
        let path = copies.put(&sample.database, None);
        let older = copies.path("older.db");
        std::fs::write(&older, &sample.early).unwrap();
        let file = shell(&path);
        file.execute("ATTACH ? AS older", params![older.to_str().unwrap()]).unwrap();
        let done = file.execute_batch(sql);
        let changed = done.is_ok() && file.total_changes() > 0;
        drop(file);
        if !changed {
            return false;
        }
        let verdict = sample.judge_what_holds(&path, &mut Chance::new(1)).await;
        assert!(matches!(verdict, Verdict::Refused | Verdict::Named), "{what}: {verdict:?}, by {sql}");
        let kind = what.split(':').next().unwrap().to_owned();
        *self.0.entry((kind, verdict)).or_default() += 1;
        true
    }
}

#[tokio::test]
async fn edits_of_every_column_are_detected() {
    let (sample, copies, mut tally) = (Sample::new().await, Copies::new(), Tally::default());
    let file = Connection::open(copies.put(&sample.database, None)).unwrap();
    let tables = tables(&file);
    assert!(tables.len() > 12, "the schema has tables");
    for table in &tables {
        let rows = table.rows(&file);
        let few = usize::try_from(crate::support::campaign(1, 4, 40)).unwrap();
        for column in table.columns.iter().filter(|column| !table.is_undeciding(column)) {
            let mut tried = 0;
            for row in 0..rows.min(few) {
                for value in values(table, column) {
                    let (name, place) = (&table.name, table.row(row));
                    let sql = format!("UPDATE {name} SET {column} = {value} WHERE {place} AND {column} IS NOT {value}");
                    tried += u32::from(tally.attack(&sample, &copies, &format!("edit: {name}.{column}"), &sql).await);
                }
            }
            assert!(tried > 0 || rows == 0, "nothing could be tried on {}.{column}", table.name);
        }
    }
    let empty: Vec<&str> =
        tables.iter().filter(|table| table.rows(&file) == 0).map(|table| table.name.as_str()).collect();
    assert!(empty.is_empty(), "the sample has no row of {empty:?}, so nothing was shown of them");
    println!("{:#?}", tally.0);
}

/// Other values for a column: a little more or less, nothing, something else of its kind, and another row's.
fn values(table: &Table, column: &str) -> Vec<String> {
    let name = &table.name;
    vec![
        format!("({column} + 1)"),
        format!("({column} - 1)"),
        "0".to_owned(),
        "1".to_owned(),
        "253402300799".to_owned(),
        "NULL".to_owned(),
        "'bob'".to_owned(),
        "''".to_owned(),
        "'ADMIN'".to_owned(),
        "'current'".to_owned(),
        format!("CAST(upper({column}) AS TEXT)"),
        format!("CAST(substr({column}, 1, length({column}) - 1) || x'00' AS BLOB)"),
        format!("randomblob(length({column}))"),
        format!("(SELECT other.{column} FROM {name} AS other WHERE other.{column} IS NOT {name}.{column} LIMIT 1)"),
    ]
}

#[tokio::test]
async fn deletions_insertions_and_swaps_are_detected() {
    let (sample, copies, mut tally) = (Sample::new().await, Copies::new(), Tally::default());
    let file = Connection::open(copies.put(&sample.database, None)).unwrap();
    for table in tables(&file) {
        let (name, rows) = (&table.name, table.rows(&file));
        let few = usize::try_from(crate::support::campaign(1, 8, 60)).unwrap();
        for row in 0..rows.min(few) {
            let place = table.row(row);
            let deleted = tally
                .attack(&sample, &copies, &format!("delete: {name}"), &format!("DELETE FROM {name} WHERE {place}"))
                .await;
            assert!(deleted, "a row of {name} can be deleted");
            for key in &table.key {
                let others: Vec<&str> =
                    table.columns.iter().filter(|column| *column != key).map(String::as_str).collect();
                let others = others.join(", ");
                for value in [format!("{key} + 1000"), format!("{key} || 'x'"), format!("randomblob(length({key}))")] {
                    let sql = format!(
                        "INSERT INTO {name} ({key}, {others}) SELECT {value}, {others} FROM {name} WHERE {place}"
                    );
                    tally.attack(&sample, &copies, &format!("insert: {name}"), &sql).await;
                }
            }
            if row + 1 < rows {
                swap(&table, row, &sample, &copies, &mut tally).await;
            }
        }
        let all = format!("DELETE FROM {name}");
        tally.attack(&sample, &copies, &format!("delete all: {name}"), &all).await;
    }
    println!("{:#?}", tally.0);
    for kind in ["insert", "swap"] {
        assert!(tally.0.keys().any(|(tried, _)| tried == kind), "{kind}: {:?}", tally.0);
    }
}

/// A row and the next one change places: everything but their keys is exchanged.
async fn swap(table: &Table, row: usize, sample: &Sample, copies: &Copies, tally: &mut Tally) {
    let (name, one, other) = (&table.name, table.row(row), table.row(row + 1));
    let key = table.key.join(", ");
    let columns: Vec<&str> =
        table.columns.iter().filter(|column| !table.key.contains(column)).map(String::as_str).collect();
    if columns.is_empty() {
        return;
    }
    let columns = columns.join(", ");
    let sql = format!(
        "CREATE TEMP TABLE first AS SELECT * FROM {name} WHERE {one}; CREATE TEMP TABLE second AS SELECT * FROM {name} WHERE {other};
         DELETE FROM {name} WHERE ({key}) IN (SELECT {key} FROM first UNION ALL SELECT {key} FROM second);
         INSERT INTO {name} ({key}, {columns}) SELECT first.{}, {} FROM first, second;
         INSERT INTO {name} ({key}, {columns}) SELECT second.{}, {} FROM first, second;",
        table.key.join(", first."),
        columns.split(", ").map(|column| format!("second.{column}")).collect::<Vec<_>>().join(", "),
        table.key.join(", second."),
        columns.split(", ").map(|column| format!("first.{column}")).collect::<Vec<_>>().join(", "),
    );
    tally.attack(sample, copies, &format!("swap: {name}"), &sql).await;
}

/// The attacker has an older copy of the file, and puts back what was in it: each row, each table, and the manifest with it.
#[tokio::test]
async fn replays_of_older_rows_are_detected() {
    let (sample, copies, mut tally) = (Sample::new().await, Copies::new(), Tally::default());
    let file = Connection::open(copies.put(&sample.database, None)).unwrap();
    let older = copies.path("older.db");
    std::fs::write(&older, &sample.early).unwrap();
    file.execute("ATTACH ? AS older", params![older.to_str().unwrap()]).unwrap();
    let changed: Vec<Table> =
        tables(&file).into_iter().filter(|table| table.name != "probe" && differs(&file, table)).collect();
    let names: Vec<&str> = changed.iter().map(|table| table.name.as_str()).collect();
    for expected in ["credential", "credential_secret", "api_key", "manifest", "audit", "pending_authorization"] {
        assert!(names.contains(&expected), "the older copy differs in {expected}: {names:?}");
    }
    for table in &changed {
        let (name, key) = (&table.name, table.key.join(", "));
        for row in 0..count(&file, &format!("older.{name}")) {
            let old = format!("SELECT * FROM older.{name} ORDER BY {key} LIMIT 1 OFFSET {row}");
            if is_the_same(&file, table, &old) {
                continue;
            }
            let one = format!("INSERT OR REPLACE INTO {name} {old}");
            tally.attack(&sample, &copies, &format!("row put back: {name}"), &one).await;
            let both = format!("{one}; INSERT OR REPLACE INTO manifest SELECT * FROM older.manifest");
            tally.attack(&sample, &copies, &format!("row and manifest put back: {name}"), &both).await;
        }
        let whole = format!("DELETE FROM {name}; INSERT INTO {name} SELECT * FROM older.{name}");
        tally.attack(&sample, &copies, &format!("table put back: {name}"), &whole).await;
        if name != "manifest" {
            let both = format!("{whole}; INSERT OR REPLACE INTO manifest SELECT * FROM older.manifest");
            tally.attack(&sample, &copies, &format!("table and manifest put back: {name}"), &both).await;
        }
    }
    put_back_with_their_secrets(&file, &sample, &copies, &mut tally).await;
    println!("{:#?}", tally.0);
}

/// Both records of a credential are put back. They fit each other, so only the manifest's sum shows it.
async fn put_back_with_their_secrets(file: &Connection, sample: &Sample, copies: &Copies, tally: &mut Tally) {
    let changed = "SELECT id FROM older.credential_secret EXCEPT SELECT id FROM main.credential_secret
                   WHERE secret IN (SELECT secret FROM older.credential_secret)";
    let changed = texts(file, changed);
    assert!(changed.len() > 1, "{changed:?}");
    for id in changed {
        let put_back =
            |table: &str| format!("INSERT OR REPLACE INTO {table} SELECT * FROM older.{table} WHERE id = '{id}'");
        let both = format!("{}; {}", put_back("credential"), put_back("credential_secret"));
        tally.attack(sample, copies, "credential and secret put back", &both).await;
    }
}

fn differs(file: &Connection, table: &Table) -> bool {
    let columns: Vec<&str> =
        table.columns.iter().filter(|column| !table.is_undeciding(column)).map(String::as_str).collect();
    let (name, columns) = (&table.name, columns.join(", "));
    let sql = format!(
        "SELECT count(*) FROM (SELECT {columns} FROM older.{name} EXCEPT SELECT {columns} FROM main.{name}
         UNION ALL SELECT {columns} FROM main.{name} EXCEPT SELECT {columns} FROM older.{name})"
    );
    file.query_row(&sql, [], |row| row.get::<_, u32>(0)).unwrap() > 0
}

fn is_the_same(file: &Connection, table: &Table, old: &str) -> bool {
    let columns: Vec<&str> =
        table.columns.iter().filter(|column| !table.is_undeciding(column)).map(String::as_str).collect();
    let columns = columns.join(", ");
    let sql = format!(
        "SELECT count(*) FROM (SELECT {columns} FROM ({old}) EXCEPT SELECT {columns} FROM main.{})",
        table.name
    );
    file.query_row(&sql, [], |row| row.get::<_, u32>(0)).unwrap() == 0
}

/// A credential is taken out with all its rows, and the manifest is made to agree: its count is known, and a stream cipher's
/// text can be changed bit by bit without the key. Without the tag it would be believed.
#[tokio::test]
async fn subtracted_manifest_is_detected() {
    let (sample, copies, mut tally) = (Sample::new().await, Copies::new(), Tally::default());
    let path = copies.put(&sample.database, None);
    let file = Connection::open(&path).unwrap();
    let sealed: Vec<u8> = file.query_row("SELECT sealed FROM manifest", [], |row| row.get(0)).unwrap();
    drop(file);
    let delete = "DELETE FROM credential_secret WHERE id = (SELECT min(id) FROM credential); \
                  DELETE FROM credential WHERE id = (SELECT min(id) FROM credential);";
    // Version, key version and nonce come first; then every byte of the text and of the tag.
    for at in 5..sealed.len() {
        for bit in [1, 2, 0x80] {
            let mut changed = sealed.clone();
            changed[at] ^= bit;
            let path = copies.put(&sample.database, None);
            let file = shell(&path);
            file.execute_batch(delete).unwrap();
            file.execute("UPDATE manifest SET sealed = ?", [changed]).unwrap();
            drop(file);
            let verdict = sample.judge_what_holds(&path, &mut Chance::new(1)).await;
            assert_eq!(verdict, Verdict::Refused, "byte {at}, bit {bit}");
        }
    }
    assert!(tally.attack(&sample, &copies, "delete: credential", delete).await);
}
