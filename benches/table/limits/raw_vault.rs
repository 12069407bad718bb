//! The group-commit limit: the rows that a request writes, written by raw SQLite in one loop.

use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::{Connection, named_params, params};
use strongroom::random::Random;

use crate::installation::Installation;

/// Rows of one group.
const GROUP: usize = 64;

/// Rows that a request writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// Summary, secret, audit row, manifest.
    Create,
    /// The time of the last use, audit row, manifest.
    Read,
    /// A pending login, audit row, manifest.
    Initiate,
    /// Both records go; audit row, manifest.
    Delete,
}

impl Written {
    pub const ALL: [Self; 4] = [Self::Create, Self::Read, Self::Initiate, Self::Delete];

    pub fn name(self) -> &'static str {
        match self {
            Self::Create => "SQLite: the rows of a create, 64 a commit",
            Self::Read => "SQLite: the rows of a live token, 64 a commit",
            Self::Initiate => "SQLite: the rows of an initiate, 64 a commit",
            Self::Delete => "SQLite: the rows of a delete, 64 a commit",
        }
    }
}

/// A vault's file without a vault around it: the same tables, indexes and settings, and random bytes for what is sealed.
pub struct RawVault {
    connection: Connection,
    number: i64,
    deleted: i64,
    _installation: Installation,
}

impl RawVault {
    pub fn new() -> Self {
        let installation = Installation::new(None);
        let connection = open(&installation.path("strongroom.db"));
        connection.execute("DELETE FROM audit", []).expect("it can be emptied");
        connection.execute("INSERT INTO user VALUES ('alice', 1, 1, 1, x'00')", []).expect("a user");
        Self { connection, number: 0, deleted: 0, _installation: installation }
    }

    /// Writes in groups, a savepoint each, one sync a group; how many a second.
    pub fn measure(&mut self, what: Written, time: Duration) -> f64 {
        let (began, first) = (Instant::now(), self.number);
        while began.elapsed() < time {
            self.connection.execute_batch("BEGIN IMMEDIATE").expect("a transaction");
            for _ in 0..GROUP {
                self.number += 1;
                self.connection.execute_batch("SAVEPOINT job").expect("a savepoint");
                self.write(what).expect("the rows can be written");
                self.connection.execute_batch("RELEASE job").expect("a savepoint");
            }
            self.connection.execute_batch("COMMIT").expect("a commit");
        }
        (self.number - first) as f64 / began.elapsed().as_secs_f64()
    }

    fn write(&mut self, what: Written) -> rusqlite::Result<()> {
        match what {
            Written::Create => self.write_credential()?,
            Written::Read => {
                self.connection
                    .prepare_cached("UPDATE credential SET last_used_at = ? WHERE user = 'alice' AND id = ?")?
                    .execute(params![self.number, id(1 + self.number % 5)])?;
            }
            Written::Initiate => {
                self.connection
                    .prepare_cached("INSERT INTO pending_authorization VALUES (?, 'alice', 'sandbox', 1, ?, 1, 1, ?)")?
                    .execute(params![Random.bytes::<32>(), self.number / 1000, Random.bytes::<493>()])?;
            }
            Written::Delete => {
                self.deleted += 1;
                for sql in [
                    "DELETE FROM credential_secret WHERE user = 'alice' AND id = ?",
                    "DELETE FROM credential WHERE user = 'alice' AND id = ?",
                ] {
                    self.connection.prepare_cached(sql)?.execute([id(5 + self.deleted)])?;
                }
            }
        }
        self.write_audit_and_manifest()
    }

    fn write_credential(&self) -> rusqlite::Result<()> {
        self.connection
            .prepare_cached(
                "INSERT INTO credential (user, id, provider, kind, status, created_at, updated_at, revision,
                     secret_revision, data_key, summary)
                 VALUES ('alice', ?, 'openai', 'api_key', 'active', 1, 1, 1, 1, 1, ?)",
            )?
            .execute(params![id(self.number), Random.bytes::<109>()])?;
        self.connection
            .prepare_cached(
                "INSERT INTO credential_secret (user, id, revision, data_key, secret) VALUES ('alice', ?, 1, 1, ?)",
            )?
            .execute(params![id(self.number), Random.bytes::<109>()])?;
        Ok(())
    }

    fn write_audit_and_manifest(&self) -> rusqlite::Result<()> {
        self.connection
            .prepare_cached(
                "INSERT INTO audit VALUES (:seq, 1, 'credential.create', 'ok', :actor, 'alice', 'openai', :id,
                     'revision:1.1', '127.0.0.1', :id, 1, :mac)",
            )?
            .execute(named_params! {
                ":seq": self.number, ":actor": "key:0192d3f0-7c3a-7000-8000-000000000000", ":id": id(self.number),
                ":mac": Random.bytes::<32>(),
            })?;
        self.connection
            .prepare_cached("INSERT OR REPLACE INTO manifest (one, epoch, data_key, sealed) VALUES (1, ?, 1, ?)")?
            .execute(params![self.number, Random.bytes::<237>()])?;
        Ok(())
    }
}

fn id(number: i64) -> String {
    format!("0192d3f0-7c3a-7000-8000-{number:012x}")
}

/// As the vault's own writer is set up (src/store/engine/connection.rs).
pub fn open(path: &Path) -> Connection {
    let connection = Connection::open(path).expect("SQLite opens it");
    connection.set_prepared_statement_cache_capacity(64);
    let mode = connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get::<_, String>(0));
    assert_eq!(mode.as_deref(), Ok("wal"));
    for (name, value) in [("synchronous", "FULL"), ("secure_delete", "ON"), ("foreign_keys", "ON")] {
        connection.pragma_update(None, name, value).expect("a setting");
    }
    connection.pragma_update(None, "cache_size", -2048).expect("a setting");
    connection
}
