//! The ballast: a file beside the vault that is there to be given up. On a full disk even a DELETE needs room, and so does
//! the audit row of a secret that is handed out; what the ballast leaves free is theirs alone.
//!
//! Whether it is there is asked of the file system and of nothing else: a command beside the server may have given it up.

use std::cell::Cell;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::{FallocateFlags, fallocate};

use super::file;
use crate::random::Random;

/// How long to wait before another try to make it again.
const PAUSE: Duration = Duration::from_secs(1);

/// What is written in one go where the file system does not reserve room by itself.
const BLOCK: usize = 64 * 1024;

/// A file of a fixed size, or the wish for one.
pub(crate) struct Ballast {
    path: PathBuf,
    size: u64,
    pause: Duration,
    tried: Cell<Option<Instant>>,
}

impl Ballast {
    /// Beside the vault at `vault`; of size 0 it is none, and nothing is ever given up or refused for its sake.
    pub(crate) fn beside(vault: &Path, size: u64) -> Self {
        Self { path: file::beside(vault, ".ballast"), size, pause: PAUSE, tried: Cell::new(None) }
    }

    /// Whether room is held back: only then may what can wait be written.
    pub(crate) fn is_held(&self) -> bool {
        self.size == 0
            || fs::symlink_metadata(&self.path).is_ok_and(|found| found.is_file() && found.len() == self.size)
    }

    /// Whether room is held back, after a try to make it so where it was not and the last try was not just now.
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
                tracing::info!(bytes = self.size, "there is room on the vault's disk: the ballast is held");
                true
            }
            Err(error) => {
                tracing::warn!(%error, bytes = self.size, "no room for the ballast beside the vault: writes that can wait are refused");
                false
            }
        }
    }

    /// Gives the room up; `false` where there was none to give.
    pub(crate) fn give_up(&self) -> bool {
        if self.size == 0 || fs::remove_file(&self.path).is_err() {
            return false;
        }
        self.tried.set(Some(Instant::now()));
        tracing::warn!(
            "the vault's disk is full: the ballast is given up for reads of secrets, deletions and revocations; other \
             writes are refused until there is room"
        );
        true
    }

    fn make(&self) -> io::Result<()> {
        // One of another size, or one whose making was cut short.
        match fs::remove_file(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&self.path)?;
        reserve(&made, self.size).inspect_err(|_| {
            // What was reserved of it is needed elsewhere; the error that led here is the one to report.
            let _ = fs::remove_file(&self.path);
        })
    }
}

/// Takes room on the disk: by asking for it, else by writing what no file system can make smaller.
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
    /// One that is tried for again at once.
    pub(crate) fn for_tests(vault: &Path, size: u64) -> Self {
        Self { pause: Duration::ZERO, ..Self::beside(vault, size) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_takes_the_room_that_it_says_and_gives_it_up_once() {
        use std::os::unix::fs::MetadataExt;

        let folder = tempfile::tempdir().unwrap();
        let ballast = Ballast::for_tests(&folder.path().join("v.db"), 300_000);
        assert!(!ballast.is_held());
        assert!(ballast.hold() && ballast.is_held());
        let found = fs::metadata(folder.path().join("v.db.ballast")).unwrap();
        assert!(found.len() == 300_000 && found.blocks() * 512 >= 300_000, "{} blocks", found.blocks());
        assert_eq!(found.mode() & 0o777, 0o600);
        assert!(ballast.give_up() && !ballast.is_held());
        assert!(!ballast.give_up());
        assert!(ballast.hold());
    }

    #[test]
    fn one_of_another_size_is_made_anew() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("v.db.ballast");
        fs::write(&path, "cut short").unwrap();
        assert!(Ballast::for_tests(&folder.path().join("v.db"), 4096).hold());
        assert_eq!(fs::metadata(path).unwrap().len(), 4096);
    }

    #[test]
    fn what_cannot_be_made_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let ballast = Ballast::for_tests(&folder.path().join("v.db"), 1 << 60);
        assert!(!ballast.hold());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn none_is_always_held_and_never_given_up() {
        let ballast = Ballast::beside(Path::new("/no/such/folder/v.db"), 0);
        assert!(ballast.hold() && !ballast.give_up());
    }
}
