//! The master key of the configuration.

use std::path::PathBuf;

use super::exposure::Exposure;
use super::passphrase::ShortPassphrase;
use crate::config::{Config, SecretFault, Unlock};
use crate::secret::Secret;
use crate::vault::{MasterKey, MasterKeyError, VaultError};

/// Reason why a master key cannot be used or replaced.
#[derive(Debug, thiserror::Error)]
pub enum UnlockError {
    /// The master key or the passphrase could not be read.
    #[error("cannot read the vault's {what}: {fault}")]
    Unreadable {
        /// `master key` or `passphrase`.
        what: &'static str,
        /// Reason.
        fault: SecretFault,
    },
    /// The text is not a master key.
    #[error(transparent)]
    MasterKey(#[from] MasterKeyError),
    /// The vault does not open or cannot be changed, or a key file cannot be written.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// The vault exists, but its key does not.
    #[error("{vault} exists but its master key {key} does not")]
    KeyMissing {
        /// Vault file.
        vault: PathBuf,
        /// Expected key file.
        key: PathBuf,
    },
    /// The configuration's master key is not in a file that can be replaced.
    #[error("the master key of this configuration is not in a replaceable file")]
    NotReplaceable,
    /// The configuration opens the vault with this slot.
    #[error("this configuration opens the vault with slot {0}")]
    OwnSlot(i64),
    /// There is no such slot.
    #[error("there is no slot {0}")]
    NoSlot(i64),
    /// Another command removed the slot that opened the vault.
    #[error("another command removed the slot that opened the vault")]
    SlotGone,
    /// The new passphrase is too short.
    #[error(transparent)]
    ShortPassphrase(#[from] ShortPassphrase),
    /// Every user of the machine can change a file or folder of the installation.
    #[error("the server does not start: {}", .0.iter().map(Exposure::message).collect::<Vec<_>>().join("; "))]
    WorldWritable(Vec<Exposure>),
    /// The new master key is the old one.
    #[error("the new master key is the same as the old one")]
    Unchanged,
}

/// Reads the master key or passphrase that the configuration names. `typed` is the passphrase if
/// the configuration says that a person or the standard input gives it.
pub fn master_key(config: &Config, typed: Option<Secret>) -> Result<MasterKey, UnlockError> {
    let read = |source, what| config.secrets.read(source).map_err(|fault| UnlockError::Unreadable { what, fault });
    Ok(match &config.vault.unlock {
        Unlock::MasterKey(source) => MasterKey::parse_file_text(read(source, "master key")?.expose())?,
        Unlock::Passphrase(source) => MasterKey::Passphrase(read(source, "passphrase")?),
        Unlock::Prompt | Unlock::Stdin => MasterKey::Passphrase(typed.unwrap_or_else(|| Secret::new(""))),
    })
}
