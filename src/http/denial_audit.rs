//! Audit rows for denied requests of authenticated callers: a missing permission, another user,
//! another user's credential, a secret that cannot be given out.
//!
//! Each API key has an allowance of rows, and a service key one for each of its users, so that a
//! caller who repeats a denied request cannot fill the disk. Denials beyond it are counted in the
//! next row of that key and user.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use super::auth_rate_limit::quota;
use super::limits::Limits;
use super::problem::{self, ProblemType};
use super::request::context::RequestHead;
use super::request::path_params::{self, PathParams};
use crate::broker::{Authenticated, Broker, DeniedRequest};
use crate::clock::Clock;
use crate::permission::Permission;
use crate::proxy::RefusedRequest;
use crate::rate_limit::RateLimit;

/// Allowance of all users of an API key together, as a multiple of that of one user.
const USERS_AT_ONCE: u32 = 10;

/// Names whose denials are counted apart; those of further ones are counted for their API key.
const MAX_COUNTED: usize = 10_000;

/// Allowances of audit rows, and the denials that got none.
#[derive(Debug)]
pub(crate) struct DenialAudit {
    /// By API key and user.
    per_user: RateLimit,
    /// By API key: a service key may name any number of users.
    per_key: RateLimit,
    /// Denials by API key and user since the last row.
    unrecorded: Mutex<HashMap<String, u64>>,
}

/// A request that was denied.
pub(crate) struct Denial<'r> {
    pub(crate) problem: &'static ProblemType,
    pub(crate) method: &'r http::Method,
    pub(crate) pattern: &'static str,
    pub(crate) permission: Option<Permission>,
    pub(crate) authenticated: &'r Authenticated,
    pub(crate) head: &'r RequestHead,
    pub(crate) params: &'r PathParams,
    /// The request to the provider, if the proxy refused it.
    pub(crate) refused: Option<RefusedRequest>,
}

impl Denial<'_> {
    /// Returns true if the problem is a denial and not a mistake of the caller.
    ///
    /// A credential that does not exist counts too: to find out if it is another user's would take
    /// a different time.
    fn is_recorded(&self) -> bool {
        let absent = [&problem::CREDENTIAL_NOT_FOUND, &problem::CREDENTIAL_OF_ANOTHER_PROVIDER];
        self.problem.status == http::StatusCode::FORBIDDEN
            || absent.contains(&self.problem)
            || self.problem.status == http::StatusCode::CONFLICT
                && matches!(self.permission, Some(Permission::UseIntegrations | Permission::ProxyIntegrations))
    }

    fn param(&self, name: &str) -> Option<&str> {
        let index = path_params::names(self.pattern).position(|param| param == name)?;
        Some(self.params.get(index))
    }
}

impl DenialAudit {
    pub(crate) fn new(limits: &Limits, clock: &Clock) -> Self {
        let times = |factor| {
            let quota =
                quota(limits.denials_per_minute.saturating_mul(factor), limits.denials_burst.saturating_mul(factor));
            RateLimit::new(quota, clock.clone())
        };
        Self { per_user: times(1), per_key: times(USERS_AT_ONCE), unrecorded: Mutex::default() }
    }

    /// Writes the audit row of a denial, if it is to have one. The caller is denied even if the
    /// vault cannot take the row.
    pub(crate) async fn record(&self, broker: &Broker, denial: Denial<'_>) {
        if !denial.is_recorded() {
            return;
        }
        let who = denial.authenticated.audit_context(&denial.head.context);
        let actor = who.actor.to_string();
        let user = denial.authenticated.intended_user(&denial.head.headers);
        let name = user.as_ref().map_or_else(|| actor.clone(), |user| format!("{actor} {user}"));
        let Some(not_recorded) = self.admit(&actor, &name) else { return };
        let refused = denial.refused.clone().unwrap_or_default();
        let denied = DeniedRequest {
            user,
            provider: refused.provider.or_else(|| denial.param("provider")?.parse().ok()),
            credential: refused.credential.or_else(|| denial.param("cred_id")?.parse().ok()),
            reason: denial.problem.uri.trim_start_matches("/problems/"),
            route: (denial.method.to_string(), denial.pattern),
            proxied: refused.proxied,
            not_recorded,
        };
        if let Err(error) = broker.record_denied(denied, &who).await {
            tracing::warn!(%error, actor, "a denied request could not be recorded in the audit log");
            self.put_back(&name, not_recorded + 1);
        }
    }

    /// Uses up one row of the allowances of the API key `actor`, and of `name`, which is that key
    /// with the user. Returns the number of earlier denials without a row, or `None` if an
    /// allowance is used up.
    fn admit(&self, actor: &str, name: &str) -> Option<u64> {
        let mut unrecorded = self.unrecorded.lock().unwrap_or_else(PoisonError::into_inner);
        if self.per_user.check(name).and_then(|()| self.per_key.check(actor)).is_ok() {
            return Some(unrecorded.remove(name).unwrap_or(0) + unrecorded.remove(actor).unwrap_or(0));
        }
        let is_counted_apart = unrecorded.len() < MAX_COUNTED || unrecorded.contains_key(name);
        let count = unrecorded.entry(if is_counted_apart { name } else { actor }.to_owned()).or_default();
        *count += 1;
        if *count == 1 {
            tracing::warn!(actor, "a caller is denied so often that the audit log only counts it from here on");
        }
        None
    }

    /// Counts denials again whose row could not be written.
    fn put_back(&self, name: &str, count: u64) {
        *self.unrecorded.lock().unwrap_or_else(PoisonError::into_inner).entry(name.to_owned()).or_default() += count;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::clock::UnixTime;

    #[test]
    fn denials_beyond_the_allowance_are_counted_in_the_next_row() {
        let clock = Clock::manual(UnixTime(1_800_000_000));
        let limits = Limits { denials_burst: 2, denials_per_minute: 1, ..Limits::default() };
        let denials = DenialAudit::new(&limits, &clock);
        let admit = |key| denials.admit(key, key);
        assert_eq!([(); 5].map(|()| admit("key:a")), [Some(0), Some(0), None, None, None]);
        assert_eq!(admit("key:b"), Some(0), "another key has an allowance of its own");
        clock.advance(Duration::from_secs(60));
        assert_eq!([(); 2].map(|()| admit("key:a")), [Some(3), None]);
        denials.put_back("key:a", 4);
        clock.advance(Duration::from_secs(60));
        assert_eq!(admit("key:a"), Some(5));
    }

    #[test]
    fn denials_of_a_service_key_are_counted_by_user() {
        let limits = Limits { denials_burst: 2, denials_per_minute: 1, ..Limits::default() };
        let denials = DenialAudit::new(&limits, &Clock::manual(UnixTime(1_800_000_000)));
        let rows = |user: &str| {
            let name = format!("key:s {user}");
            (0..5).filter(|_| denials.admit("key:s", &name).is_some()).count()
        };
        assert_eq!([rows("alice"), rows("bob")], [2, 2], "one user hides no denial of another");
        let all: usize = (0..100).map(|number| rows(&format!("user-{number}"))).sum();
        assert_eq!(all, 16, "made-up users do not fill the disk");
    }
}
