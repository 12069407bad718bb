//! Refresh ahead of expiry, for tokens that no caller is asking for at the moment.
//!
//! The vault stores what is due, so a restart loses nothing. A provider that fails several times in
//! a row is skipped until the next pass. An outage then costs a few requests and no credential.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use futures_util::{StreamExt as _, stream};

use super::outcome::{Declined, Demand, RefreshOutcome};
use super::schedule;
use crate::broker::error::Error;
use crate::broker::parts::Broker;
use crate::clock::UnixTime;
use crate::id::{CredentialId, ProviderName, UserId};
use crate::kind::Kind;
use crate::vault::{AuditContext, CredentialStatus, VaultError};

/// Time between two passes.
const EVERY: Duration = Duration::from_secs(15);

/// Maximum credentials of one provider in one pass.
const PER_PASS: u32 = 1_000;

/// Providers contacted concurrently.
const PROVIDERS: usize = 8;

/// Concurrent refreshes at one provider.
const PER_PROVIDER: usize = 4;

/// Consecutive failures after which a provider is skipped until the next pass.
const ENOUGH_FAILURES: u32 = 5;

impl Broker {
    /// Runs until the task is aborted, if `oauth.background_refresh` is on. A refresh under way is
    /// a task of its own and continues.
    pub async fn run_background_refresh(self) {
        if !self.0.config.oauth.background_refresh {
            return;
        }
        loop {
            match self.refresh_due().await {
                Ok(0) => {}
                Ok(refreshed) => tracing::info!(refreshed, "refreshed tokens ahead of expiry"),
                Err(error) => tracing::warn!(%error, "cannot read the due refreshes; the next pass retries"),
            }
            tokio::time::sleep(EVERY).await;
        }
    }

    /// Refreshes what is due now; returns the number of refreshed tokens. A restored vault that was
    /// not promoted refreshes nothing: the original may still use the same tokens, and the provider
    /// would revoke their grants.
    pub async fn refresh_due(&self) -> Result<usize, Error> {
        if self.unpromoted_restore()?.is_some() {
            return Ok(0);
        }
        let due = self.0.vault.refreshes().due(self.0.clock.now(), PER_PASS)?;
        let mut by_provider: BTreeMap<ProviderName, Vec<(UserId, CredentialId)>> = BTreeMap::new();
        for (user, id, provider) in due {
            by_provider.entry(provider).or_default().push((user, id));
        }
        let passes = stream::iter(by_provider).map(|(provider, due)| self.refresh_due_at(provider, due));
        Ok(passes.buffer_unordered(PROVIDERS).fold(0, |sum, refreshed| async move { sum + refreshed }).await)
    }

    async fn refresh_due_at(&self, provider: ProviderName, due: Vec<(UserId, CredentialId)>) -> usize {
        let (mut refreshed, many) = (0, due.len());
        // Refreshes under way are awaited; the others do not start.
        let in_a_row = AtomicU32::new(0);
        let fails = || in_a_row.load(Ordering::Relaxed) >= ENOUGH_FAILURES;
        let try_one = async |(user, id): (UserId, CredentialId)| {
            if fails() { Ok(None) } else { self.refresh_one(&user, &id).await }
        };
        let mut tries = std::pin::pin!(stream::iter(due).map(try_one).buffer_unordered(PER_PROVIDER));
        while let Some(outcome) = tries.next().await {
            match outcome {
                Ok(Some(RefreshOutcome::Refreshed)) => {
                    refreshed += 1;
                    in_a_row.store(0, Ordering::Relaxed);
                }
                Ok(Some(RefreshOutcome::Failed { .. })) => drop(in_a_row.fetch_add(1, Ordering::Relaxed)),
                Ok(_) => {}
                Err(error) => {
                    in_a_row.fetch_add(1, Ordering::Relaxed);
                    tracing::warn!(%provider, %error, "cannot refresh a credential ahead of expiry");
                }
            }
        }
        if fails() {
            tracing::warn!(%provider, due = many, "the provider keeps failing; its other refreshes wait for the next pass");
        }
        refreshed
    }

    /// Refreshes one credential, and schedules its next check.
    async fn refresh_one(&self, user: &UserId, id: &CredentialId) -> Result<Option<RefreshOutcome>, Error> {
        let Some(summary) = self.0.vault.credentials().get(user, id)? else { return Ok(None) };
        if summary.kind != Kind::OAuth2 || summary.status == CredentialStatus::NeedsReauth {
            self.look_again(user, id, None).await?;
            return Ok(None);
        }
        let outcome = match self.refresh_for(&summary, Demand::Ahead, &AuditContext::system()).await {
            // There is no client here now; a later configuration may have one.
            Err(Error::NotConfigured(_)) => RefreshOutcome::Declined(Declined::OtherClient),
            other => other?,
        };
        if let RefreshOutcome::Declined(reason) = &outcome {
            let now = self.0.clock.now();
            let again = match reason {
                Declined::Fresh => schedule::look_again_at(&summary).map(|at| at.max(now.plus(EVERY))),
                Declined::BackingOff { until, .. } => Some(*until),
                Declined::OtherClient | Declined::NotConfigured => Some(now.plus(LATER)),
                Declined::NoRefreshToken | Declined::NeedsReauth => None,
            };
            self.look_again(user, id, again).await?;
        }
        Ok(Some(outcome))
    }

    async fn look_again(&self, user: &UserId, id: &CredentialId, at: Option<UnixTime>) -> Result<(), VaultError> {
        self.0.vault.refreshes().schedule(user, id, at).await
    }
}

/// Wait until the configuration is checked for the credential's client again.
const LATER: Duration = Duration::from_secs(3_600);
