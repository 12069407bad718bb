//! Key files: read, created, and synced before a vault depends on them.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use super::master_key::UnlockError;
use super::passphrase::check_new;
use crate::config::{SecretReader, SecretSource};
use crate::random::Random;
use crate::vault::{MasterKey, MasterKeyError, VaultError, folder_of};

/// A new master key for a vault.
#[derive(Debug)]
pub enum NewMasterKey {
    /// Key file; a new key is generated if the file does not exist.
    File(PathBuf),
    /// Passphrase.
    Passphrase(crate::secret::Secret),
}

impl NewMasterKey {
    /// Checks that a passphrase is long enough, before anything else is asked or told.
    pub fn check(&self) -> Result<(), UnlockError> {
        match self {
            Self::Passphrase(passphrase) => Ok(check_new(passphrase)?),
            Self::File(_) => Ok(()),
        }
    }

    /// Returns true if a key file would be created.
    pub(super) fn creates_a_file(&self) -> bool {
        matches!(self, Self::File(file) if file.symlink_metadata().is_err())
    }

    /// Reads or generates the master key.
    pub(super) fn read(self) -> Result<MasterKey, UnlockError> {
        match self {
            Self::File(file) => read_or_create(&file),
            Self::Passphrase(passphrase) => {
                check_new(&passphrase)?;
                Ok(MasterKey::Passphrase(passphrase))
            }
        }
    }
}

/// Reads the key file, or creates it with a new key. The file is on disk when this returns.
pub(super) fn read_or_create(file: &Path) -> Result<MasterKey, UnlockError> {
    if file.symlink_metadata().is_ok() {
        let key = read(file)?;
        // The process that wrote it may have been killed before the sync. A vault must not depend
        // on an unsynced key.
        let synced = File::open(file).and_then(|file| file.sync_all()).and_then(|()| sync_folder(file));
        synced.map_err(|source| refused("cannot sync", file, source))?;
        return Ok(key);
    }
    create(file)
}

pub(super) fn read(file: &Path) -> Result<MasterKey, UnlockError> {
    let text = SecretReader::default().read(&SecretSource::File(file.to_owned()));
    let text = text.map_err(|fault| UnlockError::Unreadable { what: "master key", fault })?;
    Ok(MasterKey::parse_file_text(text.expose())?)
}

/// Creates a key file with a new key.
pub(super) fn create(file: &Path) -> Result<MasterKey, UnlockError> {
    let key = MasterKey::generate(Random);
    let text = key.to_file_text().ok_or(MasterKeyError::Form)?;
    write_new(file, text.expose(), 0o400)?;
    Ok(key)
}

/// Writes a new file, on disk when this returns. An existing file is an error.
pub(super) fn write_new(path: &Path, text: &str, permissions: u32) -> Result<(), VaultError> {
    let failed = |source| refused("cannot create", path, source);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(permissions).open(path).map_err(failed)?;
    let written = file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).and_then(|()| sync_folder(path));
    if written.is_err() {
        // A file that cannot be removed is named at the next attempt.
        let _ = fs::remove_file(path);
    }
    written.map_err(failed)
}

/// Puts a new key file in the place of the old one.
pub(super) fn replace(new: &Path, old: &Path) -> Result<(), VaultError> {
    let replaced = fs::rename(new, old).and_then(|()| sync_folder(old));
    replaced.map_err(|source| refused("the new key file cannot be put in place; rename it by hand:", new, source))
}

/// Removes an incomplete key file. It contains no key, so it has opened nothing yet.
pub(super) fn remove_incomplete(file: &Path) -> Result<(), VaultError> {
    if !file.exists() || read(file).is_ok() {
        return Ok(());
    }
    fs::remove_file(file).map_err(|source| refused("cannot remove", file, source))
}

/// Syncs the folder: only then is the name of a new file on disk.
fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(folder_of(path))?.sync_all()
}

pub(super) fn refused(what: &'static str, path: &Path, source: io::Error) -> VaultError {
    VaultError::File { what, path: path.to_owned(), source }
}
