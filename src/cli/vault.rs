//! `strongroom vault`: the file that everything is in, and the keys that open it.

use std::path::PathBuf;

use clap::Subcommand;
use serde::Serialize;

use super::context::open_vault;
use super::output::Output;
use super::{Context, Failure, backup, restore};
use crate::broker::backup_status;
use crate::clock::{Clock, UnixTime};
use crate::config::ClientSecrets;

/// The vault's file, and the keys that open it
#[derive(Debug, Subcommand)]
pub(super) enum Vault {
    /// Say what is in the vault, what opens it, and what is due
    Status {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    Backup(backup::Backup),
    Restore(restore::Restore),
    /// Say that this restored vault takes the place of the one that was backed up: refreshing ahead, the revocation queue and
    /// scheduled backups begin again
    Live,
}

impl Vault {
    /// Runs the command.
    pub(super) fn run(self, context: &Context, out: &mut Output) -> Result<(), Failure> {
        match self {
            Self::Status { json } => status(json, context, out),
            Self::Backup(backup) => backup.run(context, out),
            Self::Restore(restore) => restore.run(context, out),
            Self::Live => restore::live(context, out),
        }
    }
}

#[derive(Serialize)]
struct Status {
    vault_id: String,
    created_at: UnixTime,
    schema_version: u32,
    slots: Vec<String>,
    data_key_version: u32,
    users: u64,
    credentials: u64,
    api_keys: u64,
    pending_logins: u64,
    waiting_revocations: u64,
    audit_rows: u64,
    backups: Option<Backups>,
    waits_to_live: Option<WaitsToLive>,
    may_be_stale: u64,
    warnings: Vec<String>,
}

/// How the scheduled backups stand.
#[derive(Serialize)]
struct Backups {
    directory: PathBuf,
    newest: Option<UnixTime>,
    kept: usize,
    due_at: UnixTime,
    due: bool,
}

/// From what the vault was restored, as long as it does not live.
#[derive(Serialize)]
struct WaitsToLive {
    restored_at: UnixTime,
    backup_at: UnixTime,
}

fn status(json: bool, context: &Context, out: &mut Output) -> Result<(), Failure> {
    let (config, _) = context.settings(ClientSecrets::Leave)?;
    let vault = open_vault(&config)?;
    let now = Clock::system().now();
    let backups = backup_status(&config.backup, &vault, now).map(|found| Backups {
        due: found.due_at <= now,
        directory: found.directory,
        newest: found.newest,
        kept: found.kept,
        due_at: found.due_at,
    });
    let waits_to_live = vault.restored()?;
    let waits_to_live =
        waits_to_live.map(|restored| WaitsToLive { restored_at: restored.at, backup_at: restored.backup_at });
    let may_be_stale = vault.count_stale()?;
    let status = vault.status()?;
    let status = Status {
        backups,
        waits_to_live,
        may_be_stale,
        vault_id: status.vault_id,
        created_at: status.created_at,
        schema_version: status.schema_version,
        slots: status.slots,
        data_key_version: status.data_key_version,
        users: status.users,
        credentials: status.credentials,
        api_keys: status.api_keys,
        pending_logins: status.pending,
        waiting_revocations: status.revocations,
        audit_rows: status.audit,
        warnings: status.warnings.iter().map(ToString::to_string).collect(),
    };
    if json {
        return out.json(&status);
    }
    out.line(format!("vault {} of {}, schema {}", status.vault_id, status.created_at, status.schema_version))?;
    status.slots.iter().try_for_each(|slot| out.line(format!("opened by {slot}")))?;
    out.line(format!("data key {}", status.data_key_version))?;
    out.line(format!(
        "{} users, {} credentials, {} API keys, {} begun logins, {} waiting revocations, {} audit rows",
        status.users,
        status.credentials,
        status.api_keys,
        status.pending_logins,
        status.waiting_revocations,
        status.audit_rows
    ))?;
    status.backups.iter().try_for_each(|backups| show_backups(backups, out))?;
    if let Some(waits) = &status.waits_to_live {
        out.line(format!(
            "restored at {} from a backup of {}: it refreshes ahead, revokes and backs up nothing until `strongroom vault live`",
            waits.restored_at, waits.backup_at
        ))?;
    }
    if status.may_be_stale > 0 {
        out.line(format!(
            "{} credentials have refresh tokens that may be used up since the backup",
            status.may_be_stale
        ))?;
    }
    status.warnings.iter().try_for_each(|warning| out.line(format!("warning: {warning}")))
}

fn show_backups(backups: &Backups, out: &mut Output) -> Result<(), Failure> {
    let newest = backups.newest.map_or_else(|| "none yet".to_owned(), |at| format!("the newest of {at}"));
    let due = if backups.due { "one is due".to_owned() } else { format!("the next is due at {}", backups.due_at) };
    out.line(format!("{} backups in {}, {newest}; {due}", backups.kept, backups.directory.display()))
}
