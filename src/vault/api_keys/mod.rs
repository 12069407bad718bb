//! API keys: the records, the in-memory lookup table, and the operations on both.

pub(crate) mod api_key;
pub(crate) mod api_key_cache;
pub(crate) mod api_key_record;
pub(crate) mod store;
