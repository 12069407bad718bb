//! `strongroom vault restore` and `strongroom vault live`: a backup becomes a vault again, and then the one that lives.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use super::backup;
use super::backup::Contents;
use crate::cli::bootstrap;
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::output::{Output, note};
use crate::cli::runtime::block_on;
use crate::clock::Clock;
use crate::config::ClientSecrets;
use crate::random::Random;
use crate::vault::{AuditContext, BackupSource, Restorer, VaultError};

/// Make the vault of a backup, where there is none: every chunk is checked and every record opened before it is there
///
/// It needs the master key of the backup's day (vault.master_key). The restored vault refreshes and revokes nothing by itself
/// until `strongroom vault live` or --live says that it takes the place of the one that was lost.
#[derive(Debug, Args)]
pub(in crate::cli) struct Restore {
    /// The backup, or - for standard input
    file: PathBuf,
    /// Read all of it and open every record, and leave nothing
    #[arg(long, conflicts_with = "live")]
    verify: bool,
    /// This vault lives from now on: the one that was backed up is gone for good
    #[arg(long)]
    live: bool,
    /// As JSON
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Told {
    /// Where the vault is now; `null` where it was only read.
    path: Option<PathBuf>,
    live: bool,
    opened_records: u64,
    may_be_stale: u64,
    schema_version_now: u32,
    #[serde(flatten)]
    contents: Contents,
}

impl Restore {
    pub(in crate::cli) fn run(self, context: &Context, out: &mut Output) -> Result<(), Failure> {
        let (config, _) = context.settings(ClientSecrets::Leave)?;
        let target = &config.vault.path;
        // Before somebody types a passphrase for nothing.
        if !self.verify && target.symlink_metadata().is_ok() {
            return Err(VaultError::AlreadyExists(target.clone()).into());
        }
        let source = if self.file.as_os_str() == "-" { BackupSource::stdin() } else { BackupSource::open(&self.file)? };
        let master = bootstrap::master_key(&config)?;
        let with = Restorer { master: &master, clock: Clock::system(), random: Random };
        let restored = if self.verify {
            with.verify(source)?
        } else {
            with.restore(source, target, self.live, &AuditContext::command_line())?
        };
        if self.json {
            return out.json(&Told {
                path: (!self.verify).then(|| target.clone()),
                live: self.live,
                opened_records: restored.opened,
                may_be_stale: restored.may_be_stale,
                schema_version_now: restored.schema_version,
                contents: Contents::from(&restored.contents),
            });
        }
        backup::show(&restored.contents, out)?;
        if self.verify {
            return out.line(format!("every chunk is whole, and all {} records open", restored.opened));
        }
        out.line(format!("restored to {}; all {} records open", target.display(), restored.opened))?;
        if !self.live {
            note(format!(
                "{} credentials have refresh tokens that may be used up since the backup. Nothing is refreshed or revoked by itself until \
                 this vault takes the place of the one that was backed up: then run `strongroom vault live`",
                restored.may_be_stale
            ));
        }
        Ok(())
    }
}

/// Says that the vault lives.
pub(in crate::cli) fn live(context: &Context, out: &mut Output) -> Result<(), Failure> {
    let vault = context.vault()?;
    let lives_now = block_on(vault.go_live(&AuditContext::command_line()))??;
    out.line(if lives_now {
        "this is the vault that lives: refreshing ahead, the revocation queue and scheduled backups are on again"
    } else {
        "this vault was not waiting for that; nothing was changed"
    })
}
