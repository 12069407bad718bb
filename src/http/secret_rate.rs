//! Rate limit for answers that hold a secret: each leaves an audit row, so that without a limit one
//! API key could fill the disk.

use std::num::NonZeroU32;

use governor::Quota;

use super::limits::Limits;
use super::problem::{self, Problem};
use crate::clock::Clock;
use crate::id::UserId;
use crate::rate_limit::RateLimit;

/// Allowances of secrets.
#[derive(Debug)]
pub(crate) struct SecretRate {
    /// By API key and user: a service key acts for many users.
    per_user: RateLimit,
    /// By API key, for all its users.
    per_key: RateLimit,
}

impl SecretRate {
    pub(crate) fn new(limits: &Limits, clock: Clock) -> Self {
        let at_least_one = |number| NonZeroU32::new(number).unwrap_or(NonZeroU32::MIN);
        let per_user = Quota::per_second(at_least_one(limits.secrets_per_second));
        let per_user = per_user.allow_burst(at_least_one(limits.secrets_burst));
        let in_all = limits.secrets_per_second_in_all.max(limits.secrets_per_second);
        let per_key = Quota::per_second(at_least_one(in_all));
        let per_key = per_key.allow_burst(at_least_one(in_all.max(limits.secrets_burst)));
        Self { per_user: RateLimit::new(per_user, clock.clone()), per_key: RateLimit::new(per_key, clock) }
    }

    /// Counts one answer for this user to the API key of this name.
    ///
    /// # Errors
    /// 429 if there were too many.
    pub(crate) fn count(&self, key: &str, user: &UserId) -> Result<(), Problem> {
        let counted = self.per_user.check(&format!("{key} {user}")).and_then(|()| self.per_key.check(key));
        counted.map_err(|wait| {
            let detail = "This API key reads secrets faster than it may. Keep a token until it expires.";
            Problem::new(&problem::RATE_LIMITED, detail).retry_after(wait)
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::clock::UnixTime;

    #[test]
    fn users_of_a_service_key_have_rates_of_their_own() {
        let clock = Clock::manual(UnixTime(1_800_000_000));
        let limits =
            Limits { secrets_burst: 3, secrets_per_second: 1, secrets_per_second_in_all: 5, ..Limits::default() };
        let rate = SecretRate::new(&limits, clock.clone());
        let [alice, bob, carol] = ["alice", "bob", "carol"].map(|user| user.parse::<UserId>().unwrap());
        let given = |key: &str, user| (0..10).filter(|_| rate.count(key, user).is_ok()).count();
        assert_eq!([given("key:a", &alice), given("key:a", &bob), given("key:a", &carol)], [3, 2, 0]);
        assert_eq!(given("key:b", &alice), 3, "another key has a rate of its own");
        clock.advance(Duration::from_secs(1));
        assert_eq!(given("key:a", &alice), 1);
    }
}
