//! `strongroom vault backup`: writes the whole vault into one sealed file.

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};

use clap::Args;

use crate::broker::{BackupContents, Existing, VaultAdmin, VaultError};
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::output::{Output, note};
use crate::cli::runtime::block_on;
use crate::visible::plain;

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
        let admin = context.admin()?;
        if is_stream {
            warn(block_on(admin.back_up_to(out.writer()))??);
            tell_what_is_missing(&admin);
            return Ok(());
        }
        let target = admin.backup_file(self.file.as_deref()).ok_or_else(|| {
            Failure::configuration("no target was given for the backup")
                .advise("name a file or a folder, or set backup.directory in the configuration")
        })?;
        let existing = if self.force { Existing::Replace } else { Existing::Keep };
        let (made, recorded) = block_on(admin.back_up(&target, existing))??;
        warn(recorded);
        tell_what_is_missing(&admin);
        if self.json {
            return out.json(&made);
        }
        out.line(format!("wrote {} ({} bytes)", made.path.display(), made.bytes))?;
        show(&made.contents, out)?;
        out.line("`strongroom vault restore FILE --verify` checks it with today's master key")
    }
}

/// Says what a restore needs in addition to the backup.
fn tell_what_is_missing(admin: &VaultAdmin) {
    let files: Vec<_> = admin.config().files().iter().map(|file| file.display().to_string()).collect();
    let files = if files.is_empty() { String::new() } else { format!(": {}", files.join(", ")) };
    note(plain(&format!(
        "not in the backup: the configuration, client secrets and the master key; keep copies of them apart from it{files}"
    )));
}

fn warn(recorded: Result<(), VaultError>) {
    if let Err(error) = recorded {
        note(format!("warning: cannot record the backup in the audit log: {error}"));
    }
}

/// Prints the contents of a backup.
pub(in crate::cli) fn show(contents: &BackupContents, out: &mut Output) -> Result<(), Failure> {
    let BackupContents { vault_id, created_at, epoch, schema_version, users, credentials, api_keys, audit } = contents;
    out.line(format!(
        "vault {vault_id}, backup of {created_at}, change {epoch}, schema {schema_version}: {users} users, {credentials} credentials, {api_keys} API keys, {audit} audit rows"
    ))
}
