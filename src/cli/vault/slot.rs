//! `strongroom vault slot`: manage the master keys that open the vault.

use std::fmt;

use clap::Subcommand;
use serde::Serialize;

use super::new_master_key::NewMaster;
use crate::cli::context::{Context, open_with_key};
use crate::cli::failure::Failure;
use crate::cli::output::Output;
use crate::cli::runtime::block_on;
use crate::clock::UnixTime;
use crate::config::ClientSecrets;
use crate::vault::{AuditContext, OpenMode, SlotAdded, SlotRemoved};

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
        new: NewMaster,
    },
    /// Remove a slot: its master key no longer opens the vault. The last slot cannot be removed
    Remove {
        /// Slot number, as `vault slot list` shows it
        id: i64,
        /// Remove it even if this configuration opens the vault with it
        #[arg(long)]
        own: bool,
    },
}

/// A slot as it is shown.
#[derive(Serialize)]
pub(in crate::cli) struct ListedSlot {
    id: i64,
    kind: &'static str,
    fingerprint: String,
    created_at: UnixTime,
    weak: bool,
}

impl fmt::Display for ListedSlot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "slot {}: {} {}, since {}", self.id, self.kind, self.fingerprint, self.created_at)
    }
}

impl From<crate::vault::KeySlot> for ListedSlot {
    fn from(slot: crate::vault::KeySlot) -> Self {
        Self {
            id: slot.id,
            kind: slot.kind.name(),
            fingerprint: slot.fingerprint,
            created_at: slot.created_at,
            weak: slot.is_weak,
        }
    }
}

impl Slot {
    pub(in crate::cli) fn run(self, context: &Context, out: &mut Output) -> Result<(), Failure> {
        match self {
            Self::List { json } => list(json, context, out),
            Self::Add { new } => add(&new, context, out),
            Self::Remove { id, own } => remove(id, own, context, out),
        }
    }
}

fn list(json: bool, context: &Context, out: &mut Output) -> Result<(), Failure> {
    let slots: Vec<ListedSlot> = context.vault()?.key_slots().list()?.into_iter().map(ListedSlot::from).collect();
    if json {
        return out.json(&slots);
    }
    let row = |slot: ListedSlot| {
        let kind = if slot.weak { format!("{} (weak)", slot.kind) } else { slot.kind.to_owned() };
        [slot.id.to_string(), kind, slot.fingerprint, slot.created_at.to_string()]
    };
    out.columns(["SLOT", "KIND", "FINGERPRINT", "SINCE"], &slots.into_iter().map(row).collect::<Vec<_>>())
}

fn add(new: &NewMaster, context: &Context, out: &mut Output) -> Result<(), Failure> {
    let (config, _) = context.settings(ClientSecrets::Leave)?;
    let (vault, known) = open_with_key(&config, OpenMode::Command)?;
    if new.makes_a_file() {
        // Without room, a key file would be created that opens nothing.
        vault.key_slots().check_room()?;
    }
    let Some(master) = new.read()? else {
        return Err(Failure::configuration("no new master key was given")
            .advise("give --key-file FILE (created if it does not exist) or --passphrase prompt"));
    };
    match block_on(vault.key_slots().add(&known, &master, &AuditContext::command_line()))?? {
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
    let (config, _) = context.settings(ClientSecrets::Leave)?;
    let (vault, known) = open_with_key(&config, OpenMode::Command)?;
    if !own && vault.key_slots().find(&known)? == Some(id) {
        return Err(Failure::new(format!("this configuration opens the vault with slot {id}")).advise(
            "change vault.master_key or vault.passphrase first, or give --own; otherwise the next start fails",
        ));
    }
    match block_on(vault.key_slots().remove(id, &AuditContext::command_line()))?? {
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
