//! `strongroom vault restore` and `strongroom vault promote`: turns a backup into a vault, then puts
//! it into service.

use std::path::PathBuf;

use clap::Args;

use super::backup;
use crate::broker::{Installation, MasterKey, OpenMode};
use crate::cli::context::{Context, master_key};
use crate::cli::failure::Failure;
use crate::cli::output::{Output, note};
use crate::cli::runtime::block_on;
use crate::config::ClientSecrets;

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

impl Restore {
    pub(in crate::cli) fn run(self, context: &Context, out: &mut Output) -> Result<(), Failure> {
        let installation = context.installation(ClientSecrets::Leave)?;
        // Checked before a passphrase is asked for.
        if !self.verify {
            installation.check_restore_target()?;
        }
        let key = master_key(&installation)?;
        let restored = if self.verify {
            installation.verify_backup(&self.file, &key)?
        } else {
            installation.restore(&self.file, &key, self.promote)?
        };
        if !self.verify {
            tell_unconfigured(&installation, &key);
        }
        if self.json {
            return out.json(&restored);
        }
        backup::show(&restored.vault.contents, out)?;
        let opened = restored.vault.opened;
        let Some(path) = restored.path else {
            return out.line(format!("the backup is intact: all {opened} records open"));
        };
        out.line(format!("restored to {}; all {opened} records open", path.display()))?;
        if !self.promote {
            note(format!(
                "{} credentials have refresh tokens that may have been used since the backup. To put this vault into service, run `strongroom vault promote`; until then it sends no refreshes or revocations on its own",
                restored.vault.may_be_stale
            ));
        }
        Ok(())
    }
}

/// Names the providers of restored credentials that this configuration lacks, because a backup has no
/// configuration.
fn tell_unconfigured(installation: &Installation, key: &MasterKey) {
    // If the vault cannot be opened (an epoch file knows a newer one), `doctor` names them later.
    let Ok(admin) = installation.open(key, OpenMode::Command) else { return };
    let Ok(report) = admin.status(installation) else { return };
    for (provider, one) in report.unconfigured {
        note(format!("warning: {provider}: {} credential(s), {}; {}", one.credentials, one.reason, one.fix));
    }
}

/// Puts a restored vault into service.
pub(in crate::cli) fn promote(context: &Context, out: &mut Output) -> Result<(), Failure> {
    out.line(if block_on(context.admin()?.promote())?? {
        "this vault is in service: background refresh, revocation queue and scheduled backups are on again"
    } else {
        "this vault is already in service; nothing was changed"
    })
}
