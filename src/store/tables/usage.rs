//! Numbers of records and bytes of each user, counted with every change.

use rusqlite::{Row, params};

use super::statement::read_columns;
use crate::store::engine::{Tx, View};
use crate::store::error::StoreError;

/// Records and sealed bytes of one user, or a change of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Usage {
    pub(crate) credentials: i64,
    pub(crate) credential_bytes: i64,
    pub(crate) logins: i64,
    pub(crate) login_bytes: i64,
}

impl Usage {
    /// The change by credentials and their bytes.
    pub(crate) fn of_credentials(credentials: i64, credential_bytes: i64) -> Self {
        Self { credentials, credential_bytes, ..Self::default() }
    }

    /// The change by pending logins and their bytes.
    pub(crate) fn of_logins(logins: i64, login_bytes: i64) -> Self {
        Self { logins, login_bytes, ..Self::default() }
    }

    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        read_columns!(row; credentials, credential_bytes, logins, login_bytes)
    }
}

/// Returns a length as the number of a column.
pub(crate) fn bytes(length: usize) -> i64 {
    i64::try_from(length).unwrap_or(i64::MAX)
}

/// Counts everything, in the columns of the table.
const COUNT: &str = "SELECT user, sum(credentials) AS credentials, sum(credential_bytes) AS credential_bytes,
         sum(logins) AS logins, sum(login_bytes) AS login_bytes FROM (
     SELECT user, 1 AS credentials, length(summary) AS credential_bytes, 0 AS logins, 0 AS login_bytes FROM credential
     UNION ALL SELECT user, 0, length(secret), 0, 0 FROM credential_secret
     UNION ALL SELECT user, 0, 0, 1, length(sealed) FROM pending_authorization) GROUP BY user";

impl View<'_> {
    /// Returns what the user has.
    pub(crate) fn usage(&self, user: &str) -> Result<Usage, StoreError> {
        Ok(self.row("SELECT * FROM usage WHERE user = ?", [user], Usage::read)?.unwrap_or_default())
    }

    /// Returns up to `limit` users whose row is not what a new count gives.
    pub(crate) fn wrong_usage(&self, limit: u32) -> Result<Vec<String>, StoreError> {
        let sql = format!(
            "WITH counted AS ({COUNT}) SELECT DISTINCT CAST(user AS TEXT) FROM (
                 SELECT * FROM (SELECT * FROM counted EXCEPT SELECT * FROM usage)
                 UNION ALL SELECT * FROM (SELECT * FROM usage EXCEPT SELECT * FROM counted)) LIMIT ?"
        );
        self.rows(&sql, [limit], |row| row.get(0))
    }
}

impl Tx<'_> {
    /// Counts a change. A user without records has no row.
    pub(crate) fn count_usage(&self, user: &str, change: Usage) -> Result<(), StoreError> {
        let Usage { credentials, credential_bytes, logins, login_bytes } = change;
        self.execute(
            "INSERT INTO usage (user, credentials, credential_bytes, logins, login_bytes) VALUES (?, ?, ?, ?, ?)
             ON CONFLICT (user) DO UPDATE SET credentials = credentials + excluded.credentials,
                 credential_bytes = credential_bytes + excluded.credential_bytes, logins = logins + excluded.logins,
                 login_bytes = login_bytes + excluded.login_bytes",
            params![user, credentials, credential_bytes, logins, login_bytes],
        )?;
        if credentials < 0 || logins < 0 {
            self.execute("DELETE FROM usage WHERE user = ? AND credentials <= 0 AND logins <= 0", [user])?;
        }
        Ok(())
    }

    /// Counts everything again.
    pub(crate) fn recount_usage(&self) -> Result<(), StoreError> {
        self.execute("DELETE FROM usage", [])?;
        self.execute(&format!("INSERT INTO usage {COUNT}"), [])
    }
}
