//! Errors of SQLite and the file system, by what has to be done about them.

use std::io;
use std::path::PathBuf;

use rusqlite::ErrorCode;

/// Error of the store. It is `Clone` because every job of a failed group gets it.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// There is no file at this path.
    #[error("there is no vault at {0}")]
    NotFound(PathBuf),
    /// A file is already there.
    #[error("{0} already exists, and a vault is never made over existing data")]
    AlreadyExists(PathBuf),
    /// The file is not a vault.
    #[error("{0} is not a vault of Strongroom")]
    NotAVault(PathBuf),
    /// A version before the first release wrote it.
    #[error("{0} was made by an unreleased version of Strongroom")]
    Unreleased(PathBuf),
    /// A newer version of Strongroom wrote it.
    #[error("the vault has format {found} and this program knows up to {known}: a newer Strongroom wrote it")]
    NewerFormat {
        /// The version in the file.
        found: u32,
        /// The newest version that this program knows.
        known: u32,
    },
    /// The file has several names, so two servers could open it, each with its own lock and log.
    #[error("{path} is one file with {names} names (hard links), as `cp -al` or `rsync --link-dest` make them")]
    HardLinked {
        /// The file.
        path: PathBuf,
        /// Number of names.
        names: u64,
    },
    /// The file itself is a mount, so its log is not beside the mounted file.
    #[error("{0} is mounted as a single file, so its -wal file would not be beside it")]
    MountedAlone(PathBuf),
    /// Another server holds the lock.
    #[error("another server has the vault {0} open")]
    Locked(PathBuf),
    /// `SQLITE_FULL`: the write was refused as a whole.
    #[error("the disk that holds the vault is full")]
    Full,
    /// The file or its folder cannot be written.
    #[error("the vault cannot be written: {0}")]
    ReadOnly(String),
    /// The disk failed, or a file beside the database cannot be opened; nothing was changed.
    #[error("the disk that holds the vault failed: {0}")]
    Disk(String),
    /// Another process held the write lock for too long.
    #[error("the vault is locked by another process")]
    Busy,
    /// A COMMIT failed with an unknown outcome, the vault's files were moved or replaced, or the
    /// writer has ended. No write is accepted any more.
    #[error("the vault accepts no more writes until the program is restarted: {0}")]
    Stopped(String),
    /// A record was sealed under a data key that is no longer current; the caller seals again.
    #[error("sealed under a data key that is no longer current")]
    StaleDataKey,
    /// SQLite found the file damaged, or a row has a value that Strongroom never writes.
    #[error("the file is damaged: {0}")]
    Corrupt(String),
    /// The file system refused an operation.
    #[error("{what} {path}: {kind}")]
    File {
        /// The operation.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// Kind of the error.
        kind: io::ErrorKind,
    },
    /// Another error of SQLite, with the statement's text, never a value.
    #[error("the vault's database failed: {0}")]
    Sqlite(String),
}

/// Error of a job.
pub(crate) trait JobError: From<StoreError> + Send + 'static {
    /// Returns true if the disk was full: the writer may have a ballast to release.
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
