//! Clients that Strongroom registered itself (RFC 7591).

use crate::broker::vault_admin::VaultAdmin;
use crate::vault::VaultError;

impl VaultAdmin {
    /// Ends the use of all registered clients for new logins, and returns their number. Credentials
    /// keep the client that they were connected through.
    pub async fn forget_clients(&self) -> Result<usize, VaultError> {
        self.vault.registrations().remove_all(&self.who).await
    }
}
