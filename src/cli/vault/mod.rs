//! `strongroom vault`: manage the vault file and its keys.

mod backup;
pub(in crate::cli) mod new_master_key;
mod rekey;
mod repair;
mod restore;
mod rotate;
mod slot;
mod status;
mod verify;

use clap::Subcommand;

use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::output::Output;

/// Manage the vault file and its keys
#[derive(Debug, Subcommand)]
pub(in crate::cli) enum VaultCommand {
    /// Show what the vault contains, which keys open it, and what is due
    Status {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    Backup(backup::Backup),
    Restore(restore::Restore),
    /// Put a restored vault into service: background refresh, revocation queue and scheduled
    /// backups start again
    Promote,
    #[command(subcommand)]
    Slot(slot::Slot),
    Rekey(rekey::Rekey),
    Rotate(rotate::Rotate),
    Verify(verify::VaultVerifyArgs),
    Repair(repair::VaultRepairArgs),
}

impl VaultCommand {
    pub(in crate::cli) fn run(self, context: &Context, out: &mut Output) -> Result<(), Failure> {
        match self {
            Self::Status { json } => status::status(json, context, out),
            Self::Backup(backup) => backup.run(context, out),
            Self::Restore(restore) => restore.run(context, out),
            Self::Promote => restore::promote(context, out),
            Self::Slot(slot) => slot.run(context, out),
            Self::Rekey(rekey) => rekey.run(context, out),
            Self::Rotate(rotate) => rotate.run(context, out),
            Self::Verify(verify) => verify.run(context, out),
            Self::Repair(repair) => repair.run(context, out),
        }
    }
}
