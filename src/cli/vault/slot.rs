//! `strongroom vault slot`: manage the master keys that open the vault.

use clap::Subcommand;

use super::new_master_key::NewMasterArgs;
use crate::broker::{OpenMode, SlotAdded, SlotRemoved};
use crate::cli::confirm::Confirmation;
use crate::cli::context::{Context, open};
use crate::cli::failure::Failure;
use crate::cli::output::Output;
use crate::cli::runtime::block_on;
use crate::config::ClientSecrets;

/// Manage the master keys that open the vault, for example a key file and a recovery passphrase
#[derive(Debug, Subcommand)]
pub(in crate::cli) enum Slot {
    /// List the slots; never shows a key
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Add a master key that opens the vault
    Add {
        #[command(flatten)]
        new: NewMasterArgs,
    },
    /// Remove a slot: its master key no longer opens the vault. The last slot cannot be removed
    Remove {
        /// Slot number, as `vault slot list` shows it
        id: i64,
        /// Remove it even if this configuration opens the vault with it
        #[arg(long)]
        own: bool,
        #[command(flatten)]
        confirmation: Confirmation,
    },
}

impl Slot {
    pub(in crate::cli) fn run(self, context: &Context, out: &mut Output) -> Result<(), Failure> {
        match self {
            Self::List { json } => list(json, context, out),
            Self::Add { new } => add(&new, context, out),
            Self::Remove { id, own, confirmation } => {
                confirmation.confirm(&format!("Remove slot {id}? Its master key will no longer open the vault."))?;
                remove(id, own, context, out)
            }
        }
    }
}

fn list(json: bool, context: &Context, out: &mut Output) -> Result<(), Failure> {
    out.list(json, &context.admin()?.key_slots()?, ["SLOT", "KIND", "FINGERPRINT", "SINCE"], |slot| {
        let weak = if slot.is_weak { " (weak)" } else { "" };
        let kind = format!("{}{weak}", slot.kind.name());
        [slot.id.to_string(), kind, slot.fingerprint.clone(), slot.created_at.to_string()]
    })
}

fn add(new: &NewMasterArgs, context: &Context, out: &mut Output) -> Result<(), Failure> {
    let (admin, known) = open(&context.installation(ClientSecrets::Leave)?, OpenMode::Command)?;
    let Some(master) = new.read()? else {
        return Err(Failure::configuration("no new master key was given")
            .advise("give --key-file FILE (created if it does not exist) or --passphrase prompt"));
    };
    match block_on(admin.add_slot(&known, master))?? {
        SlotAdded::New(id) => {
            out.line(format!("added slot {id}; to use it, set: {}", new.setting()))?;
            if let Some(file) = &new.key_file {
                out.line(format!("keep a copy of {} apart from the vault and its backups", file.display()))?;
            }
            Ok(())
        }
        SlotAdded::ThereAlready(id) => out.line(format!("this master key already opens slot {id}")),
    }
}

fn remove(id: i64, own: bool, context: &Context, out: &mut Output) -> Result<(), Failure> {
    let (admin, known) = open(&context.installation(ClientSecrets::Leave)?, OpenMode::Command)?;
    match block_on(admin.remove_slot(id, (!own).then_some(&known)))?? {
        SlotRemoved::Gone => out.line(format!("removed slot {id}; its master key still opens older backups")),
        SlotRemoved::Absent => {
            Err(Failure::new(format!("there is no slot {id}")).advise("`strongroom vault slot list` lists all slots"))
        }
        SlotRemoved::Last => {
            Err(Failure::new(format!("slot {id} is the only one; without it the vault cannot be opened"))
                .advise("add another slot first: `strongroom vault slot add --key-file FILE`"))
        }
    }
}
