//! `strongroom credential export`: credentials into a file that a passphrase opens, to be imported into another vault.

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

/// Whoever has the file can try passphrases for as long as they like.
const SHORTEST_PASSPHRASE: usize = 12;

/// Export credentials into a file sealed by a passphrase, to be imported into another vault
#[derive(Debug, Args)]
pub(in crate::cli) struct Export {
    /// The file to make; never over one that is there
    file: PathBuf,
    /// Of this user alone
    #[arg(long)]
    user: Option<UserId>,
    /// Of this provider alone
    #[arg(long)]
    provider: Option<ProviderName>,
    /// Read the passphrase from this file, or from the standard input for `-` [default: it is asked for, twice]
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
    /// As JSON
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Exported<'e> {
    file: &'e Path,
    credentials: Vec<ExportedCredential>,
}

impl Export {
    /// Runs the command.
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
        out.line("they are here too: let one vault alone refresh them, and remove none here, which would revoke it at its provider")
    }

    fn users(&self, broker: &Broker) -> Result<Vec<UserId>, Failure> {
        let vault = broker.vault();
        match &self.user {
            Some(user) if vault.has_user(user)? => Ok(vec![user.clone()]),
            Some(user) => {
                Err(Failure::new(format!("there is no user {user}")).advise("`strongroom user list` shows all"))
            }
            None => Ok(vault.users()?.into_iter().map(|user| user.id).collect()),
        }
    }

    fn passphrase(&self) -> Result<Secret, Failure> {
        let passphrase = match self.passphrase_file.as_deref() {
            Some(path) => secret_input::from_file(path)?,
            None => secret_input::ask_twice("Passphrase for the export")?,
        };
        if passphrase.expose().chars().count() < SHORTEST_PASSPHRASE {
            return Err(Failure::new(format!("the passphrase has fewer than {SHORTEST_PASSPHRASE} characters"))
                .advise("whoever has the file can try passphrases for ever: take a longer one; nothing was exported"));
        }
        Ok(passphrase)
    }

    /// Beside its place first, so that under its name there is never half a file; on disk before this returns.
    async fn write(
        &self,
        broker: &Broker,
        users: &[UserId],
        passphrase: &Secret,
    ) -> Result<Vec<ExportedCredential>, Failure> {
        let folder = self.file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let unwritable = |error: io::Error| Failure::new(format!("{} cannot be made: {error}", self.file.display()));
        let private = Permissions::from_mode(0o600);
        let temporary = tempfile::Builder::new().prefix(".strongroom-export-").permissions(private).tempfile_in(folder);
        let temporary = temporary.map_err(unwritable)?;
        let mut writer = broker.vault().begin_export(BufWriter::new(temporary), passphrase)?.map_err(unwritable)?;
        let left = broker.export(&mut writer, users, self.provider.as_ref(), &AuditContext::command_line()).await?;
        if left.is_empty() {
            return Err(
                Failure::new("there is nothing to export").advise("`strongroom credential list` shows what is there")
            );
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
        Failure::new(format!("{} already exists, and an export is never made over a file", self.file.display()))
            .advise("name another file, or move this one away")
    }
}

impl std::convert::From<ExportError> for Failure {
    fn from(error: ExportError) -> Self {
        match error {
            ExportError::Vault(error) => error.into(),
            ExportError::File(_) => Self::new(error.to_string()).advise("no file was made; make room, and try again"),
        }
    }
}
