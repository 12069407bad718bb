//! SQLite: the writer, the readers, the migrations. Moves sealed bytes; holds no key.
//!
//! Its face is a few dozen verbs over rows: `View` reads, `Tx` also writes. Every statement stands beside the
//! type that it fills, and nobody above sees SQL.

mod dump;
mod engine;
mod error;
mod integrity;
mod restore_target;
mod schema;
mod tables;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::Connection;

pub(crate) use dump::Cell;
pub(crate) use engine::file::rename_no_replace;
pub use engine::file::{FileWarning, check as check_files};
pub(crate) use engine::{Cached, DeferredWrite, Tx, View, WritePriority};
pub(crate) use error::JobError;
pub use error::StoreError;
pub(crate) use restore_target::RestoreTarget;
pub(crate) use schema::Table;
pub use schema::VERSION as SCHEMA_VERSION;
pub(crate) use tables::*;

use engine::{Ballast, Readers, Writer, connection, file, wal};

/// An open file. Dropping the last clone stops the writer after what it was given, and lets the lock go.
#[derive(Clone)]
pub(crate) struct Store {
    shared: Arc<Shared>,
}

/// The order matters: readers go first, then the writer (whose connection checkpoints when it closes), then the head of the
/// log that both had open, then the lock.
struct Shared {
    readers: Readers,
    writer: Writer,
    path: PathBuf,
    ballast: u64,
    _lock: Option<File>,
}

/// Whether the file is locked for the one server.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lock {
    /// Take the lock, or fail.
    Server,
    /// Work beside whoever has it.
    None,
}

impl Store {
    /// Makes a new file (0600, never over an existing one), locks it for the one server, and fills it in one
    /// transaction. `told` hears of every commit, as in [`Store::open`].
    pub(crate) fn create<E: From<StoreError>>(
        path: &Path,
        fill: impl FnOnce(&Tx<'_>) -> Result<(), E>,
    ) -> Result<Self, E> {
        let path = file::create(path)?;
        let lay_out = || -> Result<_, E> {
            let lock = file::lock(&path)?;
            let mut connection = connection::open_new(&path)?;
            schema::create(&mut connection, fill)?;
            connection::use_wal(&connection)?;
            Ok((connection, lock))
        };
        match lay_out() {
            Ok((connection, lock)) => Ok(Self::around(connection, path, 0, Some(lock))?),
            Err(error) => {
                file::remove_unfinished(&path);
                Err(error)
            }
        }
    }

    /// Opens a file that is there, bringing an older schema up to date. `ballast` is how many bytes are held back beside it
    /// for what must be written even where the disk is full. `told` hears of every commit of the server that can be told from
    /// those of other processes, on the writer's thread, before whoever waits for it is answered.
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
        let writer = Writer::start(connection, Ballast::beside(&path, ballast))?;
        let readers = Readers::new(path.clone());
        Ok(Self { shared: Arc::new(Shared { readers, writer, path, ballast, _lock: lock }) })
    }

    /// Runs `work` in the next group's transaction and answers when that is on disk. `work` is run
    /// again where its group failed through no fault of its own, so it touches nothing but the transaction.
    pub(crate) async fn write<T: Send + 'static, E: JobError>(
        &self,
        priority: WritePriority,
        work: impl Fn(&Tx<'_>) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E> {
        self.shared.writer.write(priority, work).await
    }

    /// The same for the opening of a vault, which waits for it where it stands.
    pub(crate) fn write_now<T: Send + 'static, E: JobError>(
        &self,
        priority: WritePriority,
        work: impl Fn(&Tx<'_>) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E> {
        self.shared.writer.write_now(priority, work)
    }

    /// Whether SQLite takes the file for one that cannot be written, although this process may write it: its header was damaged.
    /// Nothing is written to find that out.
    pub(crate) fn is_kept_from_writing(&self) -> bool {
        // Known when a transaction has looked at the first page; to begin one is not refused.
        let asked = self.write_now(WritePriority::Normal, |tx| Ok::<_, StoreError>(tx.connection.is_readonly("main")?));
        asked.is_ok_and(|is_readonly| is_readonly)
            && rustix::fs::access(&self.shared.path, rustix::fs::Access::WRITE_OK).is_ok()
    }

    /// Runs `read` in a reading transaction: all that it sees is of one moment.
    pub(crate) fn read<T, E: From<StoreError>>(&self, read: impl FnOnce(&View<'_>) -> Result<T, E>) -> Result<T, E> {
        self.shared.readers.read(read)
    }

    /// Runs `find` on what a reader has kept since the last commit, without a transaction.
    pub(crate) fn cached<C: Cached, T>(&self, find: impl FnOnce(&mut C) -> T) -> Result<T, StoreError> {
        self.shared.readers.cached(find)
    }

    /// Runs `read` in a reading transaction on a connection of its own: for what takes long, and must not take a reader from
    /// those who serve.
    pub(crate) fn snapshot<T, E: From<StoreError>>(
        &self,
        read: impl FnOnce(&View<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let mut connection = connection::open_reader(&self.shared.path)?;
        let transaction = connection.transaction().map_err(StoreError::from)?;
        let seen = read(&View::uncached(&transaction))?;
        transaction.finish().map_err(StoreError::from)?;
        Ok(seen)
    }

    /// Puts everything that is in the log beside the file into the file, and empties the log; what was deleted is in
    /// neither then. A reader that is still at an old moment keeps the log from being emptied: `false`.
    pub(crate) fn checkpoint(&self) -> Result<bool, StoreError> {
        let connection = connection::open_writer(&self.shared.path)?;
        let busy: i64 = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
        Ok(busy == 0)
    }

    /// Resolves when the writer stopped because it does not know what is on disk, with the reason.
    pub(crate) async fn fatal(&self) -> String {
        self.shared.writer.fatal().await
    }

    /// Whether room is held back beside the file, where it was asked for.
    pub(crate) fn holds_ballast(&self) -> bool {
        Ballast::beside(&self.shared.path, self.shared.ballast).is_held()
    }

    /// What is not as it should be with the file, its lock and its folder.
    pub(crate) fn warnings(&self) -> Vec<FileWarning> {
        file::check(&self.shared.path)
    }
}
