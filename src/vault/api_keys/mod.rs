//! API keys: the records, the in-memory lookup table, and the operations on both.

pub(crate) mod api_key;
pub(crate) mod api_key_cache;
pub(crate) mod api_key_record;
mod audit_terms;
pub(crate) mod grants;
pub(crate) mod key_grants;
pub(crate) mod limits;
pub(crate) mod store;
pub(crate) mod unmatched;
pub(crate) mod update;
