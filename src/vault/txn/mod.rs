//! Read and write transactions: the manifest, the audit rows, and the epoch file.

pub(in crate::vault) mod audit_context;
pub(in crate::vault) mod audit_row;
pub(in crate::vault) mod core;
pub(in crate::vault) mod denied_request;
pub(in crate::vault) mod epoch_file;
pub(in crate::vault) mod epoch_writer;
pub(in crate::vault) mod manifest;
pub(in crate::vault) mod write_txn;
