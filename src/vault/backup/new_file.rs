//! A file that appears only when it is complete: written under a temporary name, synced, then
//! renamed.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use tempfile::NamedTempFile;

use super::error::BackupError;
use crate::store::folder_of;
use crate::vault::error::VaultError;

/// Suffix of a file that is being written.
const PARTIAL: &str = ".part";

/// Treatment of an existing file with the same name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Existing {
    /// It stays, and nothing is written.
    Keep,
    /// It is replaced when the new file is complete.
    Replace,
}

/// The new file: mode 0600, and locked while it is written. It is removed if it is dropped before
/// it is published.
pub(crate) struct NewFile {
    file: NamedTempFile,
    target: PathBuf,
    existing: Existing,
    written: u64,
}

impl NewFile {
    pub(crate) fn create(target: &Path, existing: Existing) -> Result<Self, BackupError> {
        if existing == Existing::Keep && fs::symlink_metadata(target).is_ok() {
            return Err(BackupError::AlreadyExists(target.to_owned()));
        }
        let name = target
            .file_name()
            .ok_or_else(|| failed("this names no file:", target, io::ErrorKind::InvalidInput.into()))?;
        let prefix = format!(".{}.", name.to_string_lossy());
        let file = tempfile::Builder::new().prefix(&prefix).suffix(PARTIAL).tempfile_in(folder_of(target));
        let file = file.map_err(|source| failed("cannot create", target, source))?;
        // The lock distinguishes a file that is being written from one whose writer was
        // killed.
        let _ = flock(file.as_file(), FlockOperation::NonBlockingLockExclusive);
        Ok(Self { file, target: target.to_owned(), existing, written: 0 })
    }

    /// Syncs the file, renames it, and returns its size.
    pub(crate) fn publish(self) -> Result<u64, BackupError> {
        let Self { file, target, existing, written } = self;
        file.as_file().sync_all().map_err(|source| failed("cannot sync", &target, source))?;
        // The file stays open, and with that locked, until it has its name.
        let (_locked, path) = file.into_parts();
        let renamed = match existing {
            Existing::Keep => path.persist_noclobber(&target).map_err(|refused| refused.error),
            // A call of libc, in place of tempfile's system call: the tests of power cuts see it.
            Existing::Replace => {
                fs::rename(&path, &target).and_then(|()| path.keep().map_err(io::Error::from)).map(drop)
            }
        };
        renamed.map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => BackupError::AlreadyExists(target.clone()),
            _ => failed("cannot rename to", &target, error),
        })?;
        let folder = folder_of(&target);
        let synced = File::open(folder).and_then(|folder| folder.sync_all());
        synced.map_err(|source| failed("cannot sync", folder, source))?;
        Ok(written)
    }
}

impl Write for NewFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.written += u64::try_from(written).unwrap_or(0);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// Removes the files that a killed process left, whose names begin with `prefix`. Files that are
/// being written stay.
pub fn remove_abandoned(folder: &Path, prefix: &str) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let is_ours = name.strip_prefix('.').is_some_and(|name| name.starts_with(prefix) && name.ends_with(PARTIAL));
        let is_file = entry.file_type().is_ok_and(|kind| kind.is_file());
        if is_ours
            && is_file
            && let Ok(file) = File::open(entry.path())
            && flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok()
        {
            // The next round tries again.
            let _ = fs::remove_file(entry.path());
        }
    }
}

fn failed(what: &'static str, path: &Path, source: io::Error) -> BackupError {
    VaultError::File { what, path: path.to_owned(), source }.into()
}
