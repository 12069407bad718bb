//! Pool of read connections (r2d2). It is small because each connection has its own page cache.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use r2d2::{ManageConnection, Pool, PooledConnection};
use rusqlite::Connection;

use super::connection::{execute, open_reader};
use super::open_files::OpenFiles;
use super::reader_cache::{ReaderCache, StateCache};
use super::txn_state::View;
use crate::store::error::StoreError;

/// Largest number of readers. More would only wait for the cores of a small machine.
const READERS: u32 = 4;

/// Longest wait for a free reader.
const WAIT: Duration = Duration::from_secs(5);

/// The pool. r2d2_sqlite supports only older versions of rusqlite.
pub(crate) struct Readers(Pool<Opener>);

struct Opener {
    path: PathBuf,
    files: OpenFiles,
}

/// A read connection with its cache.
pub(crate) struct Reader {
    connection: Connection,
    cache: ReaderCache,
}

impl ManageConnection for Opener {
    type Connection = Reader;
    type Error = StoreError;

    fn connect(&self) -> Result<Reader, StoreError> {
        let connection = open_reader(&self.path)?;
        // Another vault may be at the path now.
        self.files.check()?;
        Ok(Reader { connection, cache: ReaderCache::default() })
    }

    fn is_valid(&self, reader: &mut Reader) -> Result<(), StoreError> {
        Ok(reader.connection.execute_batch("SELECT 1")?)
    }

    fn has_broken(&self, reader: &mut Reader) -> bool {
        !reader.connection.is_autocommit()
    }
}

impl Readers {
    /// Creates an empty pool. Connections are opened when they are needed, and kept.
    pub(crate) fn new(path: PathBuf, files: OpenFiles) -> Self {
        let pool = Pool::builder()
            .max_size(READERS)
            .min_idle(Some(0)) // else it opens another in the background, which a short command would leave behind
            .test_on_check_out(false)
            .idle_timeout(None)
            .max_lifetime(None)
            .connection_timeout(WAIT)
            .error_handler(Box::new(r2d2::NopErrorHandler))
            .build_unchecked(Opener { path, files });
        Self(pool)
    }

    /// Runs `read` in a read transaction.
    pub(crate) fn read<T, E: From<StoreError>>(&self, read: impl FnOnce(&View<'_>) -> Result<T, E>) -> Result<T, E> {
        let reader = self.get()?;
        execute(&reader.connection, "BEGIN")?;
        let seen = read(&View { connection: &reader.connection, cache: Some(&reader.cache) });
        // Nothing has to be rolled back. If `read` panics, the pool drops the connection.
        let ended = execute(&reader.connection, "COMMIT");
        let seen = seen?;
        ended?;
        Ok(seen)
    }

    /// Returns the values that a reader has kept since the last commit.
    pub(crate) fn check(&self) -> Result<Arc<StateCache>, StoreError> {
        let reader = self.get()?;
        reader.cache.check(&reader.connection)
    }

    fn get(&self) -> Result<PooledConnection<Opener>, StoreError> {
        self.0.get().map_err(|_| StoreError::Busy)
    }
}
