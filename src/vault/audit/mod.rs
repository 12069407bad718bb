//! The audit log: the chain of keyed hashes, its signed head, queries and retention.

pub(crate) mod chain;
pub(crate) mod log;
pub(crate) mod signed_head;
