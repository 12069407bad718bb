//! Changes of keys: key slots, the root key and the data key.

pub(crate) mod data_key;
pub(crate) mod key_slots;
