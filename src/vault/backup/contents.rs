//! The description of a vault in its backup.

use serde::Serialize;

use crate::clock::UnixTime;
use crate::vault::crypto::fields::fields;

/// The content of a backup in numbers; nothing of it is secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BackupContents {
    /// The vault's id, in hex.
    pub vault_id: String,
    /// Time of the backup.
    pub created_at: UnixTime,
    /// The vault's epoch.
    pub epoch: i64,
    /// The schema's version.
    pub schema_version: u32,
    /// Number of users.
    pub users: u64,
    /// Number of credentials.
    pub credentials: u64,
    /// Number of API keys.
    pub api_keys: u64,
    /// Number of audit rows.
    #[serde(rename = "audit_rows")]
    pub audit: u64,
}

fields! {
    BackupContents {
        1 vault_id,
        2 created_at,
        3 epoch,
        4 schema_version,
        5 users,
        6 credentials,
        7 api_keys,
        8 audit,
    }
}
