//! Which commit the file is at, known without a transaction.
//!
//! SQLite keeps a head of 48 bytes at the front of the file `-shm` (sqlite.org/walformat.html §2.1), twice. Every commit of
//! every process writes it anew, and by it each connection decides whether the pages that it has in memory are still right.
//! So what was read and opened while the head was this one is right for as long as it is still this one.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use super::file;

const HEAD: usize = 48;
/// The only version of the head that there is, in the machine's own byte order.
const VERSION: u32 = 3_007_000;
/// Where in the head the number of commits stands, and whether there is a head.
const COMMITS: usize = 8;
const IS_THERE: usize = 12;

/// Between two commits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Moment([u8; HEAD]);

impl Moment {
    /// Whether there was one commit between this moment and `later`, and no other.
    pub(crate) fn is_just_before(self, later: Self) -> bool {
        later.commits() == self.commits().wrapping_add(1)
    }

    #[cfg(test)]
    pub(crate) fn for_tests(number: u8) -> Self {
        Self([number; HEAD])
    }

    fn commits(self) -> u32 {
        number(&self.0, COMMITS)
    }
}

fn number(head: &[u8; HEAD], place: usize) -> u32 {
    u32::from_ne_bytes(std::array::from_fn(|byte| head[place + byte]))
}

/// The file with the head.
pub(crate) struct Moments(Option<File>);

impl Moments {
    /// Beside a database that a connection of this process has open, and keeps open for longer than this: closing the file
    /// drops the locks that SQLite has on it in this process. Where it cannot be read no moment is known.
    pub(crate) fn beside(database: &Path) -> Self {
        Self(file::open_companion(database, "-shm").ok())
    }

    /// For whoever keeps nothing.
    pub(crate) fn unknown() -> Self {
        Self(None)
    }

    /// The moment that it is now; `None` where that cannot be said, as in the middle of a commit.
    pub(crate) fn now(&self) -> Option<Moment> {
        let mut both = [0; 2 * HEAD];
        self.0.as_ref()?.read_exact_at(&mut both, 0).ok()?;
        let (first, rest) = both.split_first_chunk::<HEAD>()?;
        // The second is written before the first, and read after it: where they are the same, neither is half written.
        let whole = first == rest && number(first, 0) == VERSION && first[IS_THERE] == 1;
        whole.then_some(Moment(*first))
    }
}

#[cfg(test)]
mod tests {
    use rusqlite::Connection;

    use super::*;
    use crate::store::engine::connection::open_writer;

    fn file() -> (tempfile::TempDir, std::path::PathBuf, Connection) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().canonicalize().unwrap().join("t.db");
        std::fs::write(&path, "").unwrap();
        let writer = open_writer(&path).unwrap();
        writer.execute_batch("CREATE TABLE t (a)").unwrap();
        (folder, path, writer)
    }

    #[test]
    fn every_commit_makes_another_moment_and_nothing_else_does() {
        let (_folder, path, writer) = file();
        let moments = Moments::beside(&path);
        let mut last = moments.now().expect("there is a head");
        for sql in ["INSERT INTO t VALUES (1)", "UPDATE t SET a = 2", "PRAGMA user_version = 7", "DELETE FROM t"] {
            writer.execute_batch(sql).unwrap();
            let now = moments.now().unwrap();
            assert!(now != last && last.is_just_before(now), "{sql}");
            last = now;
        }
        for sql in ["SELECT * FROM t", "BEGIN IMMEDIATE; INSERT INTO t VALUES (2); ROLLBACK", "BEGIN IMMEDIATE; COMMIT"]
        {
            writer.execute_batch(sql).unwrap();
            assert!(moments.now() == Some(last), "{sql}");
        }
    }

    #[test]
    fn what_another_connection_commits_makes_another_moment_and_two_commits_are_not_one() {
        let (_folder, path, writer) = file();
        let moments = Moments::beside(&path);
        let before = moments.now().unwrap();
        open_writer(&path).unwrap().execute_batch("INSERT INTO t VALUES (1)").unwrap();
        let between = moments.now().unwrap();
        writer.execute_batch("INSERT INTO t VALUES (2)").unwrap();
        let after = moments.now().unwrap();
        assert!(before.is_just_before(between) && between.is_just_before(after) && !before.is_just_before(after));
    }

    #[test]
    fn a_moment_that_was_does_not_come_again_when_the_log_begins_anew() {
        let (_folder, path, writer) = file();
        let moments = Moments::beside(&path);
        let mut seen = vec![moments.now().unwrap()];
        for _ in 0..3 {
            writer.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
            writer.execute_batch("UPDATE t SET a = 1; INSERT INTO t VALUES (1); DELETE FROM t").unwrap();
            let now = moments.now().unwrap();
            assert!(!seen.contains(&now));
            seen.push(now);
        }
    }

    #[test]
    fn where_there_is_no_whole_head_no_moment_is_known() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.db");
        assert!(Moments::beside(&path).now().is_none() && Moments::unknown().now().is_none());
        let mut head = [7; HEAD];
        head[..4].copy_from_slice(&VERSION.to_ne_bytes());
        head[IS_THERE] = 1;
        let shown = |bytes: &[u8]| {
            std::fs::write(folder.path().join("t.db-shm"), bytes).unwrap();
            Moments::beside(&path).now().is_some()
        };
        assert!(shown(&[head, head].concat()));
        assert!(!shown(&head) && !shown(&[]));
        for place in [0, COMMITS, IS_THERE, HEAD - 1] {
            let mut other = head;
            other[place] ^= 2;
            assert!(!shown(&[head, other].concat()) && !shown(&[other, head].concat()), "half written: {place}");
        }
        head[IS_THERE] = 0;
        assert!(!shown(&[head, head].concat()), "not there yet");
    }
}
