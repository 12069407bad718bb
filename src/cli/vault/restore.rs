//! `strongroom vault restore` and `strongroom vault promote`: turns a backup into a vault, then puts
//! it into service.

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

/// Restore a backup into a new vault; every chunk is checked and every record opened first
///
/// It needs the master key of the backup's time (vault.master_key). The restored vault sends no
/// refreshes or revocations on its own until `strongroom vault promote` or --promote puts it into
/// service.
#[derive(Debug, Args)]
pub(in crate::cli) struct Restore {
    /// Backup file, or - for standard input
    file: PathBuf,
    /// Check the backup completely, and restore nothing
    #[arg(long, conflicts_with = "promote")]
    verify: bool,
    /// Put the restored vault into service: the original vault is gone for good
    #[arg(long)]
    promote: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Told {
    /// Path of the vault; `null` after `--verify`.
    path: Option<PathBuf>,
    promote: bool,
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
        // Checked before a passphrase is asked for.
        if !self.verify && target.symlink_metadata().is_ok() {
            return Err(VaultError::AlreadyExists(target.clone()).into());
        }
        let source = if self.file.as_os_str() == "-" { BackupSource::stdin() } else { BackupSource::open(&self.file)? };
        let master = bootstrap::master_key(&config)?;
        let with = Restorer { master: &master, clock: Clock::system(), random: Random };
        let restored = if self.verify {
            with.verify(source)?
        } else {
            with.restore(source, target, self.promote, &AuditContext::command_line())?
        };
        if self.json {
            return out.json(&Told {
                path: (!self.verify).then(|| target.clone()),
                promote: self.promote,
                opened_records: restored.opened,
                may_be_stale: restored.may_be_stale,
                schema_version_now: restored.schema_version,
                contents: Contents::from(&restored.contents),
            });
        }
        backup::show(&restored.contents, out)?;
        if self.verify {
            return out.line(format!("the backup is intact: all {} records open", restored.opened));
        }
        out.line(format!("restored to {}; all {} records open", target.display(), restored.opened))?;
        if !self.promote {
            note(format!(
                "{} credentials have refresh tokens that may have been used since the backup. To put this vault into service, run `strongroom vault promote`; until then it sends no refreshes or revocations on its own",
                restored.may_be_stale
            ));
        }
        Ok(())
    }
}

/// Puts a restored vault into service.
pub(in crate::cli) fn promote(context: &Context, out: &mut Output) -> Result<(), Failure> {
    let vault = context.vault()?;
    let is_promoted = block_on(vault.standby().promote(&AuditContext::command_line()))??;
    out.line(if is_promoted {
        "this vault is in service: background refresh, revocation queue and scheduled backups are on again"
    } else {
        "this vault is already in service; nothing was changed"
    })
}
