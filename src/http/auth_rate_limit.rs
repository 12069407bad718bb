//! Wrong API keys: how many one address may try. A right key is never counted and never refused.

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use governor::clock::Clock as _;
use governor::middleware::NoOpMiddleware;
use governor::state::keyed::HashMapStateStore;
use governor::{Quota, RateLimiter};

use super::limits::Limits;
use super::server::connections::party;
use crate::clock::Clock;

/// How many parties are remembered one by one; the rest share one allowance.
const REMEMBERED: usize = 10_000;

/// By how much the time goes on at most from one look at the clock to the next: every allowance is whole again by then.
const LONGEST_STEP: i64 = 3_600_000;

/// The time as governor wants it: it goes on with the clock, never back, and by no more than an hour at once. A clock that was
/// ahead would leave whoever was refused meanwhile refused until that time comes, and governor panics beyond 584 years.
#[derive(Clone, Debug)]
pub(crate) struct Ticks {
    clock: Clock,
    passed: Arc<Mutex<Passed>>,
}

/// In milliseconds.
#[derive(Debug)]
struct Passed {
    /// What the clock said at the last look.
    last: i64,
    in_all: u64,
}

impl Ticks {
    pub(crate) fn new(clock: Clock) -> Self {
        let passed = Passed { last: clock.now_millis(), in_all: 0 };
        Self { clock, passed: Arc::new(Mutex::new(passed)) }
    }
}

impl governor::clock::Clock for Ticks {
    type Instant = Duration;

    fn now(&self) -> Duration {
        let now = self.clock.now_millis();
        let mut passed = self.passed.lock().unwrap_or_else(PoisonError::into_inner);
        let step = now.saturating_sub(passed.last).clamp(0, LONGEST_STEP);
        passed.last = now;
        passed.in_all = passed.in_all.saturating_add(step.unsigned_abs());
        Duration::from_millis(passed.in_all)
    }
}

type Limiter = RateLimiter<Party, HashMapStateStore<Party>, Ticks, NoOpMiddleware<Duration>>;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Party {
    Address(IpAddr),
    /// A caller on the Unix socket.
    Local,
    /// Whoever came when the memory was full.
    Crowd,
}

/// The count of wrong keys, in memory of a fixed size.
#[derive(Debug)]
pub(crate) struct FailedAttempts {
    limiter: Limiter,
    clock: Ticks,
}

impl FailedAttempts {
    pub(crate) fn new(limits: &Limits, clock: Clock) -> Self {
        let at_least_one = |number| NonZeroU32::new(number).unwrap_or(NonZeroU32::MIN);
        let quota = Quota::per_minute(at_least_one(limits.failed_attempts_per_minute))
            .allow_burst(at_least_one(limits.failed_attempts_burst));
        let clock = Ticks::new(clock);
        Self { limiter: RateLimiter::hashmap_with_clock(quota, clock.clone()), clock }
    }

    /// Counts a wrong key from `address`; how long to wait, where there were too many.
    pub(crate) fn count(&self, address: Option<IpAddr>) -> Result<(), Duration> {
        let mut who = address.map_or(Party::Local, |address| Party::Address(party(address)));
        if self.limiter.len() >= REMEMBERED {
            self.limiter.retain_recent();
            if self.limiter.len() >= REMEMBERED {
                who = Party::Crowd;
            }
        }
        self.limiter.check_key(&who).map_err(|refusal| refusal.wait_time_from(self.clock.now()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::UnixTime;

    #[test]
    fn one_address_runs_out_of_attempts_and_gets_new_ones() {
        let clock = Clock::manual(UnixTime(1_800_000_000));
        let limits = Limits { failed_attempts_burst: 3, failed_attempts_per_minute: 60, ..Limits::default() };
        let attempts = FailedAttempts::new(&limits, clock.clone());
        let [bad, good] = ["192.0.2.1", "192.0.2.2"].map(|text| Some(text.parse().unwrap()));
        assert!((0..3).all(|_| attempts.count(bad).is_ok()));
        let wait = attempts.count(bad).unwrap_err();
        assert!(wait > Duration::ZERO && wait <= Duration::from_secs(1), "{wait:?}");
        assert!(attempts.count(good).is_ok() && attempts.count(None).is_ok());
        clock.advance(Duration::from_secs(1));
        assert!(attempts.count(bad).is_ok() && attempts.count(bad).is_err());
    }

    #[test]
    fn a_clock_that_is_put_right_keeps_nobody_out_and_no_time_is_too_far_away() {
        const RIGHT: UnixTime = UnixTime(1_800_000_000);
        let limits = Limits { failed_attempts_burst: 3, failed_attempts_per_minute: 60, ..Limits::default() };
        for wrong in [i64::MIN, 0, 1_799_999_999, 2_100_000_000, 40_000_000_000, i64::MAX] {
            let clock = Clock::manual(RIGHT);
            let attempts = FailedAttempts::new(&limits, clock.clone());
            clock.set(UnixTime(wrong));
            while attempts.count(None).is_ok() {}
            clock.set(RIGHT);
            attempts.count(None).ok();
            clock.advance(Duration::from_secs(1));
            assert!(attempts.count(None).is_ok(), "{wrong}");
            clock.set(UnixTime(wrong));
            attempts.count(None).ok();
        }
    }

    #[test]
    fn a_million_addresses_do_not_fill_the_memory() {
        let attempts = FailedAttempts::new(&Limits::default(), Clock::manual(UnixTime(1_800_000_000)));
        for number in 0..20_000_u32 {
            attempts.count(Some(IpAddr::V4(number.into()))).ok();
        }
        assert!(attempts.limiter.len() <= REMEMBERED + 1);
    }
}
