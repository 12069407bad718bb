//! What a backup says about the vault in it.

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
