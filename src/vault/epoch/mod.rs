//! The vault's epoch, kept in a file outside it as well: whoever can put an older copy of the whole vault in its place, with
//! what was deleted and the keys that were revoked, cannot put this one back with it.
//!
//! A vault that is ahead of the file is normal: a commit comes first, and the file after it. One that is behind is an older
//! copy, or has lost its `-wal`.

mod file;
mod keeper;

#[cfg(any(test, fuzzing))]
pub(super) use file::holds;
#[cfg(test)]
pub(super) use file::text;
pub(super) use file::{EpochFile, Known};
pub(super) use keeper::Keeper;
