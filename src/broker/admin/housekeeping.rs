//! Housekeeping of a running server: erases expired states, retries failed revocations, gives free
//! room of the vault back, prunes the audit log, and warns of a full disk.

use std::time::Duration;

use tokio::runtime::Handle;

use super::free_disk::FreeDiskWatch;
use crate::broker::parts::Broker;
use crate::broker::providers::ProviderFilter;
use crate::clock::UnixTime;
use crate::vault::{AuditContext, VaultError};

/// Time between two rounds. An expired state is rejected even if it was not erased yet, so this
/// only bounds how long its sealed row stays in the file.
const EVERY: Duration = Duration::from_secs(30);

/// Rounds of a day: searching for unused clients reads every credential's metadata.
const ROUNDS_A_DAY: u64 = DAY.as_secs() / EVERY.as_secs();

const DAY: Duration = Duration::from_secs(86_400);

impl Broker {
    /// Runs until the task is aborted. Failures are logged and retried in the next round.
    pub async fn run_housekeeping(self) {
        let broker = self.clone();
        // Prepares the provider list in the background: neither the start nor the first request
        // waits for it.
        tokio::task::spawn_blocking(move || broker.providers(&ProviderFilter::default()).json.len());
        let mut free_disk = FreeDiskWatch::default();
        for round in 0_u64.. {
            self.housekeeping_round().await;
            free_disk.check(&self.config().vault.path);
            if round % ROUNDS_A_DAY == 0 {
                // It reads every credential's metadata, which must not occupy a thread of the server.
                let (broker, runtime) = (self.clone(), Handle::current());
                let search = move || runtime.block_on(broker.drop_old_unused_clients());
                tokio::task::spawn_blocking(search).await.ok();
            }
            tokio::time::sleep(EVERY).await;
        }
    }

    /// Deletes the clients that were registered more than a day ago and that nothing needs.
    pub async fn drop_old_unused_clients(&self) {
        let yesterday = UnixTime(self.0.clock.now().0.saturating_sub(86_400));
        match self.drop_unused_clients(yesterday, None).await {
            Ok(0) => {}
            Ok(dropped) => tracing::info!(dropped, "dropped registered clients that nothing needs"),
            Err(error) => tracing::warn!(%error, "cannot drop unused registered clients; tomorrow's pass retries"),
        }
    }

    /// Runs one round.
    pub async fn housekeeping_round(&self) {
        // A restored vault that was not promoted sends no request unless a caller asks for it.
        if self.unpromoted_restore().is_ok_and(|restored| restored.is_none()) {
            self.discover_ahead().await;
        }
        match self.0.vault.logins().purge_expired(self.0.clock.now()).await {
            Ok(0) => {}
            Ok(erased) => tracing::debug!(erased, "erased expired states"),
            Err(error) => tracing::warn!(%error, "cannot erase expired states; the next round retries"),
        }
        match self.0.vault.approvals().purge_ended(self.0.clock.now()).await {
            Ok(0) => {}
            Ok(erased) => tracing::debug!(erased, "erased ended approvals"),
            Err(error) => tracing::warn!(%error, "cannot erase ended approvals; the next round retries"),
        }
        match self.retry_revocations().await {
            Ok(0) => {}
            Ok(confirmed) => tracing::info!(confirmed, "retried revocations are confirmed"),
            Err(error) => tracing::warn!(%error, "cannot read the revocation queue; the next round retries"),
        }
        if let Err(error) = self.0.vault.shrink().await {
            tracing::warn!(%error, "cannot give free room of the vault back; the next round retries");
        }
        match self.prune_audit().await {
            Ok(0) => {}
            Ok(removed) => tracing::info!(removed, "removed audit rows older than audit.retention"),
            Err(error) => tracing::warn!(%error, "cannot prune the audit log; the next round retries"),
        }
    }

    /// Removes rows older than the retention. It starts only if the oldest row exceeds the
    /// retention by a day. A busy log is then pruned once a day instead of row by row, because each
    /// pruning adds a row.
    async fn prune_audit(&self) -> Result<u64, VaultError> {
        let Some(retention) = self.config().audit.retention else { return Ok(0) };
        let oldest = self.0.vault.audit().oldest()?;
        if oldest.is_none_or(|oldest| oldest.plus(retention + DAY) >= self.0.clock.now()) {
            return Ok(0);
        }
        Ok(self.admin(AuditContext::system()).prune_audit(retention).await?.0)
    }
}
