//! What commands stand on: the settings, the catalogue, the vault, the broker; each made when a command asks for it.

use std::path::PathBuf;
use std::sync::Arc;

use super::bootstrap;
use super::failure::Failure;
use super::output::note;
use crate::broker::Broker;
use crate::catalog::Catalog;
use crate::clock::Clock;
use crate::config::{ClientSecrets, Config, ConfigErrors, Environment, Sources, provider_entries};
use crate::egress::Egress;
use crate::vault::{MasterKey, OpenMode, Vault, VaultError};

/// The options that every command takes.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Context {
    /// The configuration [default: the first found of ./strongroom.toml,
    /// $XDG_CONFIG_HOME/strongroom/strongroom.toml, /etc/strongroom/strongroom.toml]
    #[arg(long, global = true, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    /// The vault, in place of the configuration's vault.path
    #[arg(long, global = true, value_name = "FILE")]
    pub(super) vault: Option<PathBuf>,
    /// Go on with a vault that is older than vault.epoch_file says, as after the restore of a backup: say it once, knowingly
    #[arg(long, global = true)]
    pub(super) accept_rollback: bool,
}

impl Context {
    /// Settings and catalogue; every fault of both at once.
    pub(super) fn settings(&self, client_secrets: ClientSecrets) -> Result<(Config, Catalog), Failure> {
        let sources = self.sources();
        match Config::load(&sources, client_secrets) {
            Ok(mut config) => {
                config.vault.accept_rollback = self.accept_rollback;
                let catalog = bootstrap::catalog(&config)?;
                Ok((config, catalog))
            }
            Err(ConfigErrors(mut faults)) => {
                let entries = provider_entries(&sources);
                if let Err(ConfigErrors(further)) = Catalog::build(&entries) {
                    faults.extend(further);
                }
                faults.sort();
                faults.dedup();
                Err(ConfigErrors(faults).into())
            }
        }
    }

    fn sources(&self) -> Sources {
        Sources { file: self.config.clone(), vault: self.vault.clone(), environment: Environment::of_process() }
    }

    /// The vault, for a short command: it works beside a running server.
    pub(super) fn vault(&self) -> Result<Vault, Failure> {
        let (config, _) = self.settings(ClientSecrets::Leave)?;
        open_vault(&config)
    }

    /// Everything that a use case needs, for a short command. A client's secret that cannot be read here, where the
    /// server may well read it, is a warning.
    pub(super) fn broker(&self) -> Result<Broker, Failure> {
        let (config, _) = self.settings(ClientSecrets::Try)?;
        for warning in config
            .warnings
            .iter()
            .filter(|warning| warning.key.contains(".client_secret") || warning.key.ends_with(".client_key"))
        {
            note(format!("warning: {warning}"));
        }
        let vault = open_vault(&config)?;
        Ok(bootstrap::broker(Arc::new(config), vault, Clock::system())?)
    }
}

/// Opens the vault of the configuration.
pub(super) fn open_vault(config: &Config) -> Result<Vault, Failure> {
    open_with_key(config, OpenMode::Command).map(|(vault, _)| vault)
}

/// The same, with the master key that opened it.
pub(super) fn open_with_key(config: &Config, mode: OpenMode) -> Result<(Vault, MasterKey), Failure> {
    // Before somebody types a passphrase for nothing.
    if !config.vault.path.exists() {
        return Err(VaultError::NotFound(config.vault.path.clone()).into());
    }
    let key = bootstrap::master_key(config)?;
    let vault = open_with(config, &key, mode)?;
    Ok((vault, key))
}

/// Opens the vault of the configuration by this master key.
pub(super) fn open_with(config: &Config, key: &MasterKey, mode: OpenMode) -> Result<Vault, Failure> {
    let opened = bootstrap::open_vault_with(config, key, mode, &Clock::system());
    opened.map_err(|error| match (&error, bootstrap::advice_on_wrong_key(config)) {
        (VaultError::WrongKey { .. }, Some(advice)) => Failure::from(error).advise(advice),
        _ => error.into(),
    })
}

/// The way out to the network, as the configuration has it.
pub(super) fn egress(config: &Config) -> Result<Egress, Failure> {
    Ok(Egress::new(&config.egress.allow, &config.egress.ca_certificates)?)
}
