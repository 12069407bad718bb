//! `strongroom vault backup`: the whole vault in one sealed file, beside a running server or without one.

use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;

use crate::age::Recipient;
use crate::broker::backup_name;
use crate::cli::context::{Context, open_vault};
use crate::cli::failure::Failure;
use crate::cli::output::{Output, note};
use crate::cli::runtime::block_on;
use crate::clock::{Clock, UnixTime};
use crate::config::{ClientSecrets, Config};
use crate::vault::{AuditContext, BackupContents, BackupStop, Existing, MadeBackup, Vault};

/// Write a backup: the whole vault of one moment, sealed, beside a running server or without one
///
/// It is opened by the master key that opens the vault today; keep a copy of the key where the backups are not.
#[derive(Debug, Args)]
pub(in crate::cli) struct Backup {
    /// Where to write it: a file, or a folder, in which it gets a name of its own [default: backup.directory of the
    /// configuration]
    file: Option<PathBuf>,
    /// Replace a file of that name
    #[arg(long)]
    force: bool,
    /// Encrypt it to this recipient of age (age1…) as well; may be repeated [default: backup.age_recipients of the
    /// configuration]
    #[arg(long = "age-recipient", value_name = "RECIPIENT")]
    age_recipients: Vec<String>,
    /// As JSON
    #[arg(long)]
    json: bool,
}

impl Backup {
    /// Runs the command.
    pub(in crate::cli) fn run(self, context: &Context, out: &mut Output) -> Result<(), Failure> {
        let recipients = self.recipients()?;
        let (config, _) = context.settings(ClientSecrets::Leave)?;
        let vault = open_vault(&config)?;
        let recipients = if recipients.is_empty() { &config.backup.age_recipients } else { &recipients };
        let target = target(self.file.as_deref(), &config, &vault, !recipients.is_empty())?;
        let existing = if self.force { Existing::Replace } else { Existing::Keep };
        let made = vault.back_up(&target, existing, recipients, &BackupStop::default())?;
        if let Err(error) = block_on(vault.note_backup(&AuditContext::command_line()))? {
            note(format!("warning: the backup is not in the audit log: {error}"));
        }
        if self.json {
            return out.json(&Made::from(&made));
        }
        let contents = &made.contents;
        out.line(format!("wrote {} ({} bytes)", made.path.display(), made.bytes))?;
        show(contents, out)?;
        out.line(if made.encrypted {
            "encrypted with age; `strongroom vault restore FILE --verify --age-identity FILE` reads it"
        } else {
            "`strongroom vault restore FILE --verify` reads it with today's master key"
        })
    }
}

impl Backup {
    /// Not read by the parser of the command line, whose message would show a secret that was given by mistake.
    fn recipients(&self) -> Result<Vec<Recipient>, Failure> {
        let recipient = |(at, text): (usize, &String)| {
            text.parse().map_err(|error| Failure::configuration(format!("--age-recipient, number {}: {error}", at + 1)))
        };
        self.age_recipients.iter().enumerate().map(recipient).collect()
    }
}

fn target(asked: Option<&Path>, config: &Config, vault: &Vault, encrypted: bool) -> Result<PathBuf, Failure> {
    let asked = asked.or(config.backup.directory.as_deref()).ok_or_else(|| {
        Failure::configuration("nothing says where to write the backup")
            .advise("name a file or a folder, or set backup.directory in the configuration")
    })?;
    let named = || asked.join(backup_name(vault, Clock::system().now(), encrypted));
    Ok(if asked.is_dir() { named() } else { asked.to_owned() })
}

/// What is in a backup, for people.
pub(in crate::cli) fn show(contents: &BackupContents, out: &mut Output) -> Result<(), Failure> {
    out.line(format!(
        "vault {} of {}, change {}, schema {}: {} users, {} credentials, {} API keys, {} audit rows",
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

/// The same for programs.
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
    encrypted: bool,
    #[serde(flatten)]
    contents: Contents,
}

impl From<&MadeBackup> for Made {
    fn from(made: &MadeBackup) -> Self {
        let contents = Contents::from(&made.contents);
        Self { path: made.path.clone(), bytes: made.bytes, encrypted: made.encrypted, contents }
    }
}
