//! Global options of the command line, and the settings, vault and broker that they select.

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

/// Options of every command.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Context {
    /// Configuration file [default: the first of ./strongroom.toml,
    /// $XDG_CONFIG_HOME/strongroom/strongroom.toml, /etc/strongroom/strongroom.toml]
    #[arg(long, global = true, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    /// Vault file, instead of vault.path
    #[arg(long, global = true, value_name = "FILE")]
    pub(super) vault: Option<PathBuf>,
    /// Accept a vault older than vault.epoch_file records, for example after restoring a backup
    #[arg(long, global = true)]
    pub(super) accept_rollback: bool,
}

impl Context {
    /// Loads settings and catalogue, and reports every fault of both at once.
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

    /// Opens the vault for a short command. A server may be running.
    pub(super) fn vault(&self) -> Result<Vault, Failure> {
        let (config, _) = self.settings(ClientSecrets::Leave)?;
        open_vault(&config)
    }

    /// Builds a broker for a short command. A client secret that cannot be read gives a warning
    /// only, because the server may be able to read it.
    pub(super) fn broker(&self) -> Result<Broker, Failure> {
        let (config, _) = self.settings(ClientSecrets::Try)?;
        for warning in config
            .warnings
            .iter()
            .filter(|warning| warning.key.contains(".client_secret") || warning.key.ends_with(".client_key"))
        {
            note(format!("warning: {warning}"));
        }
        broker_of(config)
    }

    /// Builds a broker for a command that contacts no provider: it reads no client secret.
    pub(super) fn local_broker(&self) -> Result<Broker, Failure> {
        broker_of(self.settings(ClientSecrets::Leave)?.0)
    }
}

/// Builds a broker around the vault of the configuration.
fn broker_of(config: Config) -> Result<Broker, Failure> {
    let vault = open_vault(&config)?;
    Ok(bootstrap::broker(Arc::new(config), vault, Clock::system())?)
}

/// Opens the vault of the configuration.
pub(super) fn open_vault(config: &Config) -> Result<Vault, Failure> {
    open_with_key(config, OpenMode::Command).map(|(vault, _)| vault)
}

/// Opens the vault of the configuration, and returns the master key too.
pub(super) fn open_with_key(config: &Config, mode: OpenMode) -> Result<(Vault, MasterKey), Failure> {
    // Checked before a passphrase is asked for.
    if !config.vault.path.exists() {
        return Err(VaultError::NotFound(config.vault.path.clone()).into());
    }
    let key = bootstrap::master_key(config)?;
    let vault = open_with(config, &key, mode)?;
    Ok((vault, key))
}

/// Opens the vault of the configuration with this master key.
pub(super) fn open_with(config: &Config, key: &MasterKey, mode: OpenMode) -> Result<Vault, Failure> {
    let opened = bootstrap::open_vault_with(config, key, mode, &Clock::system());
    opened.map_err(|error| match (&error, bootstrap::advice_on_wrong_key(config)) {
        (VaultError::WrongKey { .. }, Some(advice)) => Failure::from(error).advise(advice),
        _ => error.into(),
    })
}

/// Builds the egress client of the configuration.
pub(super) fn egress(config: &Config) -> Result<Egress, Failure> {
    Ok(Egress::new(&config.egress.allow, &config.egress.ca_certificates)?)
}
