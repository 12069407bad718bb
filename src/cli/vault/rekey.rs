//! `strongroom vault rekey`: replaces the master key of this configuration.

use clap::Args;

use super::new_master_key::NewMasterArgs;
use super::rotate::rotate;
use crate::broker::{KeySlot, NewMasterKey, OpenMode, RekeyPlan, RekeyRequest, Rekeyed};
use crate::cli::confirm::Confirmation;
use crate::cli::context::{Context, open};
use crate::cli::failure::Failure;
use crate::cli::output::{Output, note};
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
    /// Slot to replace, as `vault slot list` shows it, for example that of a lost key file [default:
    /// the slot that opens the vault now]
    #[arg(long, value_name = "SLOT", conflicts_with = "compromised")]
    slot: Option<i64>,
    #[command(flatten)]
    confirmation: Confirmation,
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
        if self.slot.is_some() && !self.new.is_given() {
            return Err(Failure::configuration("--slot needs the new master key")
                .advise("give --key-file FILE (created if it does not exist) or --passphrase prompt"));
        }
        let request = RekeyRequest { known: &old, slot: self.slot, compromised: self.compromised };
        let new = self.new.read()?;
        new.as_ref().map_or(Ok(()), NewMasterKey::check)?;
        self.confirm(&admin.plan_rekey(&request)?)?;
        let rekeyed = block_on(admin.rekey(&request, new))??;
        self.tell(&rekeyed, out)?;
        if self.compromised { rotate(&admin, false, out) } else { Ok(()) }
    }

    /// Names the slots that the command ends and keeps, and asks.
    fn confirm(&self, plan: &RekeyPlan) -> Result<(), Failure> {
        for slot in &plan.ended {
            note(format!("{} will not open the vault any more", named(slot)));
        }
        for slot in &plan.kept {
            note(format!("{} still opens the vault; --slot {} replaces it instead", named(slot), slot.id));
        }
        self.confirmation.confirm("Replace the master key?")
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

fn named(slot: &KeySlot) -> String {
    format!("slot {} ({} {}, since {})", slot.id, slot.kind.name(), slot.fingerprint, slot.created_at)
}
