//! Ballast: a file beside the vault that is deleted when the disk is full. Even a DELETE needs
//! room, and so does the audit row of a read; the released room is reserved for them.
//!
//! Only the file system knows whether the ballast exists: a command beside the server may have
//! released it.

use std::cell::Cell;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::{FallocateFlags, fallocate};

use super::file;
use crate::random::Random;

/// Wait before the next attempt to make it.
const PAUSE: Duration = Duration::from_secs(1);

/// Block size on file systems that cannot reserve room.
const BLOCK: usize = 64 * 1024;

/// A file of a fixed size that exists or is wanted.
pub(crate) struct Ballast {
    path: PathBuf,
    size: u64,
    pause: Duration,
    tried: Cell<Option<Instant>>,
}

impl Ballast {
    /// Returns the ballast of a vault. With size 0 there is none, and nothing is released or
    /// refused.
    pub(crate) fn beside(vault: &Path, size: u64) -> Self {
        Self { path: file::beside(vault, ".ballast"), size, pause: PAUSE, tried: Cell::new(None) }
    }

    /// Returns true if the room is reserved. Only then may normal jobs be written.
    pub(crate) fn is_held(&self) -> bool {
        self.size == 0
            || fs::symlink_metadata(&self.path).is_ok_and(|found| found.is_file() && found.len() == self.size)
    }

    /// Returns true if the room is reserved; tries to reserve it first, unless the last attempt was
    /// a moment ago.
    pub(crate) fn hold(&self) -> bool {
        if self.is_held() {
            return true;
        }
        if self.tried.get().is_some_and(|at| at.elapsed() < self.pause) {
            return false;
        }
        self.tried.set(Some(Instant::now()));
        match self.make() {
            Ok(()) => {
                tracing::info!(bytes = self.size, "the vault's disk has room again; the ballast is held");
                true
            }
            Err(error) => {
                tracing::warn!(%error, bytes = self.size, "no room for the ballast beside the vault; normal writes are refused");
                false
            }
        }
    }

    /// Releases the room; returns false if there was none.
    pub(crate) fn release(&self) -> bool {
        if self.size == 0 || fs::remove_file(&self.path).is_err() {
            return false;
        }
        self.tried.set(Some(Instant::now()));
        tracing::warn!(
            "the vault's disk is full; the ballast is released for reads of secrets, deletions and revocations, and other \
             writes are refused until there is room"
        );
        true
    }

    fn make(&self) -> io::Result<()> {
        // It has another size, or its creation was interrupted.
        match fs::remove_file(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&self.path)?;
        reserve(&made, self.size).inspect_err(|_| {
            // The part that was reserved is needed elsewhere. The error that led here is the one to
            // report.
            let _ = fs::remove_file(&self.path);
        })
    }
}

/// Reserves room on the disk, or fills it with random bytes, which no file system can compress.
fn reserve(file: &File, size: u64) -> io::Result<()> {
    match fallocate(file, FallocateFlags::empty(), 0, size) {
        Ok(()) => return Ok(()),
        Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS) => {}
        Err(error) => return Err(error.into()),
    }
    let (mut file, mut left) = (file, size);
    while left > 0 {
        let block: [u8; BLOCK] = Random.bytes();
        let part = usize::try_from(left).unwrap_or(BLOCK).min(BLOCK);
        file.write_all(&block[..part])?;
        left -= part as u64;
    }
    file.sync_all()
}

#[cfg(test)]
impl Ballast {
    /// Returns a ballast that is tried again without a wait.
    pub(crate) fn for_tests(vault: &Path, size: u64) -> Self {
        Self { pause: Duration::ZERO, ..Self::beside(vault, size) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ballast_takes_its_room_and_is_released_once() {
        use std::os::unix::fs::MetadataExt;

        let folder = tempfile::tempdir().unwrap();
        let ballast = Ballast::for_tests(&folder.path().join("v.db"), 300_000);
        assert!(!ballast.is_held());
        assert!(ballast.hold() && ballast.is_held());
        let found = fs::metadata(folder.path().join("v.db.ballast")).unwrap();
        assert!(found.len() == 300_000 && found.blocks() * 512 >= 300_000, "{} blocks", found.blocks());
        assert_eq!(found.mode() & 0o777, 0o600);
        assert!(ballast.release() && !ballast.is_held());
        assert!(!ballast.release());
        assert!(ballast.hold());
    }

    #[test]
    fn ballast_of_another_size_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("v.db.ballast");
        fs::write(&path, "cut short").unwrap();
        assert!(Ballast::for_tests(&folder.path().join("v.db"), 4096).hold());
        assert_eq!(fs::metadata(path).unwrap().len(), 4096);
    }

    #[test]
    fn failed_ballast_leaves_no_file() {
        let folder = tempfile::tempdir().unwrap();
        let ballast = Ballast::for_tests(&folder.path().join("v.db"), 1 << 60);
        assert!(!ballast.hold());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn no_ballast_is_always_held() {
        let ballast = Ballast::beside(Path::new("/no/such/folder/v.db"), 0);
        assert!(ballast.hold() && !ballast.release());
    }
}
