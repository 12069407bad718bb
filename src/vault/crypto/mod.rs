//! Keys and ciphers: the AEAD, the record format, the master key, key slots and the keyring.

pub(in crate::vault) mod aead;
pub(in crate::vault) mod encoding;
pub(in crate::vault) mod key_encoding;
pub(in crate::vault) mod key_slot;
pub(in crate::vault) mod keyring;
pub(in crate::vault) mod keyring_rows;
pub(in crate::vault) mod keys;
pub(in crate::vault) mod master_key;
pub(in crate::vault) mod record;
