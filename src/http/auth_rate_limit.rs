//! Rate limit for wrong API keys by address. A valid key is neither counted nor refused.

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::time::Duration;

use governor::clock::Clock as _;
use governor::{Quota, RateLimiter};

use super::client_address::subscriber;
use super::limits::Limits;
use crate::clock::Clock;
use crate::rate_limit::{Limiter, SteadyClock};

/// Addresses with an allowance of their own; further ones share one allowance.
const MAX_ADDRESSES: usize = 10_000;

/// Returns an allowance of at least one at once and one a minute.
pub(crate) fn quota(per_minute: u32, burst: u32) -> Quota {
    let at_least_one = |number| NonZeroU32::new(number).unwrap_or(NonZeroU32::MIN);
    Quota::per_minute(at_least_one(per_minute)).allow_burst(at_least_one(burst))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Source {
    Address(IpAddr),
    /// The Unix socket.
    Local,
    /// Every address beyond `MAX_ADDRESSES`.
    Others,
}

/// Counts wrong keys in memory of a bounded size.
#[derive(Debug)]
pub(crate) struct FailedAttempts {
    limiter: Limiter<Source>,
    clock: SteadyClock,
}

impl FailedAttempts {
    pub(crate) fn new(limits: &Limits, clock: Clock) -> Self {
        let quota = quota(limits.failed_attempts_per_minute, limits.failed_attempts_burst);
        let clock = SteadyClock::new(clock);
        Self { limiter: RateLimiter::hashmap_with_clock(quota, clock.clone()), clock }
    }

    /// Counts a wrong key from `address`; if there were too many, returns the time to wait.
    pub(crate) fn count(&self, address: Option<IpAddr>) -> Result<(), Duration> {
        let mut source = address.map_or(Source::Local, |address| Source::Address(subscriber(address)));
        if self.limiter.len() >= MAX_ADDRESSES {
            self.limiter.retain_recent();
            if self.limiter.len() >= MAX_ADDRESSES {
                source = Source::Others;
            }
        }
        self.limiter.check_key(&source).map_err(|denied| denied.wait_time_from(self.clock.now()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::UnixTime;

    #[test]
    fn allowance_of_one_address_runs_out_and_refills() {
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
    fn corrected_clock_refuses_no_address() {
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
    fn remembered_addresses_are_bounded() {
        let attempts = FailedAttempts::new(&Limits::default(), Clock::manual(UnixTime(1_800_000_000)));
        for number in 0..20_000_u32 {
            attempts.count(Some(IpAddr::V4(number.into()))).ok();
        }
        assert!(attempts.limiter.len() <= MAX_ADDRESSES + 1);
    }
}
