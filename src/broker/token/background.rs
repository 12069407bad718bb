//! Refresh ahead of expiry, for tokens that no caller is asking for at the moment.
//!
//! The vault stores what is due, so a restart loses nothing. A provider, or a server that a user chose,
//! is skipped until the next pass if it fails several times in a row. An outage then costs a few
//! requests and no credential.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
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

/// Time after which a pass starts no further refresh, so that slow servers do not delay the next
/// pass of the others. The rest is still due then.
const MAX_PASS: Duration = Duration::from_secs(30);

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
        let now = self.0.clock.now();
        let due = self.0.vault.refreshes().due(now, PER_PASS)?;
        let mut lanes: BTreeMap<Lane, Vec<(UserId, CredentialId)>> = BTreeMap::new();
        for (user, id, provider) in due {
            // Servers that a user chose must not delay those of others.
            let is_chosen = self.server_is_chosen(&provider);
            lanes.entry((provider, is_chosen.then(|| user.clone()))).or_default().push((user, id));
        }
        let failures = Failures::default();
        let until = now.plus(MAX_PASS);
        let passes = stream::iter(lanes).map(|((provider, _), due)| self.refresh_lane(provider, due, until, &failures));
        Ok(passes.buffer_unordered(PROVIDERS).fold(0, |sum, refreshed| async move { sum + refreshed }).await)
    }

    /// Returns true if users choose the servers of this provider.
    fn server_is_chosen(&self, provider: &ProviderName) -> bool {
        self.0.catalog.get(provider.as_str()).is_some_and(|known| {
            known.entry.mcp.is_some()
                || known.entry.oauth.as_ref().is_some_and(|oauth| oauth.token_url.host_is_chosen())
        })
    }

    async fn refresh_lane(
        &self,
        provider: ProviderName,
        due: Vec<(UserId, CredentialId)>,
        until: UnixTime,
        failures: &Failures,
    ) -> usize {
        let mut refreshed = 0;
        let is_chosen = self.server_is_chosen(&provider);
        let try_one = async |(user, id): (UserId, CredentialId)| {
            let mut places =
                vec![if is_chosen { Place::ServersOf(user.clone()) } else { Place::Provider(provider.clone()) }];
            match self.0.vault.credentials().get(&user, &id) {
                Ok(Some(summary)) => {
                    places.extend(summary.server.clone().map(Place::Server));
                    // Refreshes under way are awaited; the others do not start.
                    if self.0.clock.now() > until || failures.are_enough(&places) {
                        return (places, Ok(None));
                    }
                    (places, self.refresh_one(&summary).await)
                }
                Ok(None) => (Vec::new(), Ok(None)),
                Err(error) => (places, Err(error.into())),
            }
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

/// A place at which failures of refreshes count.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Place {
    /// A provider whose server is fixed.
    Provider(ProviderName),
    /// A server that a user chose.
    Server(String),
    /// All servers that this user chose.
    ServersOf(UserId),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Provider(name) => write!(f, "{name}"),
            Self::Server(url) => f.write_str(url),
            Self::ServersOf(user) => write!(f, "servers of user {user}"),
        }
    }
}

/// Consecutive failures of one pass, by place.
#[derive(Default)]
struct Failures(Mutex<HashMap<Place, u32>>);

impl Failures {
    fn are_enough(&self, places: &[Place]) -> bool {
        let counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        places.iter().any(|place| counts.get(place).is_some_and(|count| *count >= ENOUGH_FAILURES))
    }

    fn count(&self, places: &[Place]) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for place in places {
            let count = counts.entry(place.clone()).or_default();
            *count += 1;
            if *count == ENOUGH_FAILURES {
                tracing::warn!(%place, "refreshes keep failing here; the others wait for the next pass");
            }
        }
    }

    fn forget(&self, places: &[Place]) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for place in places {
            counts.remove(place);
        }
    }
}

/// Wait until the configuration is checked for the credential's client again.
const LATER: Duration = Duration::from_secs(3_600);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failing_servers_of_one_user_stop_no_other_user() {
        let at =
            |user: &str, server: &str| vec![Place::ServersOf(user.parse().unwrap()), Place::Server(server.to_owned())];
        let failures = Failures::default();
        for number in 0..ENOUGH_FAILURES {
            assert!(!failures.are_enough(&at("mallory", "https://new.example")));
            failures.count(&at("mallory", &format!("https://{number}.example")));
        }
        assert!(failures.are_enough(&at("mallory", "https://new.example")));
        assert!(!failures.are_enough(&at("alice", "https://a.example")));
        assert!(!failures.are_enough(&at("alice", "https://1.example")), "one failure is not enough");
        for number in 0..ENOUGH_FAILURES {
            failures.count(&at(&format!("user-{number}"), "https://down.example"));
        }
        assert!(failures.are_enough(&at("alice", "https://down.example")));
        failures.forget(&at("alice", "https://down.example"));
        assert!(!failures.are_enough(&at("alice", "https://down.example")));
    }
}
