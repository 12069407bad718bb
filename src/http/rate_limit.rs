//! Rate limits by name, in memory of a bounded size.

use std::time::Duration;

use governor::clock::Clock as _;
use governor::{Quota, RateLimiter};

use super::auth_rate_limit::{Limiter, SteadyClock};
use crate::clock::Clock;

/// Names with an allowance of their own; further ones share one allowance.
const MAX_NAMES: usize = 10_000;

/// Name of the shared allowance; no API key or user has an empty name.
const OTHERS: &str = "";

/// An allowance for each name.
#[derive(Debug)]
pub(crate) struct RateLimit {
    limiter: Limiter<String>,
    clock: SteadyClock,
}

impl RateLimit {
    pub(crate) fn new(quota: Quota, clock: Clock) -> Self {
        let clock = SteadyClock::new(clock);
        Self { limiter: RateLimiter::hashmap_with_clock(quota, clock.clone()), clock }
    }

    /// Uses up one of the allowance; if it is used up, returns the time to wait.
    pub(crate) fn check(&self, name: &str) -> Result<(), Duration> {
        let mut name = name;
        if self.limiter.len() >= MAX_NAMES {
            self.limiter.retain_recent();
            if self.limiter.len() >= MAX_NAMES {
                name = OTHERS;
            }
        }
        self.limiter.check_key(&name.to_owned()).map_err(|denied| denied.wait_time_from(self.clock.now()))
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;
    use crate::clock::UnixTime;

    #[test]
    fn remembered_names_are_bounded() {
        let quota = Quota::per_minute(NonZeroU32::MIN);
        let limit = RateLimit::new(quota, Clock::manual(UnixTime(1_800_000_000)));
        for number in 0..2 * MAX_NAMES {
            limit.check(&number.to_string()).ok();
        }
        assert!(limit.limiter.len() <= MAX_NAMES + 1);
    }
}
