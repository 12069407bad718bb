//! Errors of backups.

use std::io;
use std::path::PathBuf;

use crate::store::StoreError;
use crate::vault::error::VaultError;

/// The reason why a backup could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// An error of the vault, or of the vault in the backup.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// The file is not a backup.
    #[error("{0} is not a backup of Strongroom")]
    NotABackup(PathBuf),
    /// A newer Strongroom made it.
    #[error("the backup has format {found} and this program knows up to {known}: a newer Strongroom made it")]
    NewerFormat {
        /// The version in the file.
        found: u16,
        /// The newest version that this program knows.
        known: u16,
    },
    /// The file was changed.
    #[error("the backup is damaged: {0}")]
    Damaged(&'static str),
    /// The file ends early.
    #[error("the backup is cut off: it ends before its last chunk")]
    CutOff,
    /// The file exists.
    #[error("{0} already exists")]
    AlreadyExists(PathBuf),
    /// The file exists and is not a backup.
    #[error("{0} exists and is not a backup, so it is not replaced")]
    NotReplaceable(PathBuf),
    /// The process is stopping.
    #[error("the backup was given up: the server stops")]
    GivenUp,
    /// Writing or reading failed in the middle.
    #[error("the backup cannot be {what}: {source}")]
    Io {
        /// `written` or `read`.
        what: &'static str,
        /// The system's error.
        source: io::Error,
    },
}

impl BackupError {
    pub(crate) fn writing(source: io::Error) -> Self {
        Self::Io { what: "written", source }
    }

    /// Returns the error of a failed read: a file that ends early is cut off.
    pub(crate) fn reading(source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::UnexpectedEof => Self::CutOff,
            _ => Self::Io { what: "read", source },
        }
    }

    /// Returns true if the backup itself is damaged (exit code 4).
    pub fn is_damage(&self) -> bool {
        match self {
            Self::Damaged(_) | Self::CutOff | Self::NotABackup(_) => true,
            Self::Vault(error) => error.is_damage(),
            _ => false,
        }
    }
}

impl From<StoreError> for BackupError {
    fn from(error: StoreError) -> Self {
        Self::Vault(error.into())
    }
}
