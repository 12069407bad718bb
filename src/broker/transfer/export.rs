//! Export: writes credentials into a sealed file. The audit row of each credential is on disk
//! before it is written.

use std::io::Write;

use serde::Serialize;

use crate::broker::parts::Broker;
use crate::id::{CredentialId, ProviderName, UserId};
use crate::vault::{AuditContext, CredentialSecret, ExportWriter, TransferredCredential, VaultError};

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
    File(#[from] std::io::Error),
}

/// An exported credential, without its secret.
#[derive(Clone, Debug, Serialize)]
pub struct ExportedCredential {
    /// Id.
    pub id: CredentialId,
    /// Owner.
    pub user: UserId,
    /// Provider.
    pub provider: ProviderName,
    /// Kind.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// Title.
    pub title: String,
}

impl Broker {
    /// Adds the credentials of these users, of one provider or of all, to an export.
    pub async fn export<W: Write>(
        &self,
        writer: &mut ExportWriter<W>,
        users: &[UserId],
        provider: Option<&ProviderName>,
        who: &AuditContext,
    ) -> Result<Vec<ExportedCredential>, ExportError> {
        let mut left = Vec::new();
        for user in users {
            let mut after = None;
            loop {
                let page = self.0.vault.transfer().export(user, provider, after, AT_A_TIME, who).await?;
                let Some(last) = page.last() else { break };
                after = Some(last.summary.id);
                for mut credential in page {
                    self.add_registration(&mut credential)?;
                    writer.add(&credential)?;
                    left.push(ExportedCredential::of(&credential));
                }
            }
        }
        Ok(left)
    }

    /// Adds the OAuth client that was registered for this credential: no other client can refresh
    /// it.
    fn add_registration(&self, credential: &mut TransferredCredential) -> Result<(), VaultError> {
        let CredentialSecret::OAuth2(tokens) = &credential.material else { return Ok(()) };
        if let Some(at) = Self::registered_at(&tokens.metadata) {
            credential.registration = self.0.vault.registrations().get(&at)?.map(|client| (at, client));
        }
        Ok(())
    }
}

impl ExportedCredential {
    fn of(credential: &TransferredCredential) -> Self {
        let summary = &credential.summary;
        Self {
            id: summary.id,
            user: summary.user.clone(),
            provider: summary.provider.clone(),
            kind: summary.kind.name(),
            title: summary.title.clone(),
        }
    }
}
