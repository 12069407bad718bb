//! `strongroom vault rekey`: another master key in the place of the one that opens the vault.

use std::path::{Path, PathBuf};

use clap::Args;

use super::new_master_key::{NewMaster, cannot_be_made, read_or_make, sync_folder};
use super::rotate::rotate;
use crate::cli::context::{Context, open_with};
use crate::cli::failure::Failure;
use crate::cli::output::Output;
use crate::cli::runtime::block_on;
use crate::cli::{bootstrap, secret_input};
use crate::config::{ClientSecrets, Config, SecretSource, Unlock};
use crate::secret::Secret;
use crate::vault::{AuditContext, MasterKey, OpenMode, Vault};

/// Change the master key that this configuration opens the vault by
///
/// A key file is replaced in its place; it may be run again after a crash at any point. Other slots stay.
#[derive(Debug, Args)]
pub(in crate::cli) struct Rekey {
    #[command(flatten)]
    new: NewMaster,
    /// Somebody may know the old master key: make root, data key, audit key and API-key key anew too, end every other slot
    /// and every begun login, and seal everything anew. No server may be running
    #[arg(long)]
    compromised: bool,
}

/// The way from the old master key to the new one.
struct Change {
    vault: Vault,
    old: MasterKey,
    new: MasterKey,
    /// The key file that takes the old one's place at the end, and that place.
    replaces: Option<(PathBuf, PathBuf)>,
}

impl Rekey {
    /// Runs the command.
    pub(in crate::cli) fn run(self, context: &Context, out: &mut Output) -> Result<(), Failure> {
        let (config, _) = context.settings(ClientSecrets::Leave)?;
        let mode = if self.compromised { OpenMode::Server } else { OpenMode::Command };
        let waiting = replaced_file(&config, &self.new).map(|file| (bootstrap::replacement_of(&file), file));
        let change = match self.begin(&config, mode, waiting.as_ref()) {
            Ok(change) => change,
            Err(failure) => return end_interrupted(&config, mode, waiting, failure, out),
        };
        if self.compromised {
            block_on(change.vault.renew_root(&change.old, &change.new, &AuditContext::command_line()))??;
        } else {
            block_on(change.vault.add_slot(&change.old, &change.new, &AuditContext::command_line()))??;
        }
        // From here on the new key opens the vault; until the old slot goes, the old one does too.
        let old_slot = change.vault.slot_of(&change.old)?;
        if let Some((new, old)) = &change.replaces {
            put_in_place(new, old)?;
        }
        if let Some(id) = old_slot {
            block_on(change.vault.remove_slot(id, &AuditContext::command_line()))??;
        }
        self.tell(&change, out)
    }

    fn begin(&self, config: &Config, mode: OpenMode, waiting: Option<&(PathBuf, PathBuf)>) -> Result<Change, Failure> {
        let old = bootstrap::master_key(config)?;
        let vault = open_with(config, &old, mode)?;
        if !self.compromised && (self.new.makes_a_file() || waiting.is_some_and(|(new_file, _)| !new_file.exists())) {
            // The new slot is there before the old one ends; without room for it there would be a key file that opens nothing.
            vault.has_room_for_a_slot()?;
        }
        let new = match (self.new.read()?, waiting) {
            (Some(new), _) => new,
            (None, Some((new_file, _))) => {
                forget_unfinished(new_file)?;
                read_or_make(new_file)?
            }
            (None, None) => {
                return Err(Failure::configuration(
                    "the master key of this configuration is in no file that could be replaced",
                )
                .advise("say where the new one is to be: --key-file FILE, or --passphrase prompt"));
            }
        };
        if vault.slot_of(&new)? == vault.slot_of(&old)? {
            return Err(
                Failure::new("the new master key is the old one").advise("name another file, or another passphrase")
            );
        }
        Ok(Change { vault, old, new, replaces: waiting.filter(|_| self.new.is_unsaid()).cloned() })
    }

    fn tell(&self, change: &Change, out: &mut Output) -> Result<(), Failure> {
        match &change.replaces {
            Some((_, place)) => out.line(format!("{} is the new master key; keep a copy of it", place.display()))?,
            None => out.line(format!("the vault is opened from now on by: {}", self.new.setting()))?,
        }
        out.line("backups of before are opened by the old master key: keep it as long as you keep them")?;
        let slots = change.vault.slots()?.len();
        if slots > 1 {
            out.line(format!("{slots} slots open the vault: `strongroom vault slot list` shows them"))?;
        }
        if !self.compromised {
            return Ok(());
        }
        out.line("API keys of before still work: make new ones, then revoke them (`strongroom key list`)")?;
        rotate(&change.vault, false, out)
    }
}

/// A key file of ours whose writing was cut short holds no key, and so has opened nothing yet: it is made anew.
fn forget_unfinished(new: &Path) -> Result<(), Failure> {
    let is_key = |text: &Secret| MasterKey::parse_file_text(text.expose()).is_ok();
    if !new.exists() || secret_input::from_file(new).is_ok_and(|text| is_key(&text)) {
        return Ok(());
    }
    std::fs::remove_file(new).map_err(|error| cannot_be_made(new, &error))
}

/// The key file does not open the vault: was a change interrupted when its key was the only one, and not in place yet?
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
    out.line(format!("a change that was interrupted is at its end: {} opens the vault", place.display()))?;
    if vault.unfinished_rotation()?.is_some() { rotate(&vault, false, out) } else { Ok(()) }
}

/// The key file that the configuration names, where it is to be replaced.
fn replaced_file(config: &Config, new: &NewMaster) -> Option<PathBuf> {
    match &config.vault.unlock {
        Unlock::MasterKey(SecretSource::File(path)) if new.is_unsaid() => Some(path.clone()),
        _ => None,
    }
}

fn put_in_place(new: &Path, place: &Path) -> Result<(), Failure> {
    std::fs::rename(new, place).and_then(|()| sync_folder(place)).map_err(|error| {
        cannot_be_made(place, &error)
            .advise(format!("{} is the key that opens the vault: put it there by hand", new.display()))
    })
}
