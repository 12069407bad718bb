//! Export: writes credentials into a sealed file. The audit row of each credential is on disk
//! before it is written.

use std::fs::{File, Permissions};
use std::io::{self, BufWriter, IntoInnerError, Write};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::broker::credentials::create::CreateResponse;
use crate::broker::parts::Broker;
use crate::broker::vault::passphrase::{self, ShortPassphrase};
use crate::id::{ProviderName, UserId};
use crate::secret::Secret;
use crate::vault::{
    AuditContext, ClientRegistration, CredentialMetadata, CredentialSecret, ExportWriter, TransferredCredential,
    VaultError, folder_of,
};

/// Credentials exported in one transaction.
const AT_A_TIME: u32 = 100;

/// Reason why an export failed.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The vault failed.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// The file could not be written.
    #[error("cannot write the export: {0}")]
    File(#[from] io::Error),
    /// The file exists, and is not overwritten.
    #[error("{0} already exists")]
    AlreadyExists(PathBuf),
    /// An attacker who has the file could find the passphrase by trying.
    #[error(transparent)]
    ShortPassphrase(#[from] ShortPassphrase),
    /// There is no such user.
    #[error("there is no user {0}")]
    NoUser(UserId),
    /// No credential matches.
    #[error("there are no credentials to export")]
    Nothing,
    /// No matching credential is exportable.
    #[error("there is no exportable credential: the secrets of {0} credentials are never given out")]
    NotExportable(usize),
}

/// Result of an export.
#[derive(Debug, Default, Serialize)]
pub struct ExportReport {
    /// The exported credentials, without their secrets.
    pub credentials: Vec<ExportedCredential>,
    /// Number of credentials that were left out because they are not exportable.
    pub left_out: usize,
}

/// An exported credential, without its secret.
#[derive(Clone, Debug, Serialize)]
pub struct ExportedCredential {
    /// Owner.
    pub user: UserId,
    /// Id, provider, kind and title.
    #[serde(flatten)]
    pub credential: CreateResponse,
}

impl Broker {
    /// Writes the credentials of one user or of all, of one provider or of all, into a new file
    /// sealed by the passphrase. The file appears under its name when it is complete and on disk.
    pub async fn export(
        &self,
        file: &Path,
        passphrase: &Secret,
        user: Option<UserId>,
        provider: Option<&ProviderName>,
        who: &AuditContext,
    ) -> Result<ExportReport, ExportError> {
        if file.symlink_metadata().is_ok() {
            return Err(ExportError::AlreadyExists(file.to_owned()));
        }
        passphrase::check_new(passphrase)?;
        let users = match user {
            Some(user) if !self.0.vault.users().exists(&user)? => return Err(ExportError::NoUser(user)),
            user => self.admin(who.clone()).one_or_all_users(user)?,
        };
        let folder = folder_of(file);
        let private = Permissions::from_mode(0o600);
        let temporary = tempfile::Builder::new().prefix(".strongroom-export-").permissions(private).tempfile_in(folder);
        let mut writer = self.0.vault.transfer().begin_export(BufWriter::new(temporary?), passphrase)??;
        let mut report = ExportReport::default();
        for user in users {
            self.export_user((&mut writer, &mut report), &user, provider, who).await?;
        }
        match report.left_out {
            0 if report.credentials.is_empty() => return Err(ExportError::Nothing),
            left_out if report.credentials.is_empty() => return Err(ExportError::NotExportable(left_out)),
            _ => {}
        }
        let temporary = writer.finish()?.into_inner().map_err(IntoInnerError::into_error)?;
        temporary.as_file().sync_all()?;
        temporary.persist_noclobber(file).map_err(|error| match error.error.kind() {
            io::ErrorKind::AlreadyExists => ExportError::AlreadyExists(file.to_owned()),
            _ => error.error.into(),
        })?;
        File::open(folder)?.sync_all()?;
        Ok(report)
    }

    async fn export_user<W: Write>(
        &self,
        (writer, report): (&mut ExportWriter<W>, &mut ExportReport),
        user: &UserId,
        provider: Option<&ProviderName>,
        who: &AuditContext,
    ) -> Result<(), ExportError> {
        let mut after = None;
        loop {
            let broker = self.clone();
            let may_leave = move |summary: &CredentialMetadata| broker.is_exportable(summary);
            let limits = (after, AT_A_TIME);
            let page = self.0.vault.transfer().export(user, provider, limits, who, may_leave).await?;
            if page.last.is_none() {
                return Ok(());
            }
            after = page.last;
            report.left_out += page.left_out;
            for mut credential in page.credentials {
                self.add_registration(&mut credential)?;
                writer.add(&credential)?;
                let (user, credential) = (user.clone(), CreateResponse::of(&credential.summary));
                report.credentials.push(ExportedCredential { user, credential });
            }
        }
    }

    /// Adds the OAuth client that was registered for this credential: no other client can refresh
    /// it.
    fn add_registration(&self, credential: &mut TransferredCredential) -> Result<(), VaultError> {
        let CredentialSecret::OAuth2(tokens) = &credential.material else { return Ok(()) };
        if let Some(at) = Self::registered_at(tokens) {
            // This vault manages the client that it registered: another one must not delete it.
            let client = self.0.vault.registrations().get(&at)?;
            credential.registration = client.map(|client| (at, ClientRegistration { management: None, ..client }));
        }
        Ok(())
    }
}
