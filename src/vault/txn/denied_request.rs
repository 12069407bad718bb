//! A request that an authenticated caller was denied.

use std::fmt;

use crate::id::{CredentialId, ProviderName, UserId};

/// The denied request: ids, and fixed words.
#[derive(Clone, Debug)]
pub struct DeniedRequest {
    /// The user named in the request.
    pub user: Option<UserId>,
    /// The provider.
    pub provider: Option<ProviderName>,
    /// The credential.
    pub credential: Option<CredentialId>,
    /// The reason, in one word: `permission-missing`.
    pub reason: &'static str,
    /// Method and pattern of the route, not its path.
    pub route: (String, &'static str),
    /// Number of earlier denials of this caller without a row of their own.
    pub not_recorded: u64,
}

impl fmt::Display for DeniedRequest {
    /// Writes the subject of the audit row.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "refused:{} {} {}", self.reason, self.route.0, self.route.1)?;
        if self.not_recorded > 0 {
            write!(f, " ({} before it not recorded)", self.not_recorded)?;
        }
        Ok(())
    }
}
