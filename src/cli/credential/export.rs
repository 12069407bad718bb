//! `strongroom credential export`: writes credentials into a file sealed by a passphrase.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use crate::broker::{AuditContext, ExportError, ExportReport};
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::names::check_filters;
use crate::cli::output::Output;
use crate::cli::runtime::block_on;
use crate::cli::secret_input;
use crate::id::{ProviderName, UserId};

/// Export credentials into a file sealed by a passphrase, for import into another vault
#[derive(Debug, Args)]
pub(in crate::cli) struct CredentialExportArgs {
    /// File to create; an existing file is never overwritten
    file: PathBuf,
    /// Only this user's credentials
    #[arg(long, allow_hyphen_values = true)]
    user: Option<UserId>,
    /// Only this provider's credentials
    #[arg(long)]
    provider: Option<ProviderName>,
    /// Read the passphrase from this file, or from standard input for `-` [default: ask twice]
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl CredentialExportArgs {
    pub(in crate::cli) fn run(self, context: &Context, out: &mut Output) -> Result<(), Failure> {
        // Checked before a passphrase is asked for.
        if self.file.symlink_metadata().is_ok() {
            return Err(ExportError::AlreadyExists(self.file).into());
        }
        let broker = context.broker()?;
        // A mistyped name would give an empty export.
        let known = self.provider.as_ref().map_or(Ok(()), |name| broker.provider(name.as_str()).map(|_| ()));
        check_filters(&broker.admin(AuditContext::command_line()), known, self.user.as_ref())?;
        let passphrase = match self.passphrase_file.as_deref() {
            Some(path) => secret_input::from_file(path)?,
            None => secret_input::ask_twice("Passphrase for the export", "give it with --passphrase-file FILE")?,
        };
        let who = AuditContext::command_line();
        let report = block_on(broker.export(&self.file, &passphrase, self.user, self.provider.as_ref(), &who))??;
        let ExportReport { credentials, left_out } = report;
        if self.json {
            return out.json(&json!({ "file": self.file, "credentials": credentials, "left_out": left_out }));
        }
        out.line(format!("exported {} credentials to {}", credentials.len(), self.file.display()))?;
        if left_out > 0 {
            out.line(format!("Left out {left_out} credentials that are not exportable."))?;
        }
        out.line("The credentials also remain here. Let only one vault refresh them. Removing one here revokes it at the provider.")
    }
}

impl From<ExportError> for Failure {
    fn from(error: ExportError) -> Self {
        let advice = match error {
            ExportError::Vault(error) => return error.into(),
            ExportError::File(_) => "no file was written; free disk space, then try again",
            ExportError::AlreadyExists(_) => "name another file; existing files are not overwritten",
            ExportError::ShortPassphrase(_) => {
                "nothing was exported; choose a longer passphrase, because the file can be attacked offline"
            }
            ExportError::NoUser(_) => "`strongroom user list` lists all users",
            ExportError::NotExportable(_) => "a backup holds them sealed: `strongroom vault backup FILE`",
            ExportError::Nothing => "`strongroom credential list` lists all credentials",
        };
        Self::new(error.to_string()).advise(advice)
    }
}
