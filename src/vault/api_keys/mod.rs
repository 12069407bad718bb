//! API keys: the records, the in-memory lookup table, and the operations on both.

pub(in crate::vault) mod api_key;
pub(in crate::vault) mod api_key_cache;
pub(in crate::vault) mod api_key_record;
pub(in crate::vault) mod store;
