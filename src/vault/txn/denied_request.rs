//! Refusals: what an authenticated caller asked for and did not get.

use std::fmt;

use super::audit_context::AuditContext;
use super::audit_row::{Action, Subject};
use crate::id::{CredentialId, ProviderName, UserId};
use crate::vault::error::VaultError;
use crate::vault::open::Vault;

/// What was refused. Ids, and words of Strongroom's own.
#[derive(Clone, Debug)]
pub struct DeniedRequest {
    /// For whom it was asked.
    pub user: Option<UserId>,
    /// Of which provider.
    pub provider: Option<ProviderName>,
    /// Which credential.
    pub credential: Option<CredentialId>,
    /// Why, in one word: `permission-missing`.
    pub reason: &'static str,
    /// The route: its method, and its pattern, which is not the path.
    pub route: (String, &'static str),
    /// Earlier refusals of this caller that have no row of their own.
    pub not_recorded: u64,
}

impl fmt::Display for DeniedRequest {
    /// As it stands in the row's subject.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "refused:{} {} {}", self.reason, self.route.0, self.route.1)?;
        if self.not_recorded > 0 {
            write!(f, " ({} before it not recorded)", self.not_recorded)?;
        }
        Ok(())
    }
}

impl Vault {
    /// Leaves a row of what a caller was refused.
    pub async fn record_refusal(&self, refusal: DeniedRequest, who: &AuditContext) -> Result<(), VaultError> {
        self.change(who, move |ledger| {
            let subject = Subject {
                user: refusal.user.as_ref(),
                provider: refusal.provider.as_ref(),
                credential: refusal.credential.as_ref(),
                refusal: Some(&refusal),
                ..Subject::default()
            };
            ledger.record(Action::RequestRefuse, subject)
        })
        .await
    }
}
