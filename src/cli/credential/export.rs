//! `strongroom credential export`: writes credentials into a file sealed by a passphrase.

use std::fs::{File, Permissions};
use std::io::{self, BufWriter};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;

use crate::broker::{Broker, ExportError, ExportedCredential};
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::output::Output;
use crate::cli::runtime::block_on;
use crate::cli::secret_input;
use crate::id::{ProviderName, UserId};
use crate::secret::Secret;
use crate::vault::AuditContext;

/// Minimum length in characters: an attacker who has the file can try passphrases offline.
const SHORTEST_PASSPHRASE: usize = 12;

/// Export credentials into a file sealed by a passphrase, for import into another vault
#[derive(Debug, Args)]
pub(in crate::cli) struct CredentialExportArgs {
    /// File to create; an existing file is never overwritten
    file: PathBuf,
    /// Only this user's credentials
    #[arg(long)]
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

#[derive(Serialize)]
struct Exported<'e> {
    file: &'e Path,
    credentials: Vec<ExportedCredential>,
}

impl CredentialExportArgs {
    pub(in crate::cli) fn run(self, context: &Context, out: &mut Output) -> Result<(), Failure> {
        if self.file.symlink_metadata().is_ok() {
            return Err(self.there_already());
        }
        let broker = context.broker()?;
        let users = self.users(&broker)?;
        let passphrase = self.passphrase()?;
        let credentials = block_on(self.write(&broker, &users, &passphrase))??;
        if self.json {
            return out.json(&Exported { file: &self.file, credentials });
        }
        out.line(format!("exported {} credentials to {}", credentials.len(), self.file.display()))?;
        out.line("The credentials also remain here. Let only one vault refresh them. Removing one here revokes it at the provider.")
    }

    fn users(&self, broker: &Broker) -> Result<Vec<UserId>, Failure> {
        match &self.user {
            Some(user) if broker.has_user(user)? => Ok(vec![user.clone()]),
            Some(user) => {
                Err(Failure::new(format!("there is no user {user}")).advise("`strongroom user list` lists all users"))
            }
            None => Ok(broker.users()?.into_iter().map(|user| user.id).collect()),
        }
    }

    fn passphrase(&self) -> Result<Secret, Failure> {
        let passphrase = match self.passphrase_file.as_deref() {
            Some(path) => secret_input::from_file(path)?,
            None => secret_input::ask_twice("Passphrase for the export")?,
        };
        if passphrase.expose().chars().count() < SHORTEST_PASSPHRASE {
            return Err(Failure::new(format!("the passphrase is shorter than {SHORTEST_PASSPHRASE} characters"))
                .advise("nothing was exported; choose a longer passphrase, because the file can be attacked offline"));
        }
        Ok(passphrase)
    }

    /// Writes a temporary file and renames it, so that the name never shows half an export. The
    /// file is on disk when this returns.
    async fn write(
        &self,
        broker: &Broker,
        users: &[UserId],
        passphrase: &Secret,
    ) -> Result<Vec<ExportedCredential>, Failure> {
        let folder = self.file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let unwritable = |error: io::Error| Failure::new(format!("cannot create {}: {error}", self.file.display()));
        let private = Permissions::from_mode(0o600);
        let temporary = tempfile::Builder::new().prefix(".strongroom-export-").permissions(private).tempfile_in(folder);
        let temporary = temporary.map_err(unwritable)?;
        let mut writer =
            broker.vault().transfer().begin_export(BufWriter::new(temporary), passphrase)?.map_err(unwritable)?;
        let left = broker.export(&mut writer, users, self.provider.as_ref(), &AuditContext::command_line()).await?;
        if left.is_empty() {
            return Err(Failure::new("there are no credentials to export")
                .advise("`strongroom credential list` lists all credentials"));
        }
        let temporary = writer.finish().and_then(|out| Ok(out.into_inner()?)).map_err(unwritable)?;
        temporary.as_file().sync_all().map_err(unwritable)?;
        temporary.persist_noclobber(&self.file).map_err(|error| match error.error.kind() {
            io::ErrorKind::AlreadyExists => self.there_already(),
            _ => unwritable(error.error),
        })?;
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(unwritable)?;
        Ok(left)
    }

    fn there_already(&self) -> Failure {
        Failure::new(format!("{} already exists", self.file.display()))
            .advise("name another file; existing files are not overwritten")
    }
}

impl std::convert::From<ExportError> for Failure {
    fn from(error: ExportError) -> Self {
        match error {
            ExportError::Vault(error) => error.into(),
            ExportError::File(_) => {
                Self::new(error.to_string()).advise("no file was written; free disk space, then try again")
            }
        }
    }
}
