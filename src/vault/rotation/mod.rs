//! Changes of keys: key slots, the root key and the data key.

pub(in crate::vault) mod data_key;
pub(in crate::vault) mod key_slots;
