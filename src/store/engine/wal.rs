//! Write-ahead log of the process before: written again and synced before anything is built on it.
//!
//! After a failed sync Linux counts the pages as written, and no later sync writes them. A commit
//! whose sync failed can be readable in the log and not be on disk. SQLite would build on it at the
//! next start, and a power cut would lose the commits after it as well.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::Path;

use rusqlite::Connection;
use rustix::fs::OFlags;

use super::connection::execute;
use super::file::{beside, refused};
use crate::store::error::StoreError;

const PIECE: usize = 1 << 16;

/// Writes the log over itself, so that its pages are dirty again, and syncs it. No other process
/// can commit meanwhile.
pub(crate) fn write_again(connection: &Connection, path: &Path) -> Result<(), StoreError> {
    let path = beside(path, "-wal");
    let flags = i32::try_from(OFlags::NOFOLLOW.bits()).expect("a flag of open(2) is an int");
    let log = match OpenOptions::new().read(true).write(true).custom_flags(flags).open(&path) {
        Ok(log) => log,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(refused("cannot open", &path, &error)),
    };
    execute(connection, "BEGIN IMMEDIATE")?;
    let written = over_itself(&log);
    execute(connection, "ROLLBACK")?;
    match written {
        // A copy-on-write file system needs new room for this. On a full disk nothing was changed.
        Err(error) if error.kind() == io::ErrorKind::StorageFull => Ok(()),
        written => written.map_err(|error| refused("cannot write again", &path, &error)),
    }
}

fn over_itself(log: &File) -> io::Result<()> {
    let mut piece = vec![0; PIECE];
    let mut at = 0;
    loop {
        let length = log.read_at(&mut piece, at)?;
        if length == 0 {
            return log.sync_data();
        }
        log.write_all_at(&piece[..length], at)?;
        at += length as u64;
    }
}
