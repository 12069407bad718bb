//! The log that the process before this one left (`-wal`): it is brought to the disk once more before anything is built on it.
//!
//! Where a sync fails, Linux counts the pages that it should have written as written, and no later sync finds them. So a commit
//! whose sync failed can be in the log as everybody reads it and not on the disk; SQLite takes it for true at the next start,
//! and what is committed behind it would be lost with it when the power goes.

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

/// Writes the log over itself, so that there is something to be synced, and syncs it. Nobody can commit meanwhile.
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
        // A file system that gives every write new room has none left: then nothing was changed.
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
