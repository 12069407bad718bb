//! The audit log: the chain of keyed hashes, its signed head, queries and retention.

pub(in crate::vault) mod chain;
pub(in crate::vault) mod log;
pub(in crate::vault) mod prune;
pub(in crate::vault) mod signed_head;
