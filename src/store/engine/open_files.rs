//! Files of an open vault: detects that they were moved, removed or replaced.
//!
//! A process keeps a moved file open. Its writes would be acknowledged and missing in the file that
//! is at the path now, and a second server could start there.

use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::file::beside;
use crate::store::error::StoreError;

/// The files of an open vault, as they were when it was opened.
#[derive(Clone, Debug, Default)]
pub(crate) struct OpenFiles {
    files: Vec<(PathBuf, FileId)>,
    /// True if the vault file had several names when it was last checked. Shared by all clones.
    is_linked: Arc<AtomicBool>,
}

/// Device and inode.
type FileId = (u64, u64);

impl OpenFiles {
    /// Returns the files of a vault that was just opened. The lock is compared too: without the
    /// lock file, a second server could start.
    pub(crate) fn of(vault: &Path, lock: Option<&File>) -> Result<Self, StoreError> {
        let mut found_files = Vec::new();
        for suffix in ["", "-wal", "-shm"] {
            let path = beside(vault, suffix);
            if let Ok(found) = fs::symlink_metadata(&path) {
                found_files.push((path, id(&found)));
            }
        }
        if let Some(found) = lock.and_then(|lock| lock.metadata().ok()) {
            found_files.push((beside(vault, ".lock"), id(&found)));
        }
        let files = Self { files: found_files, is_linked: Arc::default() };
        files.check()?;
        Ok(files)
    }

    /// Checks that each file is still at its path.
    ///
    /// # Errors
    /// [`StoreError::Stopped`] if one is not. A path that cannot be looked at is no error. A second
    /// name of the vault file is logged once.
    pub(crate) fn check(&self) -> Result<(), StoreError> {
        self.files.iter().try_for_each(in_place)?;
        self.watch_names();
        Ok(())
    }

    /// Checks the vault file alone, for reads.
    pub(crate) fn check_vault(&self) -> Result<(), StoreError> {
        self.files.first().map_or(Ok(()), in_place)
    }

    fn watch_names(&self) {
        let Some((path, _)) = self.files.first() else { return };
        let Ok(names) = fs::symlink_metadata(path).map(|found| found.nlink()) else { return };
        if !self.is_linked.swap(names > 1, Ordering::Relaxed) && names > 1 {
            tracing::error!(
                "{} has {names} names (hard links, as of `cp -al` or `rsync --link-dest`): a copy under another name is this same file, and no server starts with it. Remove the other names",
                path.display()
            );
        }
    }
}

fn in_place((path, known): &(PathBuf, FileId)) -> Result<(), StoreError> {
    let is_gone = match fs::symlink_metadata(path) {
        Ok(found) => id(&found) != *known,
        Err(error) => error.kind() == io::ErrorKind::NotFound,
    };
    if !is_gone {
        return Ok(());
    }
    Err(StoreError::Stopped(format!(
        "{} was moved, removed or replaced while it was open; if it was moved, move all files of the vault back",
        path.display()
    )))
}

fn id(found: &Metadata) -> FileId {
    (found.dev(), found.ino())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vault() -> (tempfile::TempDir, PathBuf, OpenFiles) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("v.db");
        for suffix in ["", "-wal", "-shm", ".lock"] {
            fs::write(beside(&path, suffix), "").unwrap();
        }
        let files = OpenFiles::of(&path, Some(&File::open(beside(&path, ".lock")).unwrap())).unwrap();
        (folder, path, files)
    }

    #[test]
    fn each_moved_or_replaced_file_is_detected() {
        for suffix in ["", "-wal", "-shm", ".lock"] {
            let (_folder, path, files) = vault();
            let (file, away) = (beside(&path, suffix), beside(&path, ".away"));
            files.check().unwrap();
            fs::rename(&file, &away).unwrap();
            let error = files.check().unwrap_err();
            assert!(matches!(&error, StoreError::Stopped(why) if why.contains("moved")), "{error}");
            fs::write(&file, "another").unwrap();
            files.check().unwrap_err();
            fs::rename(&away, &file).unwrap();
            files.check().unwrap();
        }
    }

    #[test]
    fn changed_content_is_the_same_file() {
        let (_folder, path, files) = vault();
        fs::write(&path, "longer than before").unwrap();
        files.check().unwrap();
    }
}
