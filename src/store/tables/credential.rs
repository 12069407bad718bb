//! Rows of credentials and of their secrets.

use rusqlite::{Row, named_params, params};

use super::statement::{columns, read_columns};
use super::usage::{Usage, bytes};
use crate::store::engine::{Tx, View};
use crate::store::error::StoreError;

/// Metadata of a credential, as lists show it.
#[derive(Clone)]
pub(crate) struct CredentialRow {
    pub(crate) user: String,
    pub(crate) id: String,
    pub(crate) provider: String,
    pub(crate) kind: String,
    pub(crate) status: String,
    pub(crate) in_doubt: Option<i64>,
    pub(crate) created_at: i64,
    pub(crate) updated_at: i64,
    pub(crate) expires_at: Option<i64>,
    pub(crate) last_used_at: Option<i64>,
    pub(crate) refresh_at: Option<i64>,
    pub(crate) revision: i64,
    pub(crate) secret_revision: i64,
    pub(crate) data_key: u32,
    pub(crate) summary: Vec<u8>,
}

/// Its secret.
#[derive(Clone)]
pub(crate) struct SecretRow {
    pub(crate) revision: i64,
    pub(crate) data_key: u32,
    pub(crate) secret: Vec<u8>,
}

/// A row, or its id and the error of reading it.
pub(crate) type ReadRow = Result<CredentialRow, (String, StoreError)>;

/// A query of the columns of a credential, in the order of the table. They are read by index: a
/// read by name compares the name with every column before it, in every row.
macro_rules! select {
    ($condition:literal) => {
        concat!(
            "SELECT user, id, provider, kind, status, in_doubt, created_at, updated_at, expires_at, last_used_at, \
             refresh_at, revision, secret_revision, data_key, summary FROM credential",
            $condition
        )
    };
}

/// Index of the id, and number of columns.
const ID: usize = 1;
pub(super) const COLUMNS: usize = 15;

impl CredentialRow {
    pub(super) fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            user: row.get(0)?,
            id: row.get(ID)?,
            provider: row.get(2)?,
            kind: row.get(3)?,
            status: row.get(4)?,
            in_doubt: row.get(5)?,
            created_at: row.get(6)?,
            updated_at: row.get(7)?,
            expires_at: row.get(8)?,
            last_used_at: row.get(9)?,
            refresh_at: row.get(10)?,
            revision: row.get(11)?,
            secret_revision: row.get(12)?,
            data_key: row.get(13)?,
            summary: row.get(14)?,
        })
    }
}

impl SecretRow {
    pub(super) fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        read_columns!(row; revision, data_key, secret)
    }
}

/// Reads a row, or the id of one that cannot be read.
fn read_each(row: &Row<'_>) -> ReadRow {
    let id = |_: &rusqlite::Error| row.get(ID).unwrap_or_else(|_| "*".to_owned());
    CredentialRow::read(row).map_err(|error| (id(&error), error.into()))
}

impl View<'_> {
    /// Returns one credential of a user.
    pub(crate) fn credential(&self, user: &str, id: &str) -> Result<Option<CredentialRow>, StoreError> {
        let sql = select!(" WHERE user = ? AND id = ?");
        self.row(sql, [user, id], CredentialRow::read)
    }

    /// Its secret.
    pub(crate) fn secret(&self, user: &str, id: &str) -> Result<Option<SecretRow>, StoreError> {
        let sql = "SELECT revision, data_key, secret FROM credential_secret WHERE user = ? AND id = ?";
        self.row(sql, [user, id], SecretRow::read)
    }

    /// Returns a user's credentials, oldest first: all or those of one provider, after an id or
    /// from the first.
    pub(crate) fn credentials(
        &self,
        user: &str,
        provider: Option<&str>,
        after: &str,
        limit: Option<u32>,
    ) -> Result<Vec<CredentialRow>, StoreError> {
        let rows = self.credentials_each(user, provider, after, limit)?;
        rows.into_iter().map(|row| row.map_err(|(_, error)| error)).collect()
    }

    /// Returns a user's credentials like [`View::credentials`]. A row that cannot be read is an
    /// error in its place, with its id.
    pub(crate) fn credentials_each(
        &self,
        user: &str,
        provider: Option<&str>,
        after: &str,
        limit: Option<u32>,
    ) -> Result<Vec<ReadRow>, StoreError> {
        // SQLite takes a negative limit as no limit.
        let limit = limit.map_or(-1, i64::from);
        let Some(provider) = provider else {
            let sql = select!(" WHERE user = ? AND id > ? ORDER BY id LIMIT ?");
            return self.rows(sql, params![user, after, limit], |row| Ok(read_each(row)));
        };
        let sql = select!(" WHERE user = ? AND id > ? AND provider = ? ORDER BY id LIMIT ?");
        self.rows(sql, params![user, after, provider, limit], |row| Ok(read_each(row)))
    }

    /// Returns a user's credentials like [`View::credentials_each`], those of some providers and with
    /// some ids. Both lists are names between spaces; an empty text does not limit.
    pub(crate) fn credentials_within(
        &self,
        user: &str,
        (providers, ids): (&str, &str),
        after: &str,
        limit: Option<u32>,
    ) -> Result<Vec<ReadRow>, StoreError> {
        let sql = select!(
            " WHERE user = ?1 AND id > ?2 AND (?3 = '' OR instr(?3, ' ' || provider || ' ')) \
             AND (?4 = '' OR instr(?4, ' ' || id || ' ')) ORDER BY id LIMIT ?5"
        );
        self.rows(sql, params![user, after, providers, ids, limit.map_or(-1, i64::from)], |row| Ok(read_each(row)))
    }

    /// Returns user, id and provider of the credentials that are due for a background refresh,
    /// longest due first. At most `limit` of each provider, so that no provider delays another. Its
    /// users take turns, so that no user with many delays another.
    pub(crate) fn due_refreshes(&self, now: i64, limit: u32) -> Result<Vec<[String; 3]>, StoreError> {
        let sql = "SELECT user, id, provider FROM (
                 SELECT *, row_number() OVER (PARTITION BY provider ORDER BY round, refresh_at, id) AS turn FROM (
                     SELECT user, id, provider, refresh_at,
                         row_number() OVER (PARTITION BY provider, user ORDER BY refresh_at, id) AS round
                     FROM credential WHERE refresh_at <= ?))
             WHERE turn <= ? ORDER BY refresh_at, id";
        self.rows(sql, [now, i64::from(limit)], |row| Ok([row.get(0)?, row.get(1)?, row.get(2)?]))
    }
}

impl Tx<'_> {
    /// Inserts a credential with its secret.
    pub(crate) fn insert_credential(&self, row: &CredentialRow, secret: &SecretRow) -> Result<(), StoreError> {
        self.current_data_key(&row.summary)?;
        let columns = columns! {
            row; user, id, provider, kind, status, in_doubt, created_at, updated_at, expires_at, last_used_at,
            refresh_at, revision, secret_revision, data_key, summary
        };
        self.insert("credential", columns)?;
        self.current_data_key(&secret.secret)?;
        let columns = columns!(row.user, row.id, secret.revision, secret.data_key, secret.secret);
        self.insert("credential_secret", columns)?;
        self.count_usage(&row.user, Usage::of_credentials(1, bytes(row.summary.len() + secret.secret.len())))
    }

    /// Updates a credential, whose metadata had `before` bytes. Its user, provider and kind never
    /// change.
    pub(crate) fn update_credential(&self, row: &CredentialRow, before: usize) -> Result<(), StoreError> {
        let data_key = self.current_data_key(&row.summary)?;
        self.count_usage(&row.user, Usage::of_credentials(0, bytes(row.summary.len()) - bytes(before)))?;
        self.execute(
            "UPDATE credential SET status = :status, in_doubt = :in_doubt, updated_at = :updated_at,
                 expires_at = :expires_at, refresh_at = :refresh_at, revision = :revision,
                 secret_revision = :secret_revision, data_key = :data_key, summary = :summary
             WHERE user = :user AND id = :id",
            named_params! {
                ":user": row.user, ":id": row.id, ":status": row.status, ":in_doubt": row.in_doubt,
                ":updated_at": row.updated_at, ":expires_at": row.expires_at, ":refresh_at": row.refresh_at,
                ":revision": row.revision, ":secret_revision": row.secret_revision, ":data_key": data_key,
                ":summary": row.summary,
            },
        )
    }

    /// Updates a secret, which had `before` bytes.
    pub(crate) fn update_secret(
        &self,
        user: &str,
        id: &str,
        secret: &SecretRow,
        before: usize,
    ) -> Result<(), StoreError> {
        let data_key = self.current_data_key(&secret.secret)?;
        self.count_usage(user, Usage::of_credentials(0, bytes(secret.secret.len()) - bytes(before)))?;
        self.execute(
            "UPDATE credential_secret SET revision = ?, data_key = ?, secret = ? WHERE user = ? AND id = ?",
            params![secret.revision, data_key, secret.secret, user, id],
        )
    }

    /// Records the time at which a secret was used.
    pub(crate) fn touch_credential(&self, user: &str, id: &str, at: i64) -> Result<(), StoreError> {
        self.execute("UPDATE credential SET last_used_at = ? WHERE user = ? AND id = ?", params![at, user, id])
    }

    /// Sets the time of the next background refresh.
    pub(crate) fn schedule_refresh(&self, user: &str, id: &str, at: Option<i64>) -> Result<(), StoreError> {
        self.execute("UPDATE credential SET refresh_at = ? WHERE user = ? AND id = ?", params![at, user, id])
    }

    /// Deletes a credential with its secret.
    pub(crate) fn delete_credential(&self, row: &CredentialRow, secret: &SecretRow) -> Result<(), StoreError> {
        let key = [&row.user, &row.id];
        self.execute("DELETE FROM credential_secret WHERE user = ? AND id = ?", key)?;
        self.execute("DELETE FROM credential WHERE user = ? AND id = ?", key)?;
        self.count_usage(&row.user, Usage::of_credentials(-1, -bytes(row.summary.len() + secret.secret.len())))
    }
}

#[cfg(test)]
mod tests {
    use rusqlite::Connection;

    use super::*;
    use crate::store::schema;

    #[test]
    fn columns_are_in_the_order_of_the_table() {
        let connection = Connection::open_in_memory().unwrap();
        schema::lay_out_version(&connection, schema::VERSION).unwrap();
        let names = |sql: &str| -> Vec<String> {
            let statement = connection.prepare(sql).unwrap();
            statement.column_names().map(str::to_owned).collect()
        };
        let read = names(select!(""));
        assert_eq!(read, names("SELECT * FROM credential"));
        assert_eq!((read.len(), read[ID].as_str()), (COLUMNS, "id"));
    }
}
