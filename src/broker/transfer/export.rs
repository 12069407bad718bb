//! Export: a user's credentials, or everybody's, into a sealed file. Each that leaves is in the audit log before it does.

use std::io::Write;

use serde::Serialize;

use crate::broker::parts::Broker;
use crate::id::{CredentialId, ProviderName, UserId};
use crate::vault::{AuditContext, CredentialSecret, ExportWriter, TransferredCredential, VaultError};

/// How many credentials leave in one transaction.
const AT_A_TIME: u32 = 100;

/// Why an export was not finished.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The vault could not do its part.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// The file could not be written.
    #[error("the export cannot be written: {0}")]
    File(#[from] std::io::Error),
}

/// One credential that left; never its secret.
#[derive(Clone, Debug, Serialize)]
pub struct ExportedCredential {
    /// Its id.
    pub id: CredentialId,
    /// Whose it is.
    pub user: UserId,
    /// For which provider.
    pub provider: ProviderName,
    /// Its kind.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// What it is called.
    pub title: String,
}

impl Broker {
    /// Adds to an export what these users have, of one provider or of all.
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
                let page = self.0.vault.export_credentials(user, provider, after, AT_A_TIME, who).await?;
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

    /// A client that registered itself goes with the credential: it alone can refresh it.
    fn add_registration(&self, credential: &mut TransferredCredential) -> Result<(), VaultError> {
        let CredentialSecret::OAuth2(tokens) = &credential.material else { return Ok(()) };
        if let Some(at) = Self::registered_at(&tokens.metadata) {
            credential.registration = self.0.vault.registration(&at)?.map(|client| (at, client));
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
