//! Refresh ahead of expiry, for tokens that no caller is asking for at the moment.
//!
//! The vault stores what is due, so a restart loses nothing. A provider, or a server that a user chose,
//! is skipped until the next pass if it fails several times in a row. An outage then costs a few
//! requests and no credential.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures_util::{StreamExt as _, stream};

use super::outcome::{Declined, Demand, RefreshOutcome};
use super::schedule;
use crate::broker::error::Error;
use crate::broker::parts::Broker;
use crate::clock::UnixTime;
use crate::id::{CredentialId, ProviderName, UserId};
use crate::kind::Kind;
use crate::vault::{AuditContext, CredentialMetadata, CredentialStatus, VaultError};

/// Time between two passes.
const EVERY: Duration = Duration::from_secs(15);

/// Maximum credentials of one provider in one pass.
const PER_PASS: u32 = 1_000;

/// Providers contacted concurrently.
const PROVIDERS: usize = 8;

/// Concurrent refreshes at one provider, or at the servers that one user chose.
const PER_PROVIDER: usize = 4;

/// Consecutive failures after which a place is skipped until the next pass.
const ENOUGH_FAILURES: u32 = 5;

/// Refreshes that run side by side with those of other lanes: at one provider, or at the servers that
/// one user chose for it.
type Lane = (ProviderName, Option<UserId>);

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
        let mut lanes: BTreeMap<Lane, Vec<(UserId, CredentialId)>> = BTreeMap::new();
        for (user, id, provider) in due {
            // Servers that a user chose must not delay those of others.
            let is_chosen = self.0.catalog.get(provider.as_str()).is_some_and(|known| known.entry.mcp.is_some());
            lanes.entry((provider, is_chosen.then(|| user.clone()))).or_default().push((user, id));
        }
        let failures = Failures::default();
        let passes = stream::iter(lanes).map(|((provider, _), due)| self.refresh_lane(provider, due, &failures));
        Ok(passes.buffer_unordered(PROVIDERS).fold(0, |sum, refreshed| async move { sum + refreshed }).await)
    }

    async fn refresh_lane(
        &self,
        provider: ProviderName,
        due: Vec<(UserId, CredentialId)>,
        failures: &Failures,
    ) -> usize {
        let mut refreshed = 0;
        let try_one = async |(user, id): (UserId, CredentialId)| match self.0.vault.credentials().get(&user, &id) {
            Ok(Some(summary)) => {
                let places = places(&summary);
                // Refreshes under way are awaited; the others do not start.
                if failures.are_enough(&places) {
                    return (places, Ok(None));
                }
                (places, self.refresh_one(&summary).await)
            }
            Ok(None) => (Vec::new(), Ok(None)),
            Err(error) => (vec![provider.to_string()], Err(error.into())),
        };
        let mut tries = std::pin::pin!(stream::iter(due).map(try_one).buffer_unordered(PER_PROVIDER));
        while let Some((places, outcome)) = tries.next().await {
            match outcome {
                Ok(Some(RefreshOutcome::Refreshed)) => {
                    refreshed += 1;
                    failures.forget(&places);
                }
                Ok(Some(RefreshOutcome::Failed { .. })) => failures.count(&places),
                Ok(_) => {}
                Err(error) => {
                    failures.count(&places);
                    tracing::warn!(%provider, %error, "cannot refresh a credential ahead of expiry");
                }
            }
        }
        refreshed
    }

    /// Refreshes one credential, and schedules its next check.
    async fn refresh_one(&self, summary: &CredentialMetadata) -> Result<Option<RefreshOutcome>, Error> {
        let (user, id) = (&summary.user, &summary.id);
        if summary.kind != Kind::OAuth2 || summary.status == CredentialStatus::NeedsReauth {
            self.look_again(user, id, None).await?;
            return Ok(None);
        }
        let outcome = match self.refresh_for(summary, Demand::Ahead, &AuditContext::system()).await {
            // There is no client here now; a later configuration may have one.
            Err(Error::NotConfigured(_)) => RefreshOutcome::Declined(Declined::OtherClient),
            other => other?,
        };
        if let RefreshOutcome::Declined(reason) = &outcome {
            let now = self.0.clock.now();
            let again = match reason {
                Declined::Fresh => schedule::look_again_at(summary).map(|at| at.max(now.plus(EVERY))),
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

/// Consecutive failures of one pass, by place: a provider, a server that a user chose, or all such
/// servers of one user.
#[derive(Default)]
struct Failures(Mutex<HashMap<String, u32>>);

impl Failures {
    fn are_enough(&self, places: &[String]) -> bool {
        let counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        places.iter().any(|place| counts.get(place).is_some_and(|count| *count >= ENOUGH_FAILURES))
    }

    fn count(&self, places: &[String]) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for place in places {
            let count = counts.entry(place.clone()).or_default();
            *count += 1;
            if *count == ENOUGH_FAILURES {
                tracing::warn!(%place, "refreshes keep failing here; the others wait for the next pass");
            }
        }
    }

    fn forget(&self, places: &[String]) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for place in places {
            counts.remove(place);
        }
    }
}

/// Returns the places at which a failure of this credential's refresh counts.
fn places(summary: &CredentialMetadata) -> Vec<String> {
    match &summary.server {
        Some(server) => vec![server.clone(), format!("servers of user {}", summary.user)],
        None => vec![summary.provider.to_string()],
    }
}

/// Wait until the configuration is checked for the credential's client again.
const LATER: Duration = Duration::from_secs(3_600);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failing_servers_of_one_user_stop_no_other_user() {
        let at = |user: &str, server: &str| vec![server.to_owned(), format!("servers of user {user}")];
        let failures = Failures::default();
        for number in 0..ENOUGH_FAILURES {
            assert!(!failures.are_enough(&at("mallory", "https://new.example")));
            failures.count(&at("mallory", &format!("https://{number}.example")));
        }
        assert!(failures.are_enough(&at("mallory", "https://new.example")));
        assert!(!failures.are_enough(&at("alice", "https://a.example")));
        assert!(!failures.are_enough(&at("alice", "https://1.example")), "one failure is not enough");
        for number in 0..ENOUGH_FAILURES {
            failures.count(&at(&format!("user {number}"), "https://down.example"));
        }
        assert!(failures.are_enough(&at("alice", "https://down.example")));
        failures.forget(&at("alice", "https://down.example"));
        assert!(!failures.are_enough(&at("alice", "https://down.example")));
    }
}
