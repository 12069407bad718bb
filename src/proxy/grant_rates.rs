//! Rates of grants: requests are counted by grant and credential, whichever connection they use.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use governor::Quota;

use crate::clock::Clock;
use crate::policy::Rate;
use crate::rate_limit::RateLimit;

/// Maximum number of different rates in use.
const MAX_RATES: usize = 1_000;

/// The counted requests, by rate.
pub(super) struct GrantRates {
    clock: Clock,
    by_rate: Mutex<HashMap<(u32, u32), Arc<RateLimit>>>,
}

impl GrantRates {
    pub(super) fn new(clock: Clock) -> Self {
        Self { clock, by_rate: Mutex::default() }
    }

    /// Counts one request for this name; if the rate is used up, returns the time to wait.
    pub(super) fn check(&self, name: &str, rate: Rate) -> Result<(), Duration> {
        let limit = {
            let mut by_rate = self.by_rate.lock().unwrap_or_else(PoisonError::into_inner);
            if by_rate.len() >= MAX_RATES {
                by_rate.clear();
            }
            let key = (rate.count(), rate.seconds());
            Arc::clone(by_rate.entry(key).or_insert_with(|| Arc::new(RateLimit::new(quota(rate), self.clock.clone()))))
        };
        limit.check(name)
    }
}

/// Returns the rate's requests at once, which fill again within its time.
fn quota(rate: Rate) -> Quota {
    let count = NonZeroU32::new(rate.count()).unwrap_or(NonZeroU32::MIN);
    let one = Duration::from_secs(u64::from(rate.seconds())) / count.get();
    Quota::with_period(one).map_or_else(|| Quota::per_second(count), |quota| quota.allow_burst(count))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::UnixTime;

    #[test]
    fn rate_counts_by_name_and_fills_again() {
        let clock = Clock::manual(UnixTime(1_800_000_000));
        let rates = GrantRates::new(clock.clone());
        let rate: Rate = "3/m".parse().unwrap();
        let passed = |name| (0..9).filter(|_| rates.check(name, rate).is_ok()).count();
        assert_eq!([passed("a"), passed("b"), passed("a")], [3, 3, 0]);
        clock.advance(Duration::from_secs(20));
        assert_eq!(passed("a"), 1);
        clock.advance(Duration::from_secs(60));
        assert_eq!(passed("a"), 3);
    }
}
