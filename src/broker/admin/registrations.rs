//! Clients that Strongroom registered itself (RFC 7591).

use std::collections::BTreeSet;

use crate::broker::parts::Broker;
use crate::broker::vault_admin::VaultAdmin;
use crate::clock::UnixTime;
use crate::vault::{AuditContext, VaultError};

impl Broker {
    /// Deletes the clients that were registered by `before` and that no credential and no pending login
    /// needs; with `among` only these. Returns their number.
    pub async fn drop_unused_clients(
        &self,
        before: UnixTime,
        among: Option<&BTreeSet<String>>,
    ) -> Result<usize, VaultError> {
        let registers = |name: &str| self.0.catalog.get(name).is_none_or(|known| known.entry.mcp.is_some());
        self.0.vault.registrations().remove_unused(before, among, registers, &AuditContext::system()).await
    }
}

impl VaultAdmin {
    /// Ends the use of all registered clients for new logins, and returns their number. Credentials
    /// keep the client that they were connected through.
    pub async fn forget_clients(&self) -> Result<usize, VaultError> {
        self.vault.registrations().remove_all(&self.who).await
    }
}
