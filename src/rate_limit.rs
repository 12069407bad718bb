//! Rate limits by name, in memory of a bounded size.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use governor::clock::Clock as _;
use governor::middleware::NoOpMiddleware;
use governor::state::keyed::HashMapStateStore;
use governor::{Quota, RateLimiter};

use crate::clock::Clock;

/// Names with an allowance of their own; further ones share one allowance.
const MAX_NAMES: usize = 10_000;

/// Name of the shared allowance; no API key or user has an empty name.
const OTHERS: &str = "";

/// Longest step, in milliseconds, from one reading of the clock to the next: every allowance is
/// full again after it.
const MAX_STEP_MS: i64 = 86_400_000;

/// Clock for governor: follows the system clock, never goes back, and advances by at most one day
/// per reading.
///
/// If a clock that was ahead is set back, a caller refused meanwhile would otherwise stay refused
/// until that time comes; and governor panics on times beyond 584 years.
#[derive(Clone, Debug)]
pub(crate) struct SteadyClock {
    clock: Clock,
    elapsed: Arc<Mutex<Elapsed>>,
}

/// In milliseconds.
#[derive(Debug)]
struct Elapsed {
    last_reading: i64,
    total: u64,
}

impl SteadyClock {
    pub(crate) fn new(clock: Clock) -> Self {
        let elapsed = Elapsed { last_reading: clock.now_millis(), total: 0 };
        Self { clock, elapsed: Arc::new(Mutex::new(elapsed)) }
    }
}

impl governor::clock::Clock for SteadyClock {
    type Instant = Duration;

    fn now(&self) -> Duration {
        let now = self.clock.now_millis();
        let mut elapsed = self.elapsed.lock().unwrap_or_else(PoisonError::into_inner);
        let step = now.saturating_sub(elapsed.last_reading).clamp(0, MAX_STEP_MS);
        elapsed.last_reading = now;
        elapsed.total = elapsed.total.saturating_add(step.unsigned_abs());
        Duration::from_millis(elapsed.total)
    }
}

/// Limiter by key.
pub(crate) type Limiter<K> = RateLimiter<K, HashMapStateStore<K>, SteadyClock, NoOpMiddleware<Duration>>;

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
