//! Keys and ciphers: the AEAD, the record format, the master key, key slots and the keyring.

pub(crate) mod aead;
pub(crate) mod encoding;
pub(crate) mod fields;
pub(crate) mod key_encoding;
pub(crate) mod key_slot;
pub(crate) mod keyring;
pub(crate) mod keyring_rows;
pub(crate) mod keys;
pub(crate) mod master_key;
pub(crate) mod record;
