//! The SQLite engine: the file, its connections, the writer thread, the pool of readers, and
//! transactions.

mod ballast;
pub(super) mod connection;
pub(super) mod file;
mod job;
pub(super) mod open_files;
mod reader_cache;
mod readers;
mod txn_state;
pub(super) mod wal;
mod writer;

pub(super) use ballast::Ballast;
pub(crate) use job::WritePriority;
pub(crate) use reader_cache::{Cached, CheckedState};
pub(super) use readers::Readers;
pub(super) use txn_state::TxnState;
pub(crate) use txn_state::{DeferredWrite, Tx, View};
pub(super) use writer::Writer;
