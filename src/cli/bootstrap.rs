//! The parts put together: from the settings to a broker, for the server and for every command that works on the vault.

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

/// Why the parts could not be put together.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An entry of the catalogue, as this configuration changes it.
    #[error(transparent)]
    Catalog(#[from] ConfigErrors),
    /// The master key or the passphrase could not be read.
    #[error("the vault's {what} cannot be read: {fault}")]
    Unreadable {
        /// `master key` or `passphrase`.
        what: &'static str,
        /// Why.
        fault: SecretFault,
    },
    /// Nobody typed a passphrase.
    #[error("no passphrase was given: {0}")]
    NoPassphrase(std::io::Error),
    /// What was read is not a master key.
    #[error(transparent)]
    MasterKey(#[from] MasterKeyError),
    /// The vault did not open.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// A certification authority's file.
    #[error(transparent)]
    Egress(#[from] EgressSetupError),
}

impl From<StartError> for Failure {
    fn from(error: StartError) -> Self {
        match error {
            StartError::Catalog(faults) => faults.into(),
            StartError::Unreadable { .. } => Failure::configuration(error.to_string()).advise(
                "vault.master_key or vault.passphrase in the configuration says where it is; `strongroom init` makes a \
                 key with its vault",
            ),
            StartError::NoPassphrase(_) => Failure::configuration(error.to_string())
                .advise("run this on a terminal, or give vault.passphrase another source"),
            StartError::MasterKey(error) => error.into(),
            StartError::Vault(error) => error.into(),
            StartError::Egress(error) => error.into(),
        }
    }
}

/// What opens the vault of this configuration: read now, from where the configuration says.
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

/// The same by this master key. Every door comes through here: what the configuration says of the vault holds for all.
pub fn open_vault_with(config: &Config, key: &MasterKey, mode: OpenMode, clock: &Clock) -> Result<Vault, VaultError> {
    let VaultSettings { ballast, accept_rollback, .. } = config.vault;
    let how = OpenOptions { mode, ballast, epoch_file: config.vault.epoch_file.clone(), accept_rollback };
    Vault::open(&config.vault.path, key, how, clock.clone(), Random)
}

/// The catalogue as this configuration has it.
pub fn catalog(config: &Config) -> Result<Catalog, ConfigErrors> {
    Catalog::build(config.providers.iter().map(|(name, settings)| (name, &settings.entry)))
}

/// The same for a server, which also makes our own private key where the configuration needs one. Where the vault cannot take
/// it now, the providers that need it stay unconfigured, and everything else works.
pub async fn server_broker(config: Arc<Config>, vault: Vault, clock: Clock) -> Result<Broker, StartError> {
    if let Err(error) = broker::prepare_signing_key(&vault, &config, &catalog(&config)?).await {
        tracing::warn!(%error, "our own private key could not be made; the next start tries again");
    }
    broker(config, vault, clock)
}

/// Everything that the use cases need, around an open vault.
pub fn broker(config: Arc<Config>, vault: Vault, clock: Clock) -> Result<Broker, StartError> {
    let catalog = Arc::new(catalog(&config)?);
    let egress = Egress::new(&config.egress.allow, &config.egress.ca_certificates)?;
    Ok(Broker::new(config, catalog, vault, egress, clock, Random)?)
}

/// The file in which `vault rekey` prepares the key that takes the place of this key file.
pub(super) fn replacement_of(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    PathBuf::from(name)
}

/// What to say where the key does not open the vault and another one lies beside it.
pub(super) fn advice_on_wrong_key(config: &Config) -> Option<String> {
    let Unlock::MasterKey(SecretSource::File(path)) = &config.vault.unlock else { return None };
    let new = replacement_of(path);
    new.exists().then(|| {
        format!("a change of the master key was interrupted: `strongroom vault rekey` ends it, with {}", new.display())
    })
}
