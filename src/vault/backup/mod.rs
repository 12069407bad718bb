//! Backups: a snapshot of the whole vault in one sealed file. Its plain text is only what is needed
//! to open it with the master key of that time.
//!
//! ```text
//! "strongroom backup\n"  18   identifies the file
//! format                  2   1
//! length                  4   of the fields
//! fields                      vault id, time, a salt, and the key slots (`head.rs`)
//! MAC                    32   HMAC-SHA-256 over all of this, under a key of the root: the head
//! chunk …                     `length 4 | ciphertext | tag 16` (`chunks.rs`); the last has its top bit set
//! SHA-256                32   over everything before: detects a truncated file without any key
//! ```
//!
//! A chunk has up to 64 KiB. Its key is derived from the root and the salt, so each backup has its
//! own key. The nonce is the number of the chunk. The associated data is the head, the number, and
//! the mark of the last chunk. So a chunk that was removed, moved or taken from another backup does
//! not open, and a truncated backup is detected. The plaintext is a sequence of entries
//! (`entries.rs`): the contents, then every row of every table, from one read transaction. The
//! wrapped keyring is among them, so a backup contains the keys of its time, even if they are
//! destroyed later.
//!
//! A backup is written under a temporary name, synced, and then renamed. A restore reads the whole
//! backup into a new file, verifies every row, and then renames the file too.

pub(crate) mod chunks;
pub(crate) mod entries;
pub(crate) mod error;
pub(crate) mod head;
pub(crate) mod new_file;
#[cfg(any(test, fuzzing))]
pub(crate) mod property;
pub(crate) mod restore;
pub(crate) mod write;
