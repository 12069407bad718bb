//! Rows of credentials and of their secrets.

use rusqlite::{OptionalExtension, Row, named_params, params};

use super::{StoreError, Tx, View};

/// A credential as lists show it.
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

/// A row; where it cannot be read, its id and why.
pub(crate) type ReadRow = Result<CredentialRow, (String, StoreError)>;

impl CredentialRow {
    pub(super) fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            user: row.get("user")?,
            id: row.get("id")?,
            provider: row.get("provider")?,
            kind: row.get("kind")?,
            status: row.get("status")?,
            in_doubt: row.get("in_doubt")?,
            created_at: row.get("created_at")?,
            updated_at: row.get("updated_at")?,
            expires_at: row.get("expires_at")?,
            last_used_at: row.get("last_used_at")?,
            refresh_at: row.get("refresh_at")?,
            revision: row.get("revision")?,
            secret_revision: row.get("secret_revision")?,
            data_key: row.get("data_key")?,
            summary: row.get("summary")?,
        })
    }
}

impl View<'_> {
    /// One credential of a user.
    pub(crate) fn credential(&self, user: &str, id: &str) -> Result<Option<CredentialRow>, StoreError> {
        let mut statement = self.connection.prepare_cached("SELECT * FROM credential WHERE user = ? AND id = ?")?;
        Ok(statement.query_row([user, id], CredentialRow::read).optional()?)
    }

    /// Its secret.
    pub(crate) fn secret(&self, user: &str, id: &str) -> Result<Option<SecretRow>, StoreError> {
        let mut statement =
            self.connection.prepare_cached("SELECT * FROM credential_secret WHERE user = ? AND id = ?")?;
        let secret = statement.query_row([user, id], |row| {
            Ok(SecretRow { revision: row.get("revision")?, data_key: row.get("data_key")?, secret: row.get("secret")? })
        });
        Ok(secret.optional()?)
    }

    /// A user's credentials, oldest first: all, or those of one provider; those after an id, or from the start.
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

    /// The same; a row that cannot be read is an error in its own place, with its id.
    pub(crate) fn credentials_each(
        &self,
        user: &str,
        provider: Option<&str>,
        after: &str,
        limit: Option<u32>,
    ) -> Result<Vec<ReadRow>, StoreError> {
        let mut statement = self.connection.prepare_cached(match provider {
            None => "SELECT * FROM credential WHERE user = ? AND id > ? ORDER BY id LIMIT ?",
            Some(_) => "SELECT * FROM credential WHERE user = ? AND id > ? AND provider = ?4 ORDER BY id LIMIT ?3",
        })?;
        // SQLite reads a negative limit as none.
        let limit = limit.map_or(-1, i64::from);
        let read = |row: &Row<'_>| {
            let id = |_: &rusqlite::Error| row.get("id").unwrap_or_else(|_| "*".to_owned());
            Ok(CredentialRow::read(row).map_err(|error| (id(&error), error.into())))
        };
        let rows = match provider {
            None => statement.query_map(params![user, after, limit], read)?.collect::<Result<_, _>>(),
            Some(provider) => statement.query_map(params![user, after, limit, provider], read)?.collect(),
        };
        Ok(rows?)
    }

    /// The users in whose name there is a row of a credential with this id, or of its secret.
    pub(crate) fn holders_of(&self, id: &str) -> Result<Vec<String>, StoreError> {
        let mut statement = self.connection.prepare_cached(
            "SELECT user FROM credential WHERE id = ?1 UNION SELECT user FROM credential_secret WHERE id = ?1",
        )?;
        Ok(statement.query_map([id], |row| row.get(0))?.collect::<Result<_, _>>()?)
    }

    /// User, id and provider of the credentials that the background is to look at by `now`, the longest due first: at most
    /// `limit` of each provider, so that none keeps another from its turn.
    pub(crate) fn due_refreshes(&self, now: i64, limit: u32) -> Result<Vec<[String; 3]>, StoreError> {
        let mut statement = self.connection.prepare_cached(
            "SELECT user, id, provider FROM (
                 SELECT user, id, provider, refresh_at,
                     row_number() OVER (PARTITION BY provider ORDER BY refresh_at, id) AS turn
                 FROM credential WHERE refresh_at <= ?)
             WHERE turn <= ? ORDER BY refresh_at, id",
        )?;
        let rows = statement.query_map([now, i64::from(limit)], |row| Ok([row.get(0)?, row.get(1)?, row.get(2)?]))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}

impl Tx<'_> {
    /// Adds a credential with its secret.
    pub(crate) fn insert_credential(&self, row: &CredentialRow, secret: &SecretRow) -> Result<(), StoreError> {
        let data_key = self.current_data_key(&row.summary)?;
        self.connection
            .prepare_cached(
                "INSERT INTO credential (user, id, provider, kind, status, in_doubt, created_at, updated_at, expires_at,
                     last_used_at, refresh_at, revision, secret_revision, data_key, summary)
                 VALUES (:user, :id, :provider, :kind, :status, :in_doubt, :created_at, :updated_at, :expires_at,
                     :last_used_at, :refresh_at, :revision, :secret_revision, :data_key, :summary)",
            )?
            .execute(named_params! {
                ":user": row.user, ":id": row.id, ":provider": row.provider, ":kind": row.kind, ":status": row.status,
                ":in_doubt": row.in_doubt, ":created_at": row.created_at, ":updated_at": row.updated_at,
                ":expires_at": row.expires_at, ":last_used_at": row.last_used_at,
                ":refresh_at": row.refresh_at, ":revision": row.revision,
                ":secret_revision": row.secret_revision, ":data_key": data_key, ":summary": row.summary,
            })?;
        let data_key = self.current_data_key(&secret.secret)?;
        self.connection
            .prepare_cached(
                "INSERT INTO credential_secret (user, id, revision, data_key, secret) VALUES (?, ?, ?, ?, ?)",
            )?
            .execute(params![row.user, row.id, secret.revision, data_key, secret.secret])?;
        Ok(())
    }

    /// Writes a changed credential over the old row; who it belongs to, for which provider and of which kind it is
    /// never changes.
    pub(crate) fn update_credential(&self, row: &CredentialRow) -> Result<(), StoreError> {
        let data_key = self.current_data_key(&row.summary)?;
        self.connection
            .prepare_cached(
                "UPDATE credential SET status = :status, in_doubt = :in_doubt, updated_at = :updated_at,
                     expires_at = :expires_at, refresh_at = :refresh_at, revision = :revision, secret_revision = :secret_revision,
                     data_key = :data_key, summary = :summary
                 WHERE user = :user AND id = :id",
            )?
            .execute(named_params! {
                ":user": row.user, ":id": row.id, ":status": row.status, ":in_doubt": row.in_doubt,
                ":updated_at": row.updated_at, ":expires_at": row.expires_at, ":refresh_at": row.refresh_at,
                ":revision": row.revision, ":secret_revision": row.secret_revision, ":data_key": data_key,
                ":summary": row.summary,
            })?;
        Ok(())
    }

    /// Writes a changed secret over the old row.
    pub(crate) fn update_secret(&self, user: &str, id: &str, secret: &SecretRow) -> Result<(), StoreError> {
        let data_key = self.current_data_key(&secret.secret)?;
        self.connection
            .prepare_cached(
                "UPDATE credential_secret SET revision = ?, data_key = ?, secret = ? WHERE user = ? AND id = ?",
            )?
            .execute(params![secret.revision, data_key, secret.secret, user, id])?;
        Ok(())
    }

    /// Notes that a secret was used.
    pub(crate) fn touch_credential(&self, user: &str, id: &str, at: i64) -> Result<(), StoreError> {
        self.connection
            .prepare_cached("UPDATE credential SET last_used_at = ? WHERE user = ? AND id = ?")?
            .execute(params![at, user, id])?;
        Ok(())
    }

    /// Sets when the background looks at a credential next.
    pub(crate) fn schedule_refresh(&self, user: &str, id: &str, at: Option<i64>) -> Result<(), StoreError> {
        self.connection
            .prepare_cached("UPDATE credential SET refresh_at = ? WHERE user = ? AND id = ?")?
            .execute(params![at, user, id])?;
        Ok(())
    }

    /// Erases a credential with its secret.
    pub(crate) fn delete_credential(&self, user: &str, id: &str) -> Result<(), StoreError> {
        self.connection
            .prepare_cached("DELETE FROM credential_secret WHERE user = ? AND id = ?")?
            .execute([user, id])?;
        self.connection.prepare_cached("DELETE FROM credential WHERE user = ? AND id = ?")?.execute([user, id])?;
        Ok(())
    }
}
