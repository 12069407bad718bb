//! `strongroom vault status`: shows the state of the vault.

use std::path::PathBuf;

use serde::Serialize;

use super::slot;
use crate::broker::backup_status;
use crate::cli::context::{Context, open_vault};
use crate::cli::failure::Failure;
use crate::cli::output::Output;
use crate::clock::{Clock, UnixTime};
use crate::config::ClientSecrets;
use crate::vault::VaultStatus;

#[derive(Serialize)]
struct Status {
    vault_id: String,
    created_at: UnixTime,
    schema_version: u32,
    slots: Vec<slot::ListedSlot>,
    keys: Vec<Key>,
    data_key_version: u32,
    rotation_left: Option<u64>,
    users: u64,
    credentials: u64,
    api_keys: u64,
    pending_logins: u64,
    waiting_revocations: u64,
    audit_rows: u64,
    backups: Option<Backups>,
    unpromoted_restore: Option<UnpromotedRestore>,
    may_be_stale: u64,
    due: Vec<String>,
    warnings: Vec<String>,
}

/// A key of the keyring, without its secret.
#[derive(Serialize)]
struct Key {
    purpose: String,
    version: u32,
    state: String,
    created_at: UnixTime,
}

/// Age in seconds at which a data key should be rotated: one year.
const OLD_KEY: i64 = 365 * 86_400;

/// State of the scheduled backups.
#[derive(Serialize)]
struct Backups {
    directory: PathBuf,
    newest: Option<UnixTime>,
    kept: usize,
    due_at: UnixTime,
    due: bool,
}

/// The restore that this vault comes from, until it is promoted.
#[derive(Serialize)]
struct UnpromotedRestore {
    restored_at: UnixTime,
    backup_at: UnixTime,
}

pub(in crate::cli) fn status(json: bool, context: &Context, out: &mut Output) -> Result<(), Failure> {
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
    let unpromoted_restore = vault.standby().mark()?;
    let unpromoted_restore = unpromoted_restore
        .map(|restored| UnpromotedRestore { restored_at: restored.at, backup_at: restored.backup_at });
    let may_be_stale = vault.standby().count_stale()?;
    let status = vault.status()?;
    let due = due(&status, now);
    let keys = status.keys.into_iter().map(|key| Key {
        purpose: key.purpose,
        version: key.version,
        state: key.state,
        created_at: key.created_at,
    });
    let status = Status {
        backups,
        unpromoted_restore,
        may_be_stale,
        vault_id: status.vault_id,
        created_at: status.created_at,
        schema_version: status.schema_version,
        slots: status.slots.into_iter().map(slot::ListedSlot::from).collect(),
        keys: keys.collect(),
        data_key_version: status.data_key_version,
        rotation_left: status.rotation_left,
        users: status.users,
        credentials: status.credentials,
        api_keys: status.api_keys,
        pending_logins: status.pending,
        waiting_revocations: status.revocations,
        audit_rows: status.audit,
        due,
        warnings: status.warnings.iter().map(ToString::to_string).collect(),
    };
    if json { out.json(&status) } else { tell(&status, out) }
}

/// Returns what is due, each with its command.
fn due(status: &VaultStatus, now: UnixTime) -> Vec<String> {
    let mut due = Vec::new();
    if let Some(left) = status.rotation_left {
        due.push(format!(
            "a rotation is incomplete, {left} records use an old data key: run `strongroom vault rotate`"
        ));
    }
    let current = status.keys.iter().find(|key| key.purpose == "data" && key.version == status.data_key_version);
    if let Some(days) = current.map(|key| key.created_at.seconds_until(now)).filter(|age| *age > OLD_KEY) {
        due.push(format!("the data key is {} days old: run `strongroom vault rotate`", days / 86_400));
    }
    for slot in status.slots.iter().filter(|slot| slot.is_weak) {
        due.push(format!(
            "slot {} uses weaker passphrase hashing than a new one: add its passphrase again (`strongroom vault slot add`), then remove it",
            slot.id
        ));
    }
    due
}

fn tell(status: &Status, out: &mut Output) -> Result<(), Failure> {
    out.line(format!("vault {}, created {}, schema {}", status.vault_id, status.created_at, status.schema_version))?;
    status.slots.iter().try_for_each(|slot| out.line(format!("opened by {slot}")))?;
    for key in &status.keys {
        out.line(format!("{} key {}: {}, since {}", key.purpose, key.version, key.state, key.created_at))?;
    }
    out.line(format!(
        "{} users, {} credentials, {} API keys, {} pending logins, {} queued revocations, {} audit rows",
        status.users,
        status.credentials,
        status.api_keys,
        status.pending_logins,
        status.waiting_revocations,
        status.audit_rows
    ))?;
    status.backups.iter().try_for_each(|backups| show_backups(backups, out))?;
    if let Some(waits) = &status.unpromoted_restore {
        out.line(format!(
            "restored at {} from a backup of {}; not in service until `strongroom vault promote`",
            waits.restored_at, waits.backup_at
        ))?;
    }
    if status.may_be_stale > 0 {
        out.line(format!(
            "{} credentials have refresh tokens that may have been used since the backup",
            status.may_be_stale
        ))?;
    }
    status.due.iter().try_for_each(|due| out.line(format!("due: {due}")))?;
    status.warnings.iter().try_for_each(|warning| out.line(format!("warning: {warning}")))
}

fn show_backups(backups: &Backups, out: &mut Output) -> Result<(), Failure> {
    let newest = backups.newest.map_or_else(|| "none yet".to_owned(), |at| format!("the newest from {at}"));
    let due = if backups.due { "one is due".to_owned() } else { format!("the next is due at {}", backups.due_at) };
    out.line(format!("{} backups in {}, {newest}; {due}", backups.kept, backups.directory.display()))
}
