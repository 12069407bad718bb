//! Global options of the command line, and the settings, vault and broker that they select.

use std::path::PathBuf;

use super::dev_instance::DevInstance;
use super::failure::Failure;
use super::output::note;
use super::secret_input;
use crate::broker::{self, Broker, Installation, MasterKey, OpenMode, StoreError, UnlockError, VaultAdmin, VaultError};
use crate::config::{ClientSecrets, Environment, Part, Sources, Unlock};

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
    /// Use the vault of the running `strongroom dev`, with its settings
    #[arg(long, global = true, conflicts_with = "config")]
    pub(super) dev: bool,
    /// Accept a vault older than vault.epoch_file records, for example after restoring a backup
    #[arg(long, global = true)]
    pub(super) accept_rollback: bool,
}

impl Context {
    /// Loads settings and catalogue, and reports every fault of both at once.
    pub(super) fn installation(&self, client_secrets: ClientSecrets) -> Result<Installation, Failure> {
        if self.dev {
            return DevInstance::find(self.vault.as_deref())?.installation();
        }
        let sources = Sources {
            file: self.config.clone(),
            vault: self.vault.clone(),
            environment: Environment::of_process(),
            part: Part::Whole,
        };
        Ok(Installation::load(&sources, client_secrets, self.accept_rollback)?)
    }

    /// Opens the vault for a short command that contacts no provider. A server may be running.
    pub(super) fn admin(&self) -> Result<VaultAdmin, Failure> {
        Ok(self.opened()?.1)
    }

    /// Opens the vault as [`Self::admin`] does, for a command that needs the settings too.
    pub(super) fn opened(&self) -> Result<(Installation, VaultAdmin), Failure> {
        let installation = self.installation(ClientSecrets::Leave)?;
        let (admin, _) = open(&installation, OpenMode::Command)?;
        Ok((installation, admin))
    }

    /// Builds a broker for a short command. A client secret that cannot be read gives a warning
    /// only, because the server may be able to read it.
    pub(super) fn broker(&self) -> Result<Broker, Failure> {
        let installation = self.installation(ClientSecrets::Try)?;
        let of_client = |key: &str| key.contains(".client_secret") || key.ends_with(".client_key");
        for warning in installation.config().warnings.iter().filter(|warning| of_client(&warning.key)) {
            note(format!("warning: {warning}"));
        }
        Ok(installation.broker(&open(&installation, OpenMode::Command)?.0)?)
    }
}

/// Opens the vault, and returns its master key too.
pub(super) fn open(installation: &Installation, mode: OpenMode) -> Result<(VaultAdmin, MasterKey), Failure> {
    let path = &installation.config().vault.path;
    // Checked before a passphrase is asked for.
    if mode == OpenMode::Command && !path.exists() {
        return Err(VaultError::Store(StoreError::NotFound(path.clone())).into());
    }
    if mode == OpenMode::Server {
        installation.refuse_world_writable()?;
    }
    let key = master_key(installation)?;
    match installation.open(&key, mode) {
        Ok(admin) => Ok((admin, key)),
        Err(error) => Err(explained(error, installation)),
    }
}

/// Names the master keys that open the vault, if the configured one cannot be read or is damaged.
fn lost(error: UnlockError, installation: &Installation) -> Failure {
    let names = installation.names_of_slots();
    if names.is_empty() || !matches!(error, UnlockError::Unreadable { .. } | UnlockError::MasterKey(_)) {
        return error.into();
    }
    let vault = installation.config().vault.path.display();
    let message = format!("{error}; the vault {vault} is opened by {}", names.join(" or "));
    Failure::from(error).say(message).advise(
        "restore the key file from a copy, or open the vault with another of these master keys: set STRONGROOM_VAULT__PASSPHRASE=prompt for a passphrase. docs/how-to/lost-key.md describes the recovery",
    )
}

fn explained(error: VaultError, installation: &Installation) -> Failure {
    match (&error, installation.interrupted_rekey()) {
        (VaultError::WrongKey { .. }, Some(new)) => Failure::from(error).advise(format!(
            "a `vault rekey` was interrupted: run `strongroom vault rekey` to complete it with {}",
            new.display()
        )),
        _ => error.into(),
    }
}

/// Reads the master key, and asks for the passphrase if the configuration says so.
pub(super) fn master_key(installation: &Installation) -> Result<MasterKey, Failure> {
    let config = installation.config();
    let typed = match config.vault.unlock {
        Unlock::Prompt => Some(secret_input::ask(
            "Passphrase of the vault",
            "run this on a terminal, or set another source for vault.passphrase",
        )?),
        Unlock::Stdin => Some(secret_input::first_line()?),
        Unlock::MasterKey(_) | Unlock::Passphrase(_) => None,
    };
    broker::master_key(config, typed).map_err(|error| lost(error, installation))
}
