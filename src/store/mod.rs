//! Storage in SQLite: writer, readers, schema, and every SQL statement. It moves sealed bytes and
//! holds no key.
//!
//! `View` reads and `Tx` also writes, with one verb for each statement. No SQL exists above
//! this module.

mod dump;
mod engine;
mod error;
mod integrity;
mod restore_target;
mod schema;
mod tables;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rusqlite::Connection;
pub(crate) use rusqlite::types::ValueRef;

pub use engine::file::{check as check_files, folder_of};
pub(crate) use engine::{Cached, CheckedState, DeferredWrite, Tx, View, WritePriority};
pub(crate) use error::JobError;
pub use error::StoreError;
pub(crate) use restore_target::RestoreTarget;
pub(crate) use schema::Table;
pub use schema::VERSION as SCHEMA_VERSION;
pub(crate) use tables::*;
pub use tables::{AuditFilter, AuditRow};

use engine::open_files::OpenFiles;
use engine::{Ballast, Readers, Writer, connection, file, wal};

/// Time in which reads rely on the last look for the vault's file. Writes do not: the writer looks
/// before it acknowledges them.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// An open vault file. When the last clone is dropped, the writer finishes its jobs and the lock is
/// released.
#[derive(Clone)]
pub(crate) struct Store {
    shared: Arc<Shared>,
}

/// Fields are dropped in this order: the readers, then the writer, whose connection makes a
/// checkpoint when it closes, then the lock.
struct Shared {
    readers: Readers,
    writer: Writer,
    path: PathBuf,
    files: OpenFiles,
    /// Time of the last look for the vault's file.
    looked_at: Mutex<Option<Instant>>,
    ballast: u64,
    _lock: Option<File>,
}

/// Lock of the one server.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lock {
    /// Take the lock, or fail.
    Server,
    /// Do not take the lock; a server may be running.
    None,
}

impl Store {
    /// Creates a new file (0600, never over an existing one), locks it for the server, and fills it
    /// in one transaction.
    pub(crate) fn create<E: From<StoreError>>(
        path: &Path,
        fill: impl FnOnce(&Tx<'_>) -> Result<(), E>,
    ) -> Result<Self, E> {
        // Locked first: a server may still have a moved file of this path open.
        let lock = file::lock_new(path)?;
        let path = file::create(path)?;
        let lay_out = || -> Result<_, E> {
            let mut connection = connection::open_new(&path)?;
            schema::create(&mut connection, fill)?;
            connection::use_wal(&connection)?;
            Ok(connection)
        };
        match lay_out() {
            Ok(connection) => Ok(Self::around(connection, path, 0, Some(lock))?),
            Err(error) => {
                file::remove_unfinished(&path);
                Err(error)
            }
        }
    }

    /// Opens an existing file and migrates an older schema. `ballast` is the number of bytes that
    /// are reserved beside it for critical writes on a full disk.
    pub(crate) fn open(path: &Path, lock: Lock, ballast: u64) -> Result<Self, StoreError> {
        let path = file::resolve(path)?;
        let lock = if lock == Lock::Server { Some(file::lock(&path)?) } else { None };
        let mut connection = connection::open_writer(&path)?;
        if lock.is_some() {
            wal::write_again(&connection, &path)?;
        }
        schema::migrate(&mut connection, &path)?;
        Self::around(connection, path, ballast, lock)
    }

    fn around(connection: Connection, path: PathBuf, ballast: u64, lock: Option<File>) -> Result<Self, StoreError> {
        let files = OpenFiles::of(&path, lock.as_ref())?;
        let writer = Writer::start(connection, Ballast::beside(&path, ballast), files.clone())?;
        let readers = Readers::new(path.clone(), files.clone());
        Ok(Self {
            shared: Arc::new(Shared {
                readers,
                writer,
                path,
                files,
                looked_at: Mutex::default(),
                ballast,
                _lock: lock,
            }),
        })
    }

    /// Runs `work` in the transaction of the next group, and returns when that is on disk. If
    /// another job makes the group fail, `work` is run again, so it must touch nothing but the
    /// transaction.
    pub(crate) async fn write<T: Send + 'static, E: JobError>(
        &self,
        priority: WritePriority,
        work: impl Fn(&Tx<'_>) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E> {
        self.shared.writer.write(priority, work).await
    }

    /// Runs `work` like [`Store::write`], and blocks the thread. For the opening of a vault.
    pub(crate) fn write_now<T: Send + 'static, E: JobError>(
        &self,
        priority: WritePriority,
        work: impl Fn(&Tx<'_>) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E> {
        self.shared.writer.write_now(priority, work)
    }

    /// Returns true if SQLite refuses to write the file although the process may write it, because
    /// its header was damaged. Nothing is written.
    pub(crate) fn is_kept_from_writing(&self) -> bool {
        // SQLite knows it once a transaction has read the first page; BEGIN does not fail.
        let asked = self.write_now(WritePriority::Normal, |tx| Ok::<_, StoreError>(tx.connection.is_readonly("main")?));
        asked.is_ok_and(|is_readonly| is_readonly)
            && rustix::fs::access(&self.shared.path, rustix::fs::Access::WRITE_OK).is_ok()
    }

    /// Runs `read` in a read transaction, which sees one state of the file.
    pub(crate) fn read<T, E: From<StoreError>>(&self, read: impl FnOnce(&View<'_>) -> Result<T, E>) -> Result<T, E> {
        self.shared.readers.read(read)
    }

    /// Returns the current state of the file, which is looked for at its path if the last look is
    /// older than [`LOOK_EVERY`].
    pub(crate) fn check(&self) -> Result<CheckedState, StoreError> {
        let mut looked_at = self.shared.looked_at.lock().unwrap_or_else(PoisonError::into_inner);
        if looked_at.is_none_or(|at| at.elapsed() >= LOOK_EVERY) {
            self.shared.files.check_vault()?;
            *looked_at = Some(Instant::now());
        }
        drop(looked_at);
        Ok(CheckedState::new(&self.shared.readers.check()?))
    }

    /// Runs `find` on what a reader has kept of this state. Without a state, or if the reader has
    /// seen a later commit, the current state is checked and used.
    pub(crate) fn cached<C: Cached, T>(
        &self,
        state: Option<&CheckedState>,
        find: impl FnOnce(&mut C) -> T,
    ) -> Result<T, StoreError> {
        let cache = match state.and_then(CheckedState::cache) {
            Some(cache) => cache,
            None => self.shared.readers.check()?,
        };
        Ok(cache.with(find))
    }

    /// Runs `read` in a read transaction on a new connection: long reads must not take a reader
    /// from requests.
    pub(crate) fn snapshot<T, E: From<StoreError>>(
        &self,
        read: impl FnOnce(&View<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let mut connection = connection::open_reader(&self.shared.path)?;
        self.check_files_in_place()?;
        let transaction = connection.transaction().map_err(StoreError::from)?;
        let seen = read(&View::uncached(&transaction))?;
        transaction.finish().map_err(StoreError::from)?;
        Ok(seen)
    }

    /// Returns the number of pages of the file that hold nothing.
    pub(crate) fn free_pages(&self) -> Result<u64, StoreError> {
        self.read(|view| {
            let free: i64 = view.connection.query_row("PRAGMA freelist_count", [], |row| row.get(0))?;
            Ok(free.unsigned_abs())
        })
    }

    /// Removes up to `pages` free pages from the file, as one job of the writer. The file shrinks with
    /// a later checkpoint of the log.
    pub(crate) async fn remove_free_pages(&self, pages: u32) -> Result<(), StoreError> {
        self.write(WritePriority::Normal, move |tx| {
            // SQLite removes one page with each step of the statement.
            let mut statement = tx.connection.prepare(&format!("PRAGMA incremental_vacuum({pages})"))?;
            let mut rows = statement.query([])?;
            while rows.next()?.is_some() {}
            Ok(())
        })
        .await
    }

    /// Copies the log into the file and empties the log, so that deleted data is in neither.
    /// Returns false if a read transaction on an older state prevents this.
    pub(crate) fn checkpoint(&self) -> Result<bool, StoreError> {
        let connection = connection::open_writer(&self.shared.path)?;
        self.check_files_in_place()?;
        let busy: i64 = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
        Ok(busy == 0)
    }

    /// Copies the file, as it is at this moment, to a new file (0600) with this suffix, and returns
    /// its path.
    pub(crate) fn copy_beside(&self, suffix: &str) -> Result<PathBuf, StoreError> {
        let target = file::create(&file::beside(&self.shared.path, suffix))?;
        let copy = || -> Result<(), StoreError> {
            // An empty file is taken as a new one, so the copy keeps the mode.
            let connection = connection::open_writer(&self.shared.path)?;
            self.check_files_in_place()?;
            connection.execute("VACUUM INTO ?", [target.to_string_lossy()])?;
            file::sync(&target)
        };
        copy().inspect_err(|_| file::remove_unfinished(&target))?;
        Ok(target)
    }

    /// Checks that the vault's files are still at their paths.
    pub(crate) fn check_files_in_place(&self) -> Result<(), StoreError> {
        self.shared.files.check()
    }

    /// Resolves with the reason when the writer has stopped: the outcome of a commit is unknown, or
    /// the vault's files were moved.
    pub(crate) async fn fatal(&self) -> String {
        self.shared.writer.fatal().await
    }

    /// Returns true if the ballast is held, or none was asked for.
    pub(crate) fn holds_ballast(&self) -> bool {
        Ballast::beside(&self.shared.path, self.shared.ballast).is_held()
    }

    /// Returns warnings about the file, its lock and its folder.
    pub(crate) fn warnings(&self) -> Vec<String> {
        file::check(&self.shared.path)
    }
}
