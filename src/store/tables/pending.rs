//! Rows of pending logins.

use rusqlite::{Row, params};

use super::statement::{SealedRow as _, behind, sealed_row};
use super::usage::{Usage, bytes};
use crate::store::engine::{Tx, View};
use crate::store::error::StoreError;

/// Seconds that a login may lie in the future. One further ahead was written by a wrong clock and
/// would live too long; it counts as expired.
const AHEAD: i64 = 600;

/// A pending login.
pub(crate) struct PendingRow {
    pub(crate) state_hash: [u8; 32],
    pub(crate) user: String,
    pub(crate) provider: String,
    pub(crate) created_at: i64,
    pub(crate) expires_at: i64,
    pub(crate) revision: i64,
    pub(crate) data_key: u32,
    pub(crate) sealed: Vec<u8>,
}

sealed_row! {
    PendingRow, "pending_authorization" by "state_hash";
    state_hash, user, provider, created_at, expires_at, revision, data_key, sealed
}

/// Hash of a pending login in hex, if it can be read, and the login or the error of reading it.
pub(crate) type PerhapsPending = (Option<String>, Result<PendingRow, StoreError>);

impl View<'_> {
    /// Returns up to `limit` logins that expired by `now`, in the order of their hashes after
    /// `after` (in hex). A row that cannot be read is an error in its place.
    pub(crate) fn expired_pending(
        &self,
        now: i64,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<PerhapsPending>, StoreError> {
        let (than, after) = behind(after);
        let sql = format!(
            "SELECT *, hex(state_hash) AS hash FROM pending_authorization
             WHERE state_hash {than} unhex(?) AND (expires_at <= ? OR created_at > ?) ORDER BY state_hash LIMIT ?"
        );
        let read = |row: &Row<'_>| Ok((row.get("hash").ok(), PendingRow::read(row).map_err(StoreError::from)));
        self.rows(&sql, params![after, now, now.saturating_add(AHEAD), limit], read)
    }

    /// Returns all logins of a user. A row that cannot be read is an error in its place.
    pub(crate) fn pending_of(&self, user: &str) -> Result<Vec<Result<PendingRow, StoreError>>, StoreError> {
        let sql = "SELECT * FROM pending_authorization WHERE user = ?";
        self.rows(sql, [user], |row| Ok(PendingRow::read(row).map_err(StoreError::from)))
    }

    /// Returns the login with this hash, of any user.
    pub(crate) fn pending_at(&self, state_hash: &[u8; 32]) -> Result<Option<PendingRow>, StoreError> {
        self.row("SELECT * FROM pending_authorization WHERE state_hash = ?", [state_hash], PendingRow::read)
    }

    /// Returns a login that has not expired, without deleting it.
    pub(crate) fn pending(
        &self,
        state_hash: &[u8; 32],
        user: &str,
        provider: &str,
        now: i64,
    ) -> Result<Option<PendingRow>, StoreError> {
        let sql = "SELECT * FROM pending_authorization
             WHERE state_hash = ?1 AND user = ?2 AND provider = ?3 AND expires_at > ?4 AND created_at <= ?5";
        self.row(sql, params![state_hash, user, provider, now, now.saturating_add(AHEAD)], PendingRow::read)
    }
}

impl Tx<'_> {
    /// Deletes a login and returns it. It is one statement, so exactly one caller gets it. User and
    /// provider must match, and it must not have expired.
    pub(crate) fn take_pending(
        &self,
        state_hash: &[u8; 32],
        user: &str,
        provider: &str,
        now: i64,
    ) -> Result<Option<PendingRow>, StoreError> {
        let sql = "DELETE FROM pending_authorization
             WHERE state_hash = ?1 AND user = ?2 AND provider = ?3 AND expires_at > ?4 AND created_at <= ?5 RETURNING *";
        let taken =
            self.row(sql, params![state_hash, user, provider, now, now.saturating_add(AHEAD)], PendingRow::read)?;
        self.discount(taken.as_slice())?;
        Ok(taken)
    }

    /// Takes deleted logins out of the usage of their users.
    fn discount(&self, deleted: &[PendingRow]) -> Result<(), StoreError> {
        let discount = |row: &PendingRow| self.count_usage(&row.user, Usage::of_logins(-1, -bytes(row.sealed.len())));
        deleted.iter().try_for_each(discount)
    }

    /// Inserts a login.
    pub(crate) fn insert_pending(&self, row: &PendingRow) -> Result<(), StoreError> {
        self.insert_sealed(row)?;
        self.count_usage(&row.user, Usage::of_logins(1, bytes(row.sealed.len())))
    }

    /// Replaces the sealed part of a login, which had `before` bytes.
    pub(crate) fn update_pending(&self, row: &PendingRow, before: usize) -> Result<(), StoreError> {
        let data_key = self.current_data_key(&row.sealed)?;
        self.count_usage(&row.user, Usage::of_logins(0, bytes(row.sealed.len()) - bytes(before)))?;
        self.execute(
            "UPDATE pending_authorization SET revision = ?, data_key = ?, sealed = ? WHERE state_hash = ?",
            params![row.revision, data_key, row.sealed, row.state_hash],
        )
    }

    /// Deletes a login.
    pub(crate) fn delete_pending(&self, row: &PendingRow) -> Result<(), StoreError> {
        self.execute("DELETE FROM pending_authorization WHERE state_hash = ?", [row.state_hash])?;
        self.discount(std::slice::from_ref(row))
    }

    /// Deletes all logins and returns them.
    pub(crate) fn take_all_pending(&self) -> Result<Vec<PendingRow>, StoreError> {
        let deleted = self.rows("DELETE FROM pending_authorization RETURNING *", [], PendingRow::read)?;
        self.discount(&deleted)?;
        Ok(deleted)
    }

    /// Deletes up to `limit` logins of a user and returns them: all but the newest that are at most
    /// `keep.0` and have at most `keep.1` bytes. Within one second the higher revision is the newer.
    pub(crate) fn take_pending_beyond(
        &self,
        user: &str,
        keep: (i64, i64),
        limit: u32,
    ) -> Result<Vec<PendingRow>, StoreError> {
        let sql = "DELETE FROM pending_authorization WHERE state_hash IN (
                 SELECT state_hash FROM (
                     SELECT state_hash, row_number() OVER newest AS number, sum(length(sealed)) OVER newest AS bytes
                     FROM pending_authorization WHERE user = ?
                     WINDOW newest AS (ORDER BY created_at DESC, revision DESC, state_hash
                         ROWS UNBOUNDED PRECEDING))
                 WHERE number > ? OR bytes > ? LIMIT ?) RETURNING *";
        let deleted = self.rows(sql, params![user, keep.0, keep.1, limit], PendingRow::read)?;
        self.discount(&deleted)?;
        Ok(deleted)
    }
}
