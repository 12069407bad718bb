//! Rows of the queue of revocations.

use rusqlite::{OptionalExtension, Row, named_params, params};

use super::{StoreError, Tx, View};

/// Tokens that are to be revoked.
#[derive(Clone)]
pub(crate) struct RevocationRow {
    pub(crate) id: String,
    pub(crate) user: String,
    pub(crate) provider: String,
    pub(crate) credential: String,
    pub(crate) attempts: u32,
    pub(crate) not_before: i64,
    pub(crate) give_up_at: i64,
    pub(crate) revision: i64,
    pub(crate) data_key: u32,
    pub(crate) sealed: Vec<u8>,
}

impl RevocationRow {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            id: row.get("id")?,
            user: row.get("user")?,
            provider: row.get("provider")?,
            credential: row.get("credential")?,
            attempts: row.get("attempts")?,
            not_before: row.get("not_before")?,
            give_up_at: row.get("give_up_at")?,
            revision: row.get("revision")?,
            data_key: row.get("data_key")?,
            sealed: row.get("sealed")?,
        })
    }
}

impl View<'_> {
    /// One row of the queue.
    pub(crate) fn revocation(&self, id: &str) -> Result<Option<RevocationRow>, StoreError> {
        let mut statement = self.connection.prepare_cached("SELECT * FROM revocation WHERE id = ?")?;
        Ok(statement.query_row([id], RevocationRow::read).optional()?)
    }

    /// What is due at `now` and not yet given up, the longest waiting first.
    pub(crate) fn due_revocations(&self, now: i64, limit: u32) -> Result<Vec<RevocationRow>, StoreError> {
        let mut statement = self.connection.prepare_cached(
            "SELECT * FROM revocation WHERE not_before <= ?1 AND give_up_at > ?1 ORDER BY not_before, id LIMIT ?2",
        )?;
        Ok(statement.query_map(params![now, limit], RevocationRow::read)?.collect::<Result<_, _>>()?)
    }
}

impl Tx<'_> {
    /// Puts tokens into the queue.
    pub(crate) fn insert_revocation(&self, row: &RevocationRow) -> Result<(), StoreError> {
        let data_key = self.current_data_key(&row.sealed)?;
        self.connection
            .prepare_cached(
                "INSERT INTO revocation (id, user, provider, credential, attempts, not_before, give_up_at, revision,
                     data_key, sealed)
                 VALUES (:id, :user, :provider, :credential, :attempts, :not_before, :give_up_at, :revision,
                     :data_key, :sealed)",
            )?
            .execute(named_params! {
                ":id": row.id, ":user": row.user, ":provider": row.provider, ":credential": row.credential,
                ":attempts": row.attempts, ":not_before": row.not_before, ":give_up_at": row.give_up_at,
                ":revision": row.revision, ":data_key": data_key, ":sealed": row.sealed,
            })?;
        Ok(())
    }

    /// Writes a postponed revocation over its row.
    pub(crate) fn update_revocation(&self, row: &RevocationRow) -> Result<(), StoreError> {
        let data_key = self.current_data_key(&row.sealed)?;
        self.connection
            .prepare_cached(
                "UPDATE revocation SET attempts = :attempts, not_before = :not_before, revision = :revision,
                     data_key = :data_key, sealed = :sealed
                 WHERE id = :id",
            )?
            .execute(named_params! {
                ":id": row.id, ":attempts": row.attempts, ":not_before": row.not_before, ":revision": row.revision,
                ":data_key": data_key, ":sealed": row.sealed,
            })?;
        Ok(())
    }

    /// Takes a revocation out.
    pub(crate) fn take_revocation(&self, id: &str) -> Result<Option<RevocationRow>, StoreError> {
        let mut statement = self.connection.prepare_cached("DELETE FROM revocation WHERE id = ? RETURNING *")?;
        Ok(statement.query_row([id], RevocationRow::read).optional()?)
    }

    /// Takes out up to `limit` revocations that are to be given up at `now`.
    pub(crate) fn take_expired_revocations(&self, now: i64, limit: u32) -> Result<Vec<RevocationRow>, StoreError> {
        let mut statement = self.connection.prepare_cached(
            "DELETE FROM revocation WHERE id IN (SELECT id FROM revocation WHERE give_up_at <= ? LIMIT ?) RETURNING *",
        )?;
        Ok(statement.query_map(params![now, limit], RevocationRow::read)?.collect::<Result<_, _>>()?)
    }
}
