//! What can go wrong with a vault: each case says what happened and carries what is needed to say it well.

use std::io;
use std::path::PathBuf;

use crate::store::{JobError, StoreError};

/// Why the vault could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// There is no file at this path.
    #[error("there is no vault at {0}")]
    NotFound(PathBuf),
    /// A new vault was to be made where a file already is.
    #[error("{0} already exists, and a vault is never made over existing data")]
    AlreadyExists(PathBuf),
    /// The file is not a vault: another program's, or one whose making was cut short.
    #[error("{0} is not a vault of Strongroom")]
    NotAVault(PathBuf),
    /// The master key opens none of the vault's slots. Fingerprints tell keys apart and open nothing.
    #[error("this master key does not open the vault: it is {given}, and the vault is opened by {}", .expected.join(" or "))]
    WrongKey {
        /// What each slot wants, for example `key 1f2e3d4c5b6a7988`.
        expected: Vec<String>,
        /// What was given.
        given: String,
    },
    /// The slots or the wrapped keys were changed or damaged; nothing that they open can be trusted.
    #[error("the vault's keyring is damaged: {0}")]
    DamagedKeyring(String),
    /// A row does not open, or is not where it was put: damaged, moved, edited or replayed.
    #[error("the vault is damaged in table {table}, row {id}: {what}")]
    DamagedRow {
        /// The table of the row.
        table: &'static str,
        /// The row's id, never a value from it; `*` where the table as a whole is wrong.
        id: String,
        /// What does not hold.
        what: &'static str,
    },
    /// A verification found what Strongroom did not write there, or not what it wrote.
    #[error("the vault does not hold: {first}{}", .count.checked_sub(1).filter(|more| *more > 0).map_or(String::new(), |more| format!("; and {more} more")))]
    DoesNotHold {
        /// Where the first of them is, and what it is.
        first: String,
        /// How many there are.
        count: u64,
    },
    /// The vault is older than the epoch file outside it says: somebody put an older copy in its place, or its `-wal` is gone.
    #[error("this is an older copy of the vault, of epoch {found}: {} has seen epoch {known}", .epoch_file.display())]
    Rollback {
        /// The epoch in the vault.
        found: i64,
        /// The epoch that is known outside it.
        known: i64,
        /// Where it is known.
        epoch_file: PathBuf,
    },
    /// The vault knows that there was an epoch file, and it is not there.
    #[error("the epoch file {} is gone, and without it nobody can tell whether this is the newest copy of the vault", .0.display())]
    NoEpochFile(PathBuf),
    /// The epoch file says nothing that can be believed.
    #[error("the epoch file {path} cannot be believed: {what}")]
    EpochFile {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        what: &'static str,
    },
    /// A version before the first release wrote the file; its schema is not read.
    #[error("{0} was made by an unreleased version of Strongroom")]
    Unreleased(PathBuf),
    /// A newer Strongroom wrote the file.
    #[error("the vault has format {found} and this program knows up to {known}: a newer Strongroom wrote it")]
    NewerFormat {
        /// The version in the file.
        found: u32,
        /// The newest version that this program knows.
        known: u32,
    },
    /// Another server has the vault open.
    #[error("another server has the vault {0} open")]
    Locked(PathBuf),
    /// The disk is full; nothing was changed.
    #[error("the disk that holds the vault is full")]
    Full,
    /// The file cannot be written; nothing was changed.
    #[error("the vault cannot be written: {0}")]
    ReadOnly(String),
    /// The disk did not do what it was asked; nothing was changed.
    #[error("the disk that holds the vault failed: {0}")]
    Disk(String),
    /// Another process kept the file locked for too long; nothing was changed.
    #[error("another process keeps the vault locked")]
    Busy,
    /// Writing failed in a way that leaves the outcome unknown, now or before: the process has to stop, and its
    /// next start reads the truth.
    #[error("the vault takes no more writes until the program is started again: {0}")]
    Stopped(String),
    /// The data key was changed several times while a record was being sealed, or several writers changed one row.
    #[error("the vault changed under this request too often; try again")]
    Contended,
    /// The user still has credentials and cannot be removed.
    #[error("the user still has credentials")]
    UserHasCredentials,
    /// One slot more than a vault can have.
    #[error("the vault has {0} slots, and no vault has more")]
    TooManySlots(usize),
    /// The text to be sealed is larger than a record can be.
    #[error("{0} is too large to be stored")]
    TooLarge(&'static str),
    /// The passphrase could not be stretched: not enough memory.
    #[error("the passphrase could not be stretched: {0}")]
    Passphrase(String),
    /// The operating system refused an operation on the file or its folder.
    #[error("{what} {path}: {source}")]
    File {
        /// What was tried, for example `cannot create`.
        what: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// SQLite failed in another way.
    #[error("the vault's database failed: {0}")]
    Database(String),
}

impl VaultError {
    /// Whether the vault cannot write at present although nothing is wrong with what was asked (503).
    pub fn cannot_write(&self) -> bool {
        matches!(self, Self::Full | Self::ReadOnly(_) | Self::Disk(_) | Self::Busy | Self::Stopped(_) | Self::Contended)
    }

    /// Whether the file holds what Strongroom did not write there (exit code 4).
    pub fn is_damage(&self) -> bool {
        matches!(
            self,
            Self::DamagedKeyring(_)
                | Self::DamagedRow { .. }
                | Self::DoesNotHold { .. }
                | Self::NotAVault(_)
                | Self::Rollback { .. }
                | Self::NoEpochFile(_)
                | Self::EpochFile { .. }
        )
    }
}

impl JobError for VaultError {
    fn is_full(&self) -> bool {
        matches!(self, Self::Full)
    }
}

impl From<StoreError> for VaultError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::NotFound(path) => Self::NotFound(path),
            StoreError::AlreadyExists(path) => Self::AlreadyExists(path),
            StoreError::NotAVault(path) => Self::NotAVault(path),
            StoreError::Unreleased(path) => Self::Unreleased(path),
            StoreError::NewerFormat { found, known } => Self::NewerFormat { found, known },
            StoreError::Locked(path) => Self::Locked(path),
            StoreError::Full => Self::Full,
            StoreError::ReadOnly(what) => Self::ReadOnly(what),
            StoreError::Disk(what) => Self::Disk(what),
            StoreError::Busy => Self::Busy,
            StoreError::Stopped(what) => Self::Stopped(what),
            StoreError::StaleDataKey => Self::Contended,
            StoreError::Corrupt(_) => {
                Self::DamagedRow { table: "*", id: "*".into(), what: "the file is not as it was written" }
            }
            StoreError::File { what, path, kind } => Self::File { what, path, source: kind.into() },
            StoreError::Sqlite(what) => Self::Database(what),
        }
    }
}
