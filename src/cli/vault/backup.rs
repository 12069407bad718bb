//! `strongroom vault backup`: writes the whole vault into one sealed file.

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;

use crate::broker::backup_name;
use crate::cli::context::{Context, open_vault};
use crate::cli::failure::Failure;
use crate::cli::output::{Output, note};
use crate::cli::runtime::block_on;
use crate::clock::{Clock, UnixTime};
use crate::config::{ClientSecrets, Config};
use crate::vault::{AuditContext, BackupContents, BackupStop, Existing, MadeBackup, Vault};

/// Write a sealed backup of the whole vault; a server may be running
///
/// The vault's current master key opens the backup. Store a copy of the key apart from the backups.
#[derive(Debug, Args)]
pub(in crate::cli) struct Backup {
    /// File, folder (the backup gets its own name there), or - for standard output [default:
    /// backup.directory]
    file: Option<PathBuf>,
    /// Replace an existing file
    #[arg(long)]
    force: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Backup {
    pub(in crate::cli) fn run(self, context: &Context, out: &mut Output) -> Result<(), Failure> {
        let is_stream = self.file.as_deref() == Some(Path::new("-"));
        if is_stream && self.json {
            return Err(Failure::configuration("--json and - would both write to standard output"));
        }
        if is_stream && std::io::stdout().is_terminal() {
            return Err(Failure::configuration("a backup is not written to a terminal")
                .advise("redirect standard output to a file or to another program, or name a file"));
        }
        let (config, _) = context.settings(ClientSecrets::Leave)?;
        let vault = open_vault(&config)?;
        if is_stream {
            vault.backups().write_to(out.writer(), &BackupStop::default())?;
            out.flush()?;
            return record(&vault);
        }
        let target = target(self.file.as_deref(), &config, &vault)?;
        let existing = if self.force { Existing::Replace } else { Existing::Keep };
        let made = vault.backups().write(&target, existing, &BackupStop::default())?;
        record(&vault)?;
        if self.json {
            return out.json(&Made::from(&made));
        }
        out.line(format!("wrote {} ({} bytes)", made.path.display(), made.bytes))?;
        show(&made.contents, out)?;
        out.line("`strongroom vault restore FILE --verify` checks it with today's master key")
    }
}

/// Writes the audit row of a backup.
fn record(vault: &Vault) -> Result<(), Failure> {
    if let Err(error) = block_on(vault.backups().record(&AuditContext::command_line()))? {
        note(format!("warning: cannot record the backup in the audit log: {error}"));
    }
    Ok(())
}

fn target(asked: Option<&Path>, config: &Config, vault: &Vault) -> Result<PathBuf, Failure> {
    let asked = asked.or(config.backup.directory.as_deref()).ok_or_else(|| {
        Failure::configuration("no target was given for the backup")
            .advise("name a file or a folder, or set backup.directory in the configuration")
    })?;
    Ok(if asked.is_dir() { asked.join(backup_name(vault, Clock::system().now())) } else { asked.to_owned() })
}

/// Prints the contents of a backup.
pub(in crate::cli) fn show(contents: &BackupContents, out: &mut Output) -> Result<(), Failure> {
    out.line(format!(
        "vault {}, backup of {}, change {}, schema {}: {} users, {} credentials, {} API keys, {} audit rows",
        contents.vault_id,
        contents.created_at,
        contents.epoch,
        contents.schema_version,
        contents.users,
        contents.credentials,
        contents.api_keys,
        contents.audit
    ))
}

/// Contents of a backup in JSON.
#[derive(Serialize)]
pub(in crate::cli) struct Contents {
    vault_id: String,
    created_at: UnixTime,
    epoch: i64,
    schema_version: u32,
    users: u64,
    credentials: u64,
    api_keys: u64,
    audit_rows: u64,
}

impl From<&BackupContents> for Contents {
    fn from(contents: &BackupContents) -> Self {
        Self {
            vault_id: contents.vault_id.clone(),
            created_at: contents.created_at,
            epoch: contents.epoch,
            schema_version: contents.schema_version,
            users: contents.users,
            credentials: contents.credentials,
            api_keys: contents.api_keys,
            audit_rows: contents.audit,
        }
    }
}

#[derive(Serialize)]
struct Made {
    path: PathBuf,
    bytes: u64,
    #[serde(flatten)]
    contents: Contents,
}

impl From<&MadeBackup> for Made {
    fn from(made: &MadeBackup) -> Self {
        let contents = Contents::from(&made.contents);
        Self { path: made.path.clone(), bytes: made.bytes, contents }
    }
}
