//! Scans over all sealed records, a batch at a time, in the order of the primary keys: for rotation
//! and for verification.

use rusqlite::params;

use super::credential::{COLUMNS, CredentialRow, SecretRow};
use super::statement::behind;
use crate::store::engine::{Tx, View};
use crate::store::error::StoreError;

/// A credential with its secret, which should not be missing.
pub(crate) struct WholeCredential {
    pub(crate) row: CredentialRow,
    pub(crate) secret: Option<SecretRow>,
}

/// Location of one sealed record.
pub(crate) struct RecordKey<'a> {
    pub(crate) table: &'a str,
    pub(crate) user: &'a str,
    pub(crate) row: &'a str,
}

impl View<'_> {
    /// Returns up to `limit` credentials with their secrets, after one or from the first. With
    /// `but`, only those with a record under another data key.
    pub(crate) fn credentials_after(
        &self,
        after: Option<(&str, &str)>,
        but: Option<u32>,
        limit: u32,
    ) -> Result<Vec<WholeCredential>, StoreError> {
        let (than, id) = behind(after.map(|(_, id)| id));
        let user = after.map_or("", |(user, _)| user);
        let sql = format!(
            "SELECT c.*, s.revision, s.data_key, s.secret
             FROM credential c LEFT JOIN credential_secret s ON s.user = c.user AND s.id = c.id
             WHERE (c.user, c.id) {than} (?, ?) AND (c.data_key IS NOT ?3 OR s.data_key IS NOT ?3)
             ORDER BY c.user, c.id LIMIT ?4"
        );
        self.rows(&sql, params![user, id, but, limit], |row| {
            let revision: Option<i64> = row.get(COLUMNS)?;
            let secret = match revision {
                Some(revision) => {
                    Some(SecretRow { revision, data_key: row.get(COLUMNS + 1)?, secret: row.get(COLUMNS + 2)? })
                }
                None => None,
            };
            Ok(WholeCredential { row: CredentialRow::read(row)?, secret })
        })
    }

    /// Calls `each` with the metadata of every credential that can be read.
    pub(crate) fn walk_credentials(&self, each: &mut dyn FnMut(&CredentialRow)) -> Result<(), StoreError> {
        let mut statement = self.connection.prepare_cached("SELECT * FROM credential")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            if let Ok(row) = CredentialRow::read(row) {
                each(&row);
            }
        }
        Ok(())
    }

    /// Returns user, id and record of up to `limit` secrets without a credential.
    pub(crate) fn stray_secrets(&self, limit: u32) -> Result<Vec<(String, String, SecretRow)>, StoreError> {
        let sql = "SELECT s.* FROM credential_secret s LEFT JOIN credential c ON c.user = s.user AND c.id = s.id
             WHERE c.id IS NULL ORDER BY s.user, s.id LIMIT ?";
        self.rows(sql, [limit], |row| Ok((row.get("user")?, row.get("id")?, SecretRow::read(row)?)))
    }

    /// Returns the number of records under another data key than this one.
    pub(crate) fn sealed_otherwise(&self, than: u32) -> Result<u64, StoreError> {
        let mut count = 0;
        for table in SEALED {
            let sql = format!("SELECT count(*) FROM {} WHERE data_key IS NOT ?", table.name);
            let here: i64 = self.connection.prepare_cached(&sql)?.query_row([than], |row| row.get(0))?;
            count += here.unsigned_abs();
        }
        Ok(count)
    }

    /// Calls `show` with user, id and the two revisions of every credential.
    pub(crate) fn credential_revisions(
        &self,
        mut show: impl FnMut(&str, &str, (i64, Option<i64>)),
    ) -> Result<(), StoreError> {
        let mut statement = self.connection.prepare_cached(
            "SELECT c.user, c.id, c.revision, s.revision
             FROM credential c LEFT JOIN credential_secret s ON s.user = c.user AND s.id = c.id",
        )?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let (user, id): (String, String) = (row.get(0)?, row.get(1)?);
            show(&user, &id, (row.get(2)?, row.get(3)?));
        }
        Ok(())
    }
}

impl Tx<'_> {
    /// Replaces a record by the same one under the current data key.
    pub(crate) fn reseal(&self, at: &RecordKey<'_>, sealed: &[u8]) -> Result<(), StoreError> {
        let data_key = self.current_data_key(sealed)?;
        let table = SEALED.iter().find(|table| table.name == at.table);
        let table = table.ok_or_else(|| StoreError::Sqlite(format!("{} has no sealed records", at.table)))?;
        // SQLite requires that each bound parameter is used, also in tables without a user.
        let sql = format!(
            "UPDATE {} SET data_key = ?1, {} = ?2 WHERE {} AND ?3 IS NOT NULL",
            table.name, table.column, table.key
        );
        self.execute(&sql, params![data_key, sealed, at.user, at.row])
    }
}

/// A table with sealed records: the column of the record, and the condition that finds a row by
/// user and id.
struct Sealed {
    name: &'static str,
    column: &'static str,
    key: &'static str,
}

const SEALED: [Sealed; 8] = [
    Sealed { name: "user", column: "sealed", key: "id = ?4" },
    Sealed { name: "credential", column: "summary", key: "user = ?3 AND id = ?4" },
    Sealed { name: "credential_secret", column: "secret", key: "user = ?3 AND id = ?4" },
    Sealed { name: "pending_authorization", column: "sealed", key: "state_hash = unhex(?4)" },
    Sealed { name: "revocation", column: "sealed", key: "id = ?4" },
    Sealed { name: "client_registration", column: "sealed", key: "lookup = unhex(?4)" },
    Sealed { name: "approval", column: "sealed", key: "id = ?4" },
    Sealed { name: "signing_key", column: "sealed", key: "id = ?4" },
];
