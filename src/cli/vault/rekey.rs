//! `strongroom vault rekey`: replaces the master key of this configuration.

use clap::Args;

use super::new_master_key::NewMasterArgs;
use super::rotate::rotate;
use crate::broker::{OpenMode, Rekeyed};
use crate::cli::context::{Context, open};
use crate::cli::failure::Failure;
use crate::cli::output::Output;
use crate::cli::runtime::block_on;
use crate::config::ClientSecrets;

/// Replace the master key of this configuration
///
/// A key file is replaced in place. After a crash at any point, run the command again. Other slots
/// stay.
#[derive(Debug, Args)]
pub(in crate::cli) struct Rekey {
    #[command(flatten)]
    new: NewMasterArgs,
    /// The old master key may be known to an attacker: also replace every internal key, remove all
    /// other slots and pending logins, and re-encrypt everything. Stop the server first
    #[arg(long)]
    compromised: bool,
}

impl Rekey {
    pub(in crate::cli) fn run(self, context: &Context, out: &mut Output) -> Result<(), Failure> {
        let installation = context.installation(ClientSecrets::Leave)?;
        let mode = if self.compromised { OpenMode::Server } else { OpenMode::Command };
        let (admin, old) = match open(&installation, mode) {
            Ok(opened) => opened,
            Err(failure) if failure.is_wrong_key() => {
                let Some((admin, key_file)) = installation.complete_rekey(mode)? else { return Err(failure) };
                out.line(format!("completed the interrupted change: {} opens the vault", key_file.display()))?;
                return if admin.rotation_left()?.is_some() { rotate(&admin, false, out) } else { Ok(()) };
            }
            Err(failure) => return Err(failure),
        };
        let rekeyed = block_on(admin.rekey(&old, self.new.read()?, self.compromised))??;
        self.tell(&rekeyed, out)?;
        if self.compromised { rotate(&admin, false, out) } else { Ok(()) }
    }

    fn tell(&self, rekeyed: &Rekeyed, out: &mut Output) -> Result<(), Failure> {
        match &rekeyed.replaced {
            Some(file) => out.line(format!("{} is the new master key; keep a copy of it", file.display()))?,
            None => out.line(format!("set this in the configuration: {}", self.new.setting()))?,
        }
        out.line("older backups still need the old master key; keep it as long as you keep them")?;
        if rekeyed.slots > 1 {
            out.line(format!("{} slots open the vault: `strongroom vault slot list` lists them", rekeyed.slots))?;
        }
        if self.compromised {
            out.line(
                "existing API keys still work; create new ones, then revoke the old ones (`strongroom key list`)",
            )?;
        }
        Ok(())
    }
}
