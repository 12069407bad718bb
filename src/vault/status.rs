//! The status of a vault, for people.

use serde::Serialize;

use crate::clock::UnixTime;
use crate::store::SCHEMA_VERSION;
use crate::vault::crypto::keyring_rows::KeyringRows;
use crate::vault::error::VaultError;
use crate::vault::hex;
use crate::vault::rotation::data_key::Rotation;
use crate::vault::rotation::key_slots::{KeySlot, KeySlots};
use crate::vault::txn::core::VaultCore;

/// The content of a vault in numbers; nothing of it is secret.
#[derive(Clone, Debug, Serialize)]
pub struct VaultStatus {
    /// The schema's version.
    pub schema_version: u32,
    /// The vault's id, in hex.
    pub vault_id: String,
    /// Time of creation.
    pub created_at: UnixTime,
    /// The key slots.
    pub slots: Vec<KeySlot>,
    /// The keys of the keyring.
    pub keys: Vec<KeyVersion>,
    /// The version of the data key that seals new records.
    pub data_key_version: u32,
    /// Number of records that a running rotation still has to seal; `None` without a rotation.
    pub rotation_left: Option<u64>,
    /// Number of users.
    pub users: u64,
    /// Number of credentials.
    pub credentials: u64,
    /// Number of API keys, including revoked ones.
    pub api_keys: u64,
    /// Number of pending logins.
    #[serde(rename = "pending_logins")]
    pub pending: u64,
    /// Number of queued revocations.
    #[serde(rename = "waiting_revocations")]
    pub revocations: u64,
    /// Number of audit rows.
    #[serde(rename = "audit_rows")]
    pub audit: u64,
    /// File permissions that give access to other users.
    pub warnings: Vec<String>,
}

/// One version of a key of the keyring.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct KeyVersion {
    /// `data`, `audit` or `api_key`.
    pub purpose: String,
    /// The version.
    pub version: u32,
    /// `current`, `retired` or `destroyed`.
    pub state: String,
    /// Time of creation.
    pub created_at: UnixTime,
}

/// Collects the status. It counts rows, so it is for people and not for every request.
pub(crate) fn status(core: &VaultCore) -> Result<VaultStatus, VaultError> {
    let warnings = core.store.warnings();
    let (slots, rotation_left) = (KeySlots { core }.list()?, Rotation { core }.unfinished()?);
    core.read(|view, keyring| {
        let counts = view.counts()?;
        let keys = KeyringRows::read(view)?.keys.into_iter().map(|row| KeyVersion {
            purpose: row.purpose,
            version: row.version,
            state: row.state,
            created_at: UnixTime(row.created_at),
        });
        Ok(VaultStatus {
            schema_version: SCHEMA_VERSION,
            vault_id: hex::write(&keyring.vault_id),
            created_at: keyring.created_at,
            slots: slots.clone(),
            keys: keys.collect(),
            data_key_version: keyring.data.current().version,
            rotation_left,
            users: counts.users,
            credentials: counts.credentials,
            api_keys: counts.api_keys,
            pending: counts.pending,
            revocations: counts.revocations,
            audit: counts.audit,
            warnings: warnings.clone(),
        })
    })
}
