//! `strongroom vault slot`: the master keys that open the vault.

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

/// The master keys that open the vault: a key file and a recovery passphrase side by side, for example
#[derive(Debug, Subcommand)]
pub(in crate::cli) enum Slot {
    /// List what opens the vault; never a key
    List {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Let one more master key open the vault
    Add {
        #[command(flatten)]
        new: NewMaster,
    },
    /// End a slot: its master key opens the vault no more. The last one cannot be removed
    Remove {
        /// Its number, as `vault slot list` shows it
        id: i64,
        /// Even if it is the one that the configuration opens the vault by
        #[arg(long)]
        own: bool,
    },
}

/// A slot, as it is shown.
#[derive(Serialize)]
pub(in crate::cli) struct Listed {
    id: i64,
    kind: &'static str,
    fingerprint: String,
    created_at: UnixTime,
    weak: bool,
}

impl fmt::Display for Listed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "slot {}: {} {}, of {}", self.id, self.kind, self.fingerprint, self.created_at)
    }
}

impl From<crate::vault::KeySlot> for Listed {
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
    /// Runs the command.
    pub(in crate::cli) fn run(self, context: &Context, out: &mut Output) -> Result<(), Failure> {
        match self {
            Self::List { json } => list(json, context, out),
            Self::Add { new } => add(&new, context, out),
            Self::Remove { id, own } => remove(id, own, context, out),
        }
    }
}

fn list(json: bool, context: &Context, out: &mut Output) -> Result<(), Failure> {
    let slots: Vec<Listed> = context.vault()?.slots()?.into_iter().map(Listed::from).collect();
    if json {
        return out.json(&slots);
    }
    let row = |slot: Listed| {
        let kind = if slot.weak { format!("{} (weak)", slot.kind) } else { slot.kind.to_owned() };
        [slot.id.to_string(), kind, slot.fingerprint, slot.created_at.to_string()]
    };
    out.columns(["SLOT", "KIND", "FINGERPRINT", "SINCE"], &slots.into_iter().map(row).collect::<Vec<_>>())
}

fn add(new: &NewMaster, context: &Context, out: &mut Output) -> Result<(), Failure> {
    let (config, _) = context.settings(ClientSecrets::Leave)?;
    let (vault, known) = open_with_key(&config, OpenMode::Command)?;
    if new.makes_a_file() {
        // Else there would be a key file that opens nothing.
        vault.has_room_for_a_slot()?;
    }
    let Some(master) = new.read()? else {
        return Err(Failure::configuration("say which master key is to open the vault")
            .advise("--key-file FILE, which is made where it is not there, or --passphrase prompt"));
    };
    match block_on(vault.add_slot(&known, &master, &AuditContext::command_line()))?? {
        SlotAdded::New(id) => {
            out.line(format!("slot {id} is new; with it the vault is opened by: {}", new.setting()))?;
            if let Some(file) = &new.key_file {
                out.line(format!("keep a copy of {} apart from the vault and its backups", file.display()))?;
            }
            Ok(())
        }
        SlotAdded::ThereAlready(id) => out.line(format!("this master key opens slot {id} already")),
    }
}

fn remove(id: i64, own: bool, context: &Context, out: &mut Output) -> Result<(), Failure> {
    let (config, _) = context.settings(ClientSecrets::Leave)?;
    let (vault, known) = open_with_key(&config, OpenMode::Command)?;
    if !own && vault.slot_of(&known)? == Some(id) {
        return Err(Failure::new(format!("slot {id} is the one that this configuration opens the vault by")).advise(
            "without it the next start fails; change vault.master_key or vault.passphrase first, or say --own",
        ));
    }
    match block_on(vault.remove_slot(id, &AuditContext::command_line()))?? {
        SlotRemoved::Gone => {
            out.line(format!("slot {id} is removed; its master key still opens the backups that were made before now"))
        }
        SlotRemoved::Absent => {
            Err(Failure::new(format!("there is no slot {id}")).advise("`strongroom vault slot list` shows all of them"))
        }
        SlotRemoved::Last => {
            Err(Failure::new(format!("slot {id} is the only one, and without it nobody could open the vault"))
                .advise("add another one first: `strongroom vault slot add --key-file FILE`"))
        }
    }
}
