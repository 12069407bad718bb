//! What an authenticated caller is refused leaves an audit row: a permission that the key lacks, another's user, another's
//! credential, a secret that cannot be had. Not each time: a caller that asks on and on must fill no disk, so that each key
//! has an allowance, and what goes beyond it is counted in its next row.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use governor::middleware::NoOpMiddleware;
use governor::state::keyed::HashMapStateStore;
use governor::{Quota, RateLimiter};

use super::app::App;
use super::auth::{self, Head, Proof};
use super::auth_rate_limit::Ticks;
use super::limits::Limits;
use super::problem::{self, ProblemType};
use super::routes::pattern;
use super::routes::route::Route;
use crate::clock::Clock;
use crate::id::ProviderName;
use crate::permission::Permission;
use crate::vault::DeniedRequest;

/// By the actor as the log has it: there are no more of those than API keys and trusted issuers.
type Limiter = RateLimiter<String, HashMapStateStore<String>, Ticks, NoOpMiddleware<Duration>>;

/// Who may leave a row now, and how many went without since the last.
#[derive(Debug)]
pub(crate) struct Refusals {
    limiter: Limiter,
    uncounted: Mutex<HashMap<String, u64>>,
}

impl Refusals {
    pub(crate) fn new(limits: &Limits, clock: Clock) -> Self {
        let at_least_one = |number| NonZeroU32::new(number).unwrap_or(NonZeroU32::MIN);
        let quota = Quota::per_minute(at_least_one(limits.refusals_per_minute))
            .allow_burst(at_least_one(limits.refusals_burst));
        Self { limiter: RateLimiter::hashmap_with_clock(quota, Ticks::new(clock)), uncounted: Mutex::default() }
    }

    /// Whether this caller may leave a row; if so, how many refusals before it have none.
    fn admit(&self, actor: &str) -> Option<u64> {
        let mut uncounted = self.uncounted.lock().unwrap_or_else(PoisonError::into_inner);
        if self.limiter.check_key(&actor.to_owned()).is_ok() {
            return Some(uncounted.remove(actor).unwrap_or(0));
        }
        let count = uncounted.entry(actor.to_owned()).or_default();
        *count += 1;
        if *count == 1 {
            tracing::warn!(actor, "a caller is refused so often that the audit log only counts it from here on");
        }
        None
    }

    /// The row could not be written after all.
    fn put_back(&self, actor: &str, count: u64) {
        *self.uncounted.lock().unwrap_or_else(PoisonError::into_inner).entry(actor.to_owned()).or_default() += count;
    }
}

/// Whether this is a no to somebody who may not, and not to a mistake. Whether a credential that is not there is
/// somebody else's is not looked at: both take the same time.
fn is_refusal(kind: &ProblemType, route: &Route) -> bool {
    let absent = [&problem::CREDENTIAL_NOT_FOUND, &problem::CREDENTIAL_OF_ANOTHER_PROVIDER];
    kind.status == http::StatusCode::FORBIDDEN
        || absent.contains(&kind)
        || kind.status == http::StatusCode::CONFLICT && route.permission == Some(Permission::UseIntegrations)
}

/// Leaves the row, where there is to be one. Where the vault cannot take it the caller is refused all the same.
pub(crate) async fn record(app: &App, route: &Route, proof: &Proof, head: &Head, kind: &'static ProblemType) {
    if !is_refusal(kind, route) {
        return;
    }
    let who = proof.who(head.arrival);
    let actor = who.actor.to_string();
    let Some(not_recorded) = app.refusals().admit(&actor) else { return };
    let place = |name: &str| {
        let at = pattern::places(route.pattern).position(|place| place == name);
        at.map(|at| head.params.get(at))
    };
    // What no entry is called is the caller's own text, and may be anything.
    let provider = place("provider").and_then(|text| text.parse::<ProviderName>().ok());
    let provider = provider.filter(|name| app.broker().catalog().get(name.as_str()).is_some());
    let refusal = DeniedRequest {
        user: auth::asked_for(proof, &head.headers),
        provider,
        credential: place("cred_id").and_then(|text| text.parse().ok()),
        reason: kind.uri.trim_start_matches("/problems/"),
        route: (route.method.to_string(), route.pattern),
        not_recorded,
    };
    if let Err(error) = app.vault().record_refusal(refusal, &who).await {
        tracing::warn!(%error, actor, "a refusal could not be recorded in the audit log");
        app.refusals().put_back(&actor, not_recorded + 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::UnixTime;

    #[test]
    fn what_goes_beyond_the_allowance_is_counted_in_the_next_row() {
        let clock = Clock::manual(UnixTime(1_800_000_000));
        let limits = Limits { refusals_burst: 2, refusals_per_minute: 1, ..Limits::default() };
        let refusals = Refusals::new(&limits, clock.clone());
        assert_eq!([(); 5].map(|()| refusals.admit("key:a")), [Some(0), Some(0), None, None, None]);
        assert_eq!(refusals.admit("key:b"), Some(0), "another key has an allowance of its own");
        clock.advance(Duration::from_secs(60));
        assert_eq!([(); 2].map(|()| refusals.admit("key:a")), [Some(3), None]);
        refusals.put_back("key:a", 4);
        clock.advance(Duration::from_secs(60));
        assert_eq!(refusals.admit("key:a"), Some(5));
    }
}
