//! What is done while nobody asks: expired states are erased, revocations that failed are tried again, and the audit log
//! is kept for as long as the configuration says.

use std::time::Duration;

use crate::broker::parts::Broker;
use crate::vault::{AuditContext, VaultError};

/// How often the house is tidied. States end by their own time whether or not they were erased, so this only bounds how
/// long a sealed one lies about.
const EVERY: Duration = Duration::from_secs(30);

const DAY: Duration = Duration::from_secs(86_400);

/// Batches of audit rows that are removed in one round, so that the rest of the house does not wait.
const BATCHES: u32 = 20;

impl Broker {
    /// Tidies up until it is dropped: a server spawns it and aborts it at the end. Failures are logged and tried again.
    pub async fn keep_house(self) {
        let broker = self.clone();
        // Not before the start, which does not wait for it, and not by the first who asks.
        tokio::task::spawn_blocking(move || broker.providers().len());
        let mut ticks = tokio::time::interval(EVERY);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            self.tidy_up().await;
        }
    }

    /// One round of it.
    pub async fn tidy_up(&self) {
        // A vault that waits to live asks nobody anything by itself.
        if self.waits_to_live().is_ok_and(|restored| restored.is_none()) {
            self.discover_ahead().await;
        }
        match self.vault().purge_pending(self.0.clock.now()).await {
            Ok(0) => {}
            Ok(erased) => tracing::debug!(erased, "expired states are erased"),
            Err(error) => tracing::warn!(%error, "expired states could not be erased; the next round tries again"),
        }
        match self.retry_revocations().await {
            Ok(0) => {}
            Ok(confirmed) => tracing::info!(confirmed, "revocations that had failed are confirmed now"),
            Err(error) => tracing::warn!(%error, "the revocation queue could not be read; the next round tries again"),
        }
        match self.prune_audit().await {
            Ok(0) => {}
            Ok(removed) => tracing::info!(removed, "audit rows that were kept long enough are removed"),
            Err(error) => tracing::warn!(%error, "the audit log could not be shortened; the next round tries again"),
        }
    }

    /// Removes what is older than the retention. It begins when the oldest row is a day older than that, so that a busy log
    /// is shortened once a day and not row by row, each with a row that says so.
    async fn prune_audit(&self) -> Result<u64, VaultError> {
        let Some(retention) = self.config().audit.retention else { return Ok(0) };
        let (vault, now) = (self.vault(), self.0.clock.now());
        let due = vault.oldest_audit()?.is_some_and(|oldest| oldest.plus(retention + DAY) < now);
        let mut removed = 0;
        for _ in 0..if due { BATCHES } else { 0 } {
            match vault.prune_audit(now.minus(retention), &AuditContext::system()).await? {
                0 => break,
                rows => removed += rows,
            }
        }
        Ok(removed)
    }
}
