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

mod chunks;
mod entries;
mod error;
mod head;
mod new_file;
#[cfg(any(test, fuzzing))]
mod property;
mod read;
mod restore;
mod source;
mod write;

pub use error::BackupError;
pub use head::{BackupHead, head_of};
#[cfg(any(test, fuzzing))]
pub(super) use head::{read_slot, write_slot};
pub use new_file::{Existing, remove_abandoned};
#[cfg(any(test, fuzzing))]
pub(super) use property::{BackupSubject, SIZES};
pub use restore::{RestoredVault, Restorer};
pub use source::BackupSource;
pub use write::{BackupStop, MadeBackup};

use crate::clock::UnixTime;

/// What is in a backup; nothing of it is secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackupContents {
    /// The vault's id, in hex.
    pub vault_id: String,
    /// When the backup was made.
    pub created_at: UnixTime,
    /// How many changes the vault had seen.
    pub epoch: i64,
    /// The schema's version.
    pub schema_version: u32,
    /// How many users are in it.
    pub users: u64,
    /// How many credentials.
    pub credentials: u64,
    /// How many API keys.
    pub api_keys: u64,
    /// How many audit rows.
    pub audit: u64,
}
