//! Read and write transactions: the manifest, the audit rows, and the epoch file.

pub(crate) mod audit_context;
pub(crate) mod audit_row;
pub(crate) mod core;
pub(crate) mod epoch_file;
pub(crate) mod epoch_writer;
pub(crate) mod manifest;
pub(crate) mod write_txn;
