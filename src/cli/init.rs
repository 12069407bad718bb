//! `strongroom init`: creates settings, master key and vault; never overwrites a file.

use std::path::{Path, PathBuf};

use clap::Args;

use super::context::Context;
use super::failure::Failure;
use super::output::Output;
use super::vault::new_master_key::PassphraseFrom;
use crate::broker::NewVault;

/// Create strongroom.toml, strongroom.key and strongroom.db here, or as --config and --vault say
#[derive(Debug, Args)]
pub(super) struct Init {
    /// Protect the vault with a passphrase instead of a key file
    #[arg(long, value_name = "FROM")]
    passphrase: Option<PassphraseFrom>,
}

/// Setting of the key file, with a comment.
const KEY_FILE_SETTING: &str = "\
# Keep a copy of this file where the backups of the vault are not: one without the other is of no use.
master_key = { file = \"strongroom.key\" }";

impl Init {
    pub(super) fn run(self, context: &Context, out: &mut Output) -> Result<(), Failure> {
        let config = context.config.clone().unwrap_or_else(|| PathBuf::from("strongroom.toml"));
        let vault = context.vault.clone().unwrap_or_else(|| PathBuf::from("strongroom.db"));
        let key = self.passphrase.is_none().then(|| config.with_file_name("strongroom.key"));
        let new = NewVault { config, vault, key };
        let existing: Vec<String> = new.existing().iter().map(|path| path.display().to_string()).collect();
        if !existing.is_empty() {
            return Err(Failure::new(format!("{} already exists", existing.join(", "))).advise(
                "move it away, or name other files with --config and --vault; existing files are not overwritten",
            ));
        }
        let passphrase = self.passphrase.map(PassphraseFrom::read).transpose()?;
        new.create(passphrase, self.passphrase.map_or(KEY_FILE_SETTING, PassphraseFrom::setting))?;
        tell(&new, out)
    }
}

fn tell(new: &NewVault, out: &mut Output) -> Result<(), Failure> {
    let config = new.config.display();
    out.line(format!("created {config}  settings"))?;
    if let Some(key) = &new.key {
        out.line(format!("created {}  master key: keep a copy of it apart from the vault", key.display()))?;
    }
    out.line(format!("created {}  vault", new.vault.display()))?;
    let option = if new.config == Path::new("strongroom.toml") { String::new() } else { format!(" --config {config}") };
    out.line(format!(
        "\nNext:\n  \
         set oauth.callback_origins and your providers in {config}, then: strongroom config check{option}\n  \
         strongroom key create{option} --user alice --permission READ_INTEGRATIONS MANAGE_INTEGRATIONS DELETE_INTEGRATIONS\n  \
         strongroom serve{option}"
    ))
}
