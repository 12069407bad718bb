//! Errors of the vault.

use std::io;
use std::path::PathBuf;

use crate::store::{JobError, StoreError};
use crate::vault::credentials::quota::QuotaLimit;

/// The reason why an operation failed.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// An error of the file or the disk.
    #[error(transparent)]
    Store(StoreError),
    /// The master key opens none of the vault's slots. Fingerprints identify keys and open
    /// nothing.
    #[error("{given}; the vault is opened by {}", .expected.join(" or "))]
    WrongKey {
        /// The key of each slot, for example `key 1f2e3d4c5b6a7988 (slot 1)`.
        expected: Vec<String>,
        /// The fault of the given key.
        given: String,
    },
    /// The slots or the wrapped keys were changed or damaged. Nothing that they open can be
    /// trusted.
    #[error("the vault's keyring is damaged: {0}")]
    DamagedKeyring(String),
    /// A row does not open, or is in the wrong place: damaged, moved, edited or replayed.
    #[error("the vault is damaged in table {table}, row {id}: {what}")]
    DamagedRow {
        /// The table of the row.
        table: &'static str,
        /// The row's id, never a value from it; `*` if the whole table is affected.
        id: String,
        /// The fault.
        what: &'static str,
    },
    /// A verification found rows that Strongroom did not write.
    #[error("the vault does not hold: {first}{}", .count.checked_sub(1).filter(|more| *more > 0).map_or(String::new(), |more| format!("; and {more} more")))]
    DoesNotHold {
        /// The first finding and its row.
        first: String,
        /// Number of findings.
        count: u64,
    },
    /// The vault is older than the epoch file says: it was replaced by an older copy, or its
    /// `-wal` is missing.
    #[error("this is an older copy of the vault, of epoch {found}: {} has seen epoch {known}", .epoch_file.display())]
    Rollback {
        /// The epoch in the vault.
        found: i64,
        /// The epoch in the epoch file.
        known: i64,
        /// The epoch file.
        epoch_file: PathBuf,
    },
    /// The vault records that an epoch file exists, but the file is missing.
    #[error("the epoch file {} is missing; without it an older copy of the vault cannot be detected", .0.display())]
    NoEpochFile(PathBuf),
    /// The epoch file is not valid.
    #[error("the epoch file {path} is not valid: {what}")]
    EpochFile {
        /// The epoch file.
        path: PathBuf,
        /// The fault.
        what: &'static str,
    },
    /// The keyring changed several times during the operation, or several writers changed one
    /// row.
    #[error("the vault changed too often during this request; try again")]
    Contended,
    /// The user was removed after the operation began, or with it the API key of the request.
    /// Nothing was stored.
    #[error("the user was removed during this request")]
    UserRemoved,
    /// The user's keys, logins and other credentials are removed.
    #[error("{0} of the user's credentials are damaged, and stay with the user; everything else of it is removed")]
    DamagedLeft(usize),
    /// The user would exceed its quota. Nothing was stored.
    #[error("the user may have at most {0}")]
    QuotaExceeded(QuotaLimit),
    /// The vault has the maximum number of slots.
    #[error("the vault has {0} slots, which is the maximum")]
    TooManySlots(usize),
    /// The data is larger than a record may be.
    #[error("{0} is too large to be stored")]
    TooLarge(&'static str),
    /// Argon2id failed: not enough memory.
    #[error("no key could be derived from the passphrase: {0}")]
    Passphrase(String),
    /// The operating system refused an operation on the file or its folder.
    #[error("{what} {path}: {source}")]
    File {
        /// The failed operation, for example `cannot create`.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
}

impl VaultError {
    /// Returns true if the vault cannot write at present, although the request was valid (503).
    pub fn cannot_write(&self) -> bool {
        use StoreError::{Busy, Disk, Full, ReadOnly, Stopped};

        matches!(self, Self::Contended | Self::Store(Full | ReadOnly(_) | Disk(_) | Busy | Stopped(_)))
    }

    /// Returns true if the file contains data that Strongroom did not write (exit code 4).
    pub fn is_damage(&self) -> bool {
        matches!(
            self,
            Self::DamagedKeyring(_)
                | Self::DamagedRow { .. }
                | Self::DoesNotHold { .. }
                | Self::DamagedLeft(_)
                | Self::Store(StoreError::NotAVault(_))
                | Self::Rollback { .. }
                | Self::NoEpochFile(_)
                | Self::EpochFile { .. }
        )
    }
}

impl JobError for VaultError {
    fn is_full(&self) -> bool {
        matches!(self, Self::Store(StoreError::Full))
    }
}

impl From<StoreError> for VaultError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::StaleDataKey => Self::Contended,
            StoreError::Corrupt(_) => {
                Self::DamagedRow { table: "*", id: "*".into(), what: "the file is not as it was written" }
            }
            other => Self::Store(other),
        }
    }
}
