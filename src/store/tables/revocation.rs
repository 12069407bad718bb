//! Rows of the queue of revocations.

use rusqlite::{OptionalExtension, Row, named_params, params};

use super::scan_start::behind;
use crate::store::engine::{Tx, View};
use crate::store::error::StoreError;

/// Nobody puts a revocation off for longer, in seconds; six hours are the longest wait.
const LONGEST_PUT_OFF: i64 = 86_400;

/// A row, or why it cannot be read.
pub(crate) type ReadRevocation = Result<RevocationRow, StoreError>;

/// Which revocations have been tried for long enough.
#[derive(Clone, Copy)]
pub(crate) struct GiveUp {
    /// Those whose time is over by now.
    pub(crate) now: i64,
    /// Those whose time ends later than any that is queued now, because the clock was ahead when they were queued...
    pub(crate) beyond: i64,
    /// ...and that were tried as often as fits into the time that they should have.
    pub(crate) attempts: u32,
}

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
    pub(super) fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
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

    /// What is not yet given up at `now` and may be tried at `due`, the longest waiting first: at most `limit` rows of each
    /// provider, so that none keeps another from its turn, and neither does one that cannot be read.
    pub(crate) fn due_revocations(&self, now: i64, due: i64, limit: u32) -> Result<Vec<ReadRevocation>, StoreError> {
        let mut statement = self.connection.prepare_cached(
            "SELECT * FROM (
                 SELECT *, row_number() OVER (PARTITION BY provider ORDER BY not_before, id) AS turn
                 FROM revocation WHERE (not_before <= ?2 OR not_before > ?4) AND give_up_at > ?1)
             WHERE turn <= ?3 ORDER BY not_before, id",
        )?;
        // Put off by longer than ever happens: a clock that was ahead wrote it.
        let beyond = now.saturating_add(LONGEST_PUT_OFF);
        let read = |row: &Row<'_>| Ok(RevocationRow::read(row).map_err(StoreError::from));
        Ok(statement.query_map(params![now, due, limit, beyond], read)?.collect::<Result<_, _>>()?)
    }

    /// Up to `limit` revocations that are to be given up, by their ids from behind `after` on, each with its id where that can be
    /// read.
    pub(crate) fn overdue_revocations(
        &self,
        which: GiveUp,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<(Option<String>, ReadRevocation)>, StoreError> {
        let (than, after) = behind(after);
        let mut statement = self.connection.prepare_cached(&format!(
            "SELECT * FROM revocation
             WHERE id {than} ? AND (give_up_at <= ? OR give_up_at > ? AND attempts >= ?) ORDER BY id LIMIT ?"
        ))?;
        let read = |row: &Row<'_>| Ok((row.get("id").ok(), RevocationRow::read(row).map_err(StoreError::from)));
        let values = params![after, which.now, which.beyond, which.attempts, limit];
        Ok(statement.query_map(values, read)?.collect::<Result<_, _>>()?)
    }

    /// The rows whose credential comes after `after`, in the order of their credentials, for as long as `wanted` says so. One that
    /// cannot be read is an error in its own place.
    pub(crate) fn revocations_after<E: From<StoreError>>(
        &self,
        after: &str,
        mut wanted: impl FnMut(ReadRevocation) -> Result<bool, E>,
    ) -> Result<(), E> {
        let failed = |error| E::from(StoreError::from(error));
        let mut statement = self
            .connection
            .prepare_cached("SELECT * FROM revocation WHERE credential > ? ORDER BY credential, id")
            .map_err(failed)?;
        let mut rows = statement.query([after]).map_err(failed)?;
        while let Some(row) = rows.next().map_err(failed)? {
            if !wanted(RevocationRow::read(row).map_err(StoreError::from))? {
                break;
            }
        }
        Ok(())
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
}
