//! Rows of the revocation queue.

use rusqlite::{Row, named_params, params};

use super::statement::{SealedRow as _, behind, sealed_row};
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

sealed_row! {
    RevocationRow, "revocation" by "id";
    id, user, provider, credential, attempts, not_before, give_up_at, revision, data_key, sealed
}

impl View<'_> {
    /// Returns one revocation.
    pub(crate) fn revocation(&self, id: &str) -> Result<Option<RevocationRow>, StoreError> {
        self.row("SELECT * FROM revocation WHERE id = ?", [id], RevocationRow::read)
    }

    /// Returns the revocations that may be tried at `due` and are not given up at `now`, longest
    /// waiting first. At most `limit` of each provider, so that no provider and no unreadable row
    /// delays another.
    pub(crate) fn due_revocations(&self, now: i64, due: i64, limit: u32) -> Result<Vec<ReadRevocation>, StoreError> {
        let sql = "SELECT * FROM (
                 SELECT *, row_number() OVER (PARTITION BY provider ORDER BY not_before, id) AS turn
                 FROM revocation WHERE (not_before <= ?2 OR not_before > ?4) AND give_up_at > ?1)
             WHERE turn <= ?3 ORDER BY not_before, id";
        // A longer delay was written by a clock that was ahead.
        let beyond = now.saturating_add(LONGEST_PUT_OFF);
        let read = |row: &Row<'_>| Ok(RevocationRow::read(row).map_err(StoreError::from));
        self.rows(sql, params![now, due, limit, beyond], read)
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
        let sql = format!(
            "SELECT * FROM revocation
             WHERE id {than} ? AND (give_up_at <= ? OR give_up_at > ? AND attempts >= ?) ORDER BY id LIMIT ?"
        );
        let read = |row: &Row<'_>| Ok((row.get("id").ok(), RevocationRow::read(row).map_err(StoreError::from)));
        self.rows(&sql, params![after, which.now, which.beyond, which.attempts, limit], read)
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
    /// Updates a postponed revocation.
    pub(crate) fn update_revocation(&self, row: &RevocationRow) -> Result<(), StoreError> {
        let data_key = self.current_data_key(&row.sealed)?;
        self.execute(
            "UPDATE revocation SET attempts = :attempts, not_before = :not_before, revision = :revision,
                 data_key = :data_key, sealed = :sealed
             WHERE id = :id",
            named_params! {
                ":id": row.id, ":attempts": row.attempts, ":not_before": row.not_before, ":revision": row.revision,
                ":data_key": data_key, ":sealed": row.sealed,
            },
        )
    }

    /// Deletes a revocation and returns it.
    pub(crate) fn take_revocation(&self, id: &str) -> Result<Option<RevocationRow>, StoreError> {
        self.row("DELETE FROM revocation WHERE id = ? RETURNING *", [id], RevocationRow::read)
    }
}
