//! From the settings to an open vault and a broker, for the server and for every command.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::failure::Failure;
use super::secret_input;
use crate::broker::{self, Broker};
use crate::catalog::Catalog;
use crate::clock::Clock;
use crate::config::{Config, ConfigErrors, SecretFault, SecretSource, Unlock, VaultSettings};
use crate::egress::{Egress, EgressSetupError};
use crate::random::Random;
use crate::secret::Secret;
use crate::vault::{MasterKey, MasterKeyError, OpenMode, OpenOptions, Vault, VaultError};

/// Reason why the vault or the broker could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A faulty entry of the catalogue.
    #[error(transparent)]
    Catalog(#[from] ConfigErrors),
    /// The master key or the passphrase could not be read.
    #[error("cannot read the vault's {what}: {fault}")]
    Unreadable {
        /// `master key` or `passphrase`.
        what: &'static str,
        /// Reason.
        fault: SecretFault,
    },
    /// No passphrase was typed.
    #[error("no passphrase was given: {0}")]
    NoPassphrase(std::io::Error),
    /// The text is not a master key.
    #[error(transparent)]
    MasterKey(#[from] MasterKeyError),
    /// The vault did not open.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// A file of certification authorities cannot be used.
    #[error(transparent)]
    Egress(#[from] EgressSetupError),
}

impl From<StartError> for Failure {
    fn from(error: StartError) -> Self {
        match error {
            StartError::Catalog(faults) => faults.into(),
            StartError::Unreadable { .. } => Failure::configuration(error.to_string()).advise(
                "check vault.master_key or vault.passphrase in the configuration; `strongroom init` creates a vault with its key",
            ),
            StartError::NoPassphrase(_) => Failure::configuration(error.to_string())
                .advise("run this on a terminal, or set another source for vault.passphrase"),
            StartError::MasterKey(error) => error.into(),
            StartError::Vault(error) => error.into(),
            StartError::Egress(error) => error.into(),
        }
    }
}

/// Reads the master key or passphrase that the configuration names.
pub fn master_key(config: &Config) -> Result<MasterKey, StartError> {
    let unreadable = |what| move |fault| StartError::Unreadable { what, fault };
    match &config.vault.unlock {
        Unlock::MasterKey(source) => {
            let text = config.secrets.read(source).map_err(unreadable("master key"))?;
            Ok(MasterKey::parse_file_text(text.expose())?)
        }
        Unlock::Passphrase(source) => {
            Ok(MasterKey::Passphrase(config.secrets.read(source).map_err(unreadable("passphrase"))?))
        }
        Unlock::Prompt => {
            let typed = rpassword::prompt_password("Passphrase of the vault: ").map_err(StartError::NoPassphrase)?;
            Ok(MasterKey::Passphrase(Secret::new(typed)))
        }
        Unlock::Stdin => {
            let mut line = zeroize::Zeroizing::new(String::with_capacity(secret_input::LINE));
            std::io::stdin().read_line(&mut line).map_err(StartError::NoPassphrase)?;
            Ok(MasterKey::Passphrase(Secret::new(line.trim_end_matches(['\r', '\n']))))
        }
    }
}

/// Opens the vault of this configuration.
pub fn open_vault(config: &Config, mode: OpenMode, clock: &Clock) -> Result<Vault, StartError> {
    let key = master_key(config)?;
    Ok(open_vault_with(config, &key, mode, clock)?)
}

/// Opens the vault of this configuration with this master key.
pub fn open_vault_with(config: &Config, key: &MasterKey, mode: OpenMode, clock: &Clock) -> Result<Vault, VaultError> {
    let VaultSettings { ballast, accept_rollback, .. } = config.vault;
    let how = OpenOptions { mode, ballast, epoch_file: config.vault.epoch_file.clone(), accept_rollback };
    Vault::open(&config.vault.path, key, how, clock.clone(), Random)
}

/// Builds the catalogue, as this configuration extends it.
pub fn catalog(config: &Config) -> Result<Catalog, ConfigErrors> {
    Catalog::build(config.providers.iter().map(|(name, settings)| (name, &settings.entry)))
}

/// Builds a server's broker, and generates a signing key if the configuration needs one. If the
/// vault cannot store the key now, the providers that need it stay unconfigured and everything else
/// works.
pub async fn server_broker(config: Arc<Config>, vault: Vault, clock: Clock) -> Result<Broker, StartError> {
    if let Err(error) = broker::prepare_signing_key(&vault, &config, &catalog(&config)?).await {
        tracing::warn!(%error, "our own private key could not be made; the next start tries again");
    }
    broker(config, vault, clock)
}

/// Builds a broker around an open vault.
pub fn broker(config: Arc<Config>, vault: Vault, clock: Clock) -> Result<Broker, StartError> {
    let catalog = Arc::new(catalog(&config)?);
    let egress = Egress::new(&config.egress.allow, &config.egress.ca_certificates)?;
    Ok(Broker::new(config, catalog, vault, egress, clock, Random)?)
}

/// Returns the file in which `vault rekey` prepares the replacement of this key file.
pub(super) fn replacement_of(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    PathBuf::from(name)
}

/// Returns advice if a `vault rekey` was interrupted and left a key file.
pub(super) fn advice_on_wrong_key(config: &Config) -> Option<String> {
    let Unlock::MasterKey(SecretSource::File(path)) = &config.vault.unlock else { return None };
    let new = replacement_of(path);
    new.exists().then(|| {
        format!("a `vault rekey` was interrupted: run `strongroom vault rekey` to complete it with {}", new.display())
    })
}
