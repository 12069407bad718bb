//! What SQLite or the file system answered, sorted by what has to be done about it.

use std::io;
use std::path::PathBuf;

use rusqlite::ErrorCode;

/// Why the store could not do what was asked. It can be cloned because everybody in a failed group gets it.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// There is no file at this path.
    #[error("there is no vault at {0}")]
    NotFound(PathBuf),
    /// A file is already there.
    #[error("{0} already exists")]
    AlreadyExists(PathBuf),
    /// The file is not one of ours.
    #[error("{0} is not a vault of Strongroom")]
    NotAVault(PathBuf),
    /// A version before the first release wrote it.
    #[error("{0} was made by an unreleased version of Strongroom")]
    Unreleased(PathBuf),
    /// A newer program wrote it.
    #[error("format {found} is newer than {known}")]
    NewerFormat {
        /// The version in the file.
        found: u32,
        /// The newest version that this program knows.
        known: u32,
    },
    /// Another server holds the lock.
    #[error("another server has {0} open")]
    Locked(PathBuf),
    /// `SQLITE_FULL`: the write was refused as a whole.
    #[error("the disk is full")]
    Full,
    /// The file or its folder cannot be written.
    #[error("the file cannot be written: {0}")]
    ReadOnly(String),
    /// The disk did not do what it was asked, or a file beside the database cannot be opened; nothing was changed.
    #[error("the disk failed: {0}")]
    Disk(String),
    /// Another process held the write lock for longer than we wait.
    #[error("the file is locked by another process")]
    Busy,
    /// A COMMIT failed with an unknown outcome, or the writer is gone: no write is taken any more.
    #[error("no more writes: {0}")]
    Stopped(String),
    /// A row was sealed under a data key that is not the current one: the caller seals again.
    #[error("sealed under a data key that is no longer current")]
    StaleDataKey,
    /// SQLite found the file damaged, or a row has a value in it that we never write.
    #[error("the file is damaged: {0}")]
    Corrupt(String),
    /// The file system refused.
    #[error("{what} {path}: {kind}")]
    File {
        /// What was tried.
        what: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the system said.
        kind: io::ErrorKind,
    },
    /// Anything else that SQLite reports; the statement's text, never a value.
    #[error("SQLite: {0}")]
    Sqlite(String),
}

/// What a job of the writer can fail with.
pub(crate) trait JobError: From<StoreError> + Send + 'static {
    /// Whether the disk was full: the writer may have room that it can give up.
    fn is_full(&self) -> bool;
}

impl JobError for StoreError {
    fn is_full(&self) -> bool {
        matches!(self, Self::Full)
    }
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::Error::{FromSqlConversionFailure, IntegralValueOutOfRange, InvalidColumnType, Utf8Error};

        let text = error.to_string();
        if matches!(
            error,
            FromSqlConversionFailure(..) | IntegralValueOutOfRange(..) | InvalidColumnType(..) | Utf8Error(..)
        ) {
            return Self::Corrupt(text);
        }
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::Full,
            Some(ErrorCode::ReadOnly) => Self::ReadOnly(text),
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Busy,
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Self::Corrupt(text),
            Some(ErrorCode::SystemIoFailure | ErrorCode::CannotOpen) => Self::Disk(text),
            _ => Self::Sqlite(text),
        }
    }
}
