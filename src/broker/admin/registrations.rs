//! Clients that Strongroom registered itself (RFC 7591).

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream;

use crate::broker::parts::Broker;
use crate::clock::UnixTime;
use crate::egress;
use crate::oauth;
use crate::vault::{AuditContext, ClientManagement, VaultError};

/// Maximum time for deleting clients at their servers.
const DELETE_TIME: Duration = Duration::from_secs(10);

/// Clients deleted concurrently.
const DELETED_AT_ONCE: usize = 8;

impl Broker {
    /// Deletes the clients that were registered by `before` and that no credential, pending login or
    /// queued revocation needs; with `among` only these. Returns their number.
    pub async fn drop_unused_clients(
        &self,
        before: UnixTime,
        among: Option<&BTreeSet<String>>,
    ) -> Result<usize, VaultError> {
        let registers = |name: &str| self.registers_clients(name);
        let dropped =
            self.0.vault.registrations().remove_unused(before, among, registers, &AuditContext::system()).await?;
        self.delete_at_servers(dropped.deletable).await;
        Ok(dropped.count)
    }

    /// Ends the use of all registered clients for new logins, for the local operator, and returns
    /// their number. Credentials keep the client that they were connected through.
    pub async fn forget_clients(&self) -> Result<usize, VaultError> {
        let registers = |name: &str| self.registers_clients(name);
        let dropped = self.0.vault.registrations().remove_all(registers, &AuditContext::command_line()).await?;
        self.delete_at_servers(dropped.deletable).await;
        Ok(dropped.count)
    }

    /// Returns true if logins at this provider may use a client that Strongroom registered.
    fn registers_clients(&self, provider: &str) -> bool {
        self.0.catalog.get(provider).is_none_or(|known| known.entry.mcp.is_some())
    }

    /// Deletes clients at their servers (RFC 7592 §2.3), for at most [`DELETE_TIME`]. A failure is
    /// only logged: the client has no use any more, and its tokens were revoked.
    async fn delete_at_servers(&self, clients: Vec<ClientManagement>) {
        // The original of a restored vault may still use its clients.
        if clients.is_empty() || !self.unpromoted_restore().is_ok_and(|restored| restored.is_none()) {
            return;
        }
        let all = stream::iter(clients).for_each_concurrent(DELETED_AT_ONCE, async |client| {
            // A server named the URL.
            let egress = self.0.egress.of_provider(client.provider.as_str()).at_chosen_server(true);
            let deleted = oauth::unregister(&egress, &client.uri, &client.access_token);
            match egress::on_behalf_of("registered clients".to_owned(), deleted).await {
                Ok(()) => tracing::debug!(provider = %client.provider, "deleted a registered client at its server"),
                Err(error) => {
                    tracing::warn!(provider = %client.provider, %error, "cannot delete a registered client at its server");
                }
            }
        });
        if tokio::time::timeout(DELETE_TIME, Box::pin(all)).await.is_err() {
            tracing::warn!("not all registered clients were deleted at their servers in time");
        }
    }
}
