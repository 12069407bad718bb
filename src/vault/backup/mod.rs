//! Backups: the whole vault of one moment in one sealed file, which says nothing in the clear but what is needed to open it
//! with the master key of its day.
//!
//! ```text
//! "strongroom backup\n"  18   what it is
//! format                  2   1
//! length                  4   of the fields
//! fields                      vault id, when it was made, a salt, and the slots as the vault has them (`head.rs`)
//! MAC                    32   HMAC-SHA-256 over all of this, under a key of the root: the head
//! chunk …                     each `length 4 | ciphertext | tag 16` (`chunks.rs`); the last one's length has its top bit set
//! SHA-256                32   over all before it: whether the file is whole can be told without any key
//! ```
//!
//! A chunk has up to 64 KiB. Its key is derived from the root with the salt, so each backup has one of its own; its nonce is its
//! number; head, number and whether it is the last are its associated data. So a chunk that was taken out, put elsewhere or
//! taken from another backup does not open, and a backup that ends early is not whole. The plaintext is a row of entries
//! (`entries.rs`): what is in the backup, then every table with every row, of one reading transaction. The keyring is among
//! them, wrapped: a backup has the keys of its day, whatever was destroyed later.
//!
//! A backup is written under a name of its own, synced, and then named; it is read through to its last byte, filled into a new
//! file, checked row by row, and only then named too.

pub(in crate::vault) mod chunks;
pub(in crate::vault) mod contents;
pub(in crate::vault) mod entries;
pub(in crate::vault) mod error;
pub(in crate::vault) mod head;
pub(in crate::vault) mod new_file;
#[cfg(any(test, fuzzing))]
pub(in crate::vault) mod property;
pub(in crate::vault) mod read;
pub(in crate::vault) mod restore;
pub(in crate::vault) mod source;
pub(in crate::vault) mod write;
