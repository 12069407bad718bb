//! The connections that read: an r2d2 pool, small because each has a page cache of its own.

use std::path::PathBuf;
use std::time::Duration;

use r2d2::{ManageConnection, Pool};
use rusqlite::Connection;

use super::connection::{execute, open_reader};
use super::txn_state::View;
use crate::store::error::StoreError;

/// Readers at one time; more would wait for the two cores of a small machine anyway.
const READERS: u32 = 4;

/// How long a request waits for a free reader before it is told that the vault is busy.
const WAIT: Duration = Duration::from_secs(5);

/// The pool. r2d2_sqlite does not link beside this rusqlite, and this is all there is to it.
pub(crate) struct Readers(Pool<Opener>);

struct Opener(PathBuf);

impl ManageConnection for Opener {
    type Connection = Connection;
    type Error = StoreError;

    fn connect(&self) -> Result<Connection, StoreError> {
        open_reader(&self.0)
    }

    fn is_valid(&self, connection: &mut Connection) -> Result<(), StoreError> {
        Ok(connection.execute_batch("SELECT 1")?)
    }

    fn has_broken(&self, connection: &mut Connection) -> bool {
        !connection.is_autocommit()
    }
}

impl Readers {
    /// Opens none yet; each is opened when it is first wanted, and kept.
    pub(crate) fn new(path: PathBuf) -> Self {
        let pool = Pool::builder()
            .max_size(READERS)
            .min_idle(Some(0)) // else it opens another in the background, which a short command would leave behind
            .test_on_check_out(false)
            .idle_timeout(None)
            .max_lifetime(None)
            .connection_timeout(WAIT)
            .error_handler(Box::new(r2d2::NopErrorHandler))
            .build_unchecked(Opener(path));
        Self(pool)
    }

    /// Runs `read` in a reading transaction.
    pub(crate) fn read<T, E: From<StoreError>>(&self, read: impl FnOnce(&View<'_>) -> Result<T, E>) -> Result<T, E> {
        let connection = self.0.get().map_err(|_| StoreError::Busy)?;
        execute(&connection, "BEGIN")?;
        let seen = read(&View { connection: &connection });
        // There is nothing to be undone. Where `read` panics, the pool lets the connection go.
        let ended = execute(&connection, "COMMIT");
        let seen = seen?;
        ended?;
        Ok(seen)
    }
}
