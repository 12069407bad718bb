//! What can go wrong with a backup.

use std::io;
use std::path::PathBuf;

use crate::store::StoreError;
use crate::vault::error::VaultError;

/// Why a backup could not be made or read.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The vault: its own failures, and those of what was restored from the backup.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// The file is no backup.
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
    /// The file is not as it was written.
    #[error("the backup is damaged: {0}")]
    Damaged(&'static str),
    /// The file ends early.
    #[error("the backup is cut off: it ends before its last chunk")]
    CutOff,
    /// Something is there already.
    #[error("{0} already exists")]
    AlreadyExists(PathBuf),
    /// The process is stopping.
    #[error("the backup was given up: the server stops")]
    GivenUp,
    /// The operating system refused.
    #[error("{what} {path}: {source}")]
    File {
        /// What was tried.
        what: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The backup could not be written or read any further.
    #[error("the backup cannot be {what}: {source}")]
    Io {
        /// `written` or `read`.
        what: &'static str,
        /// What the system said.
        source: io::Error,
    },
}

impl BackupError {
    pub(in crate::vault) fn writing(source: io::Error) -> Self {
        Self::Io { what: "written", source }
    }

    /// Returns the error of a failed read: a file that ends early is cut off.
    pub(in crate::vault) fn reading(source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::UnexpectedEof => Self::CutOff,
            _ => Self::Io { what: "read", source },
        }
    }

    /// Whether the backup itself is not as it was written (exit code 4).
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
