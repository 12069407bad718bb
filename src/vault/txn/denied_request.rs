//! Refusals: what an authenticated caller asked for and did not get.

use std::fmt;

use crate::id::{CredentialId, ProviderName, UserId};

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
