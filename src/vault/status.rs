//! What may be said about a vault: versions, counts, fingerprints, and what is wrong with the modes of its files.

use super::VaultError;
use super::hex;
use super::open::Vault;
use crate::clock::UnixTime;
use crate::store::{FileWarning, SCHEMA_VERSION};

/// What is in a vault; nothing of it is secret.
#[derive(Clone, Debug)]
pub struct VaultStatus {
    /// The schema's version.
    pub schema_version: u32,
    /// The vault's id, in hex.
    pub vault_id: String,
    /// When it was made.
    pub created_at: UnixTime,
    /// What opens it, for example `key 1f2e3d4c5b6a7988`.
    pub slots: Vec<String>,
    /// The version of the data key that seals new records.
    pub data_key_version: u32,
    /// How many users there are.
    pub users: u64,
    /// How many credentials there are.
    pub credentials: u64,
    /// How many API keys there are, revoked ones included.
    pub api_keys: u64,
    /// How many logins were begun and not completed.
    pub pending: u64,
    /// How many revocations are still to be done.
    pub revocations: u64,
    /// How many audit rows there are.
    pub audit: u64,
    /// What lets others near the file.
    pub warnings: Vec<FileWarning>,
}

impl Vault {
    /// Whether the room that was asked for is held back beside the vault; where it is not, the disk is full.
    pub fn holds_ballast(&self) -> bool {
        self.inner.store.holds_ballast()
    }

    /// Looks at what is there. It counts rows, so it is for people and not for every request.
    pub fn status(&self) -> Result<VaultStatus, VaultError> {
        let warnings = self.inner.store.warnings();
        self.look(|view, keyring| {
            let counts = view.counts()?;
            Ok(VaultStatus {
                schema_version: SCHEMA_VERSION,
                vault_id: hex::write(keyring.vault_id()),
                created_at: keyring.created_at(),
                slots: keyring.slots().to_vec(),
                data_key_version: keyring.current_data_key().version,
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
}
