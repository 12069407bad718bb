//! Rows of the revocation queue.

use rusqlite::{OptionalExtension, Row, named_params, params};

use super::scan_start::behind;
use crate::store::engine::{Tx, View};
use crate::store::error::StoreError;

/// Longest delay of a revocation, in seconds. The longest backoff is six hours.
const LONGEST_PUT_OFF: i64 = 86_400;

/// A row, or the error of reading it.
pub(crate) type ReadRevocation = Result<RevocationRow, StoreError>;

/// Selects the revocations that are given up.
#[derive(Clone, Copy)]
pub(crate) struct GiveUp {
    /// Those whose time is over at this moment.
    pub(crate) now: i64,
    /// Those whose time ends after this moment, later than any that is queued now: the clock was
    /// ahead when they were queued.
    pub(crate) beyond: i64,
    /// Of these, only those with at least as many attempts as fit into the regular time.
    pub(crate) attempts: u32,
}

/// Tokens that wait for their revocation.
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
    /// Returns one revocation.
    pub(crate) fn revocation(&self, id: &str) -> Result<Option<RevocationRow>, StoreError> {
        let mut statement = self.connection.prepare_cached("SELECT * FROM revocation WHERE id = ?")?;
        Ok(statement.query_row([id], RevocationRow::read).optional()?)
    }

    /// Returns the revocations that may be tried at `due` and are not given up at `now`, longest
    /// waiting first. At most `limit` of each provider, so that no provider and no unreadable row
    /// delays another.
    pub(crate) fn due_revocations(&self, now: i64, due: i64, limit: u32) -> Result<Vec<ReadRevocation>, StoreError> {
        let mut statement = self.connection.prepare_cached(
            "SELECT * FROM (
                 SELECT *, row_number() OVER (PARTITION BY provider ORDER BY not_before, id) AS turn
                 FROM revocation WHERE (not_before <= ?2 OR not_before > ?4) AND give_up_at > ?1)
             WHERE turn <= ?3 ORDER BY not_before, id",
        )?;
        // A longer delay was written by a clock that was ahead.
        let beyond = now.saturating_add(LONGEST_PUT_OFF);
        let read = |row: &Row<'_>| Ok(RevocationRow::read(row).map_err(StoreError::from));
        Ok(statement.query_map(params![now, due, limit, beyond], read)?.collect::<Result<_, _>>()?)
    }

    /// Returns up to `limit` revocations that are given up, in the order of their ids after
    /// `after`, each with its id if that can be read.
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

    /// Calls `wanted` with the rows whose credential comes after `after`, in the order of their
    /// credentials, until it returns false. A row that cannot be read is an error in its place.
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
    /// Inserts a revocation.
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

    /// Updates a postponed revocation.
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

    /// Deletes a revocation and returns it.
    pub(crate) fn take_revocation(&self, id: &str) -> Result<Option<RevocationRow>, StoreError> {
        let mut statement = self.connection.prepare_cached("DELETE FROM revocation WHERE id = ? RETURNING *")?;
        Ok(statement.query_row([id], RevocationRow::read).optional()?)
    }
}
