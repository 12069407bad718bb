//! `strongroom vault rekey`: replaces the master key of this configuration.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;

use super::new_master_key::{NewMaster, cannot_be_made, read_or_make, sync_folder};
use super::rotate::rotate;
use crate::cli::context::{Context, open_with};
use crate::cli::failure::Failure;
use crate::cli::output::Output;
use crate::cli::runtime::block_on;
use crate::cli::{bootstrap, secret_input};
use crate::clock::Clock;
use crate::config::{ClientSecrets, Config, SecretSource, Unlock};
use crate::secret::Secret;
use crate::vault::{AuditContext, MasterKey, OpenMode, Vault};

/// Replace the master key of this configuration
///
/// A key file is replaced in place. After a crash at any point, run the command again. Other slots
/// stay.
#[derive(Debug, Args)]
pub(in crate::cli) struct Rekey {
    #[command(flatten)]
    new: NewMaster,
    /// The old master key may be known to an attacker: also replace every internal key, remove all
    /// other slots and pending logins, and re-encrypt everything. Stop the server first
    #[arg(long)]
    compromised: bool,
}

/// The change from the old master key to the new one.
struct Change {
    vault: Vault,
    old: MasterKey,
    new: MasterKey,
    /// New key file and the key file that it replaces.
    replaces: Option<(PathBuf, PathBuf)>,
}

impl Rekey {
    pub(in crate::cli) fn run(self, context: &Context, out: &mut Output) -> Result<(), Failure> {
        let (config, _) = context.settings(ClientSecrets::Leave)?;
        let mode = if self.compromised { OpenMode::Server } else { OpenMode::Command };
        let waiting = replaced_file(&config, &self.new).map(|file| (bootstrap::replacement_of(&file), file));
        let change = match self.begin(&config, mode, waiting.as_ref()) {
            Ok(change) => change,
            Err(failure) => return end_interrupted(&config, mode, waiting, failure, out),
        };
        if self.compromised {
            block_on(change.vault.key_slots().renew_root(&change.old, &change.new, &AuditContext::command_line()))??;
        } else {
            block_on(change.vault.key_slots().add(&change.old, &change.new, &AuditContext::command_line()))??;
        }
        // From here on both keys open the vault, until the old slot is removed.
        let old_slot = change.vault.key_slots().find(&change.old)?;
        if let Some((new, old)) = &change.replaces {
            put_in_place(new, old)?;
        }
        if let Some(id) = old_slot {
            block_on(change.vault.key_slots().remove(id, &AuditContext::command_line()))??;
        }
        self.tell(config, &change, out)
    }

    fn begin(&self, config: &Config, mode: OpenMode, waiting: Option<&(PathBuf, PathBuf)>) -> Result<Change, Failure> {
        let old = bootstrap::master_key(config)?;
        let vault = open_with(config, &old, mode)?;
        if !self.compromised && (self.new.makes_a_file() || waiting.is_some_and(|(new_file, _)| !new_file.exists())) {
            // The new slot is added before the old one is removed. Without room for it, a key file
            // would be created that opens nothing.
            vault.key_slots().check_room()?;
        }
        let new = match (self.new.read()?, waiting) {
            (Some(new), _) => new,
            (None, Some((new_file, _))) => {
                forget_unfinished(new_file)?;
                read_or_make(new_file)?
            }
            (None, None) => {
                return Err(Failure::configuration(
                    "the master key of this configuration is not in a replaceable file",
                )
                .advise("name the new one: --key-file FILE or --passphrase prompt"));
            }
        };
        if vault.key_slots().find(&new)? == vault.key_slots().find(&old)? {
            return Err(
                Failure::new("the new master key is the same as the old one").advise("give another file or passphrase")
            );
        }
        Ok(Change { vault, old, new, replaces: waiting.filter(|_| self.new.is_unsaid()).cloned() })
    }

    fn tell(&self, config: Config, change: &Change, out: &mut Output) -> Result<(), Failure> {
        match &change.replaces {
            Some((_, place)) => out.line(format!("{} is the new master key; keep a copy of it", place.display()))?,
            None => out.line(format!("set this in the configuration: {}", self.new.setting()))?,
        }
        out.line("older backups still need the old master key; keep it as long as you keep them")?;
        let slots = change.vault.key_slots().list()?.len();
        if slots > 1 {
            out.line(format!("{slots} slots open the vault: `strongroom vault slot list` lists them"))?;
        }
        if !self.compromised {
            return Ok(());
        }
        out.line("existing API keys still work; create new ones, then revoke the old ones (`strongroom key list`)")?;
        rotate(&bootstrap::broker(Arc::new(config), change.vault.clone(), Clock::system())?, false, out)
    }
}

/// Removes an incomplete new key file. It contains no key, so it has opened nothing yet.
fn forget_unfinished(new: &Path) -> Result<(), Failure> {
    let is_key = |text: &Secret| MasterKey::parse_file_text(text.expose()).is_ok();
    if !new.exists() || secret_input::from_file(new).is_ok_and(|text| is_key(&text)) {
        return Ok(());
    }
    std::fs::remove_file(new).map_err(|error| cannot_be_made(new, &error))
}

/// Completes an interrupted change: the new key is the only valid one, but its file was not renamed
/// yet.
fn end_interrupted(
    config: &Config,
    mode: OpenMode,
    waiting: Option<(PathBuf, PathBuf)>,
    failure: Failure,
    out: &mut Output,
) -> Result<(), Failure> {
    let Some((new_file, place)) = waiting.filter(|(new, _)| new.exists() && failure.is_wrong_key()) else {
        return Err(failure);
    };
    let new = read_or_make(&new_file)?;
    let Ok(vault) = open_with(config, &new, mode) else { return Err(failure) };
    put_in_place(&new_file, &place)?;
    out.line(format!("completed the interrupted change: {} opens the vault", place.display()))?;
    if vault.rotation().unfinished()?.is_none() {
        return Ok(());
    }
    rotate(&bootstrap::broker(Arc::new(config.clone()), vault, Clock::system())?, false, out)
}

/// Returns the key file of the configuration if it is to be replaced.
fn replaced_file(config: &Config, new: &NewMaster) -> Option<PathBuf> {
    match &config.vault.unlock {
        Unlock::MasterKey(SecretSource::File(path)) if new.is_unsaid() => Some(path.clone()),
        _ => None,
    }
}

fn put_in_place(new: &Path, place: &Path) -> Result<(), Failure> {
    std::fs::rename(new, place).and_then(|()| sync_folder(place)).map_err(|error| {
        cannot_be_made(place, &error).advise(format!("{} is the new key file: rename it by hand", new.display()))
    })
}
