//! Time as a value that is passed in. No other module asks the operating system for the time.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A point in time: whole seconds since 1970-01-01T00:00:00Z, as in the API and in the vault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UnixTime(pub i64);

impl UnixTime {
    /// Returns the time plus `duration`, saturating.
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(duration.as_secs()).unwrap_or(i64::MAX)))
    }

    /// Returns the time minus `duration`, saturating.
    #[must_use]
    pub fn minus(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(duration.as_secs()).unwrap_or(i64::MAX)))
    }

    /// Returns the whole seconds from `self` to `later`; negative if `later` is earlier.
    pub fn seconds_until(self, later: Self) -> i64 {
        later.0.saturating_sub(self.0)
    }

    /// Returns true if `age` has passed by `now`, or if the time is in the future: then it was read
    /// from a wrong clock, and waiting for it would keep old data too long.
    pub fn is_older_than(self, age: Duration, now: Self) -> bool {
        !u64::try_from(self.seconds_until(now)).is_ok_and(|passed| passed < age.as_secs())
    }
}

impl fmt::Display for UnixTime {
    /// Writes RFC 3339 in UTC; outside of the years ±9999 the bare number.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_second(self.0) {
            Ok(timestamp) => write!(f, "{timestamp}"),
            Err(_) => write!(f, "{}", self.0),
        }
    }
}

/// Source of the current time. Cheap to clone; clones of a manual clock share their time.
#[derive(Clone, Debug)]
pub struct Clock(Source);

#[derive(Clone, Debug)]
enum Source {
    System,
    Manual(Arc<AtomicI64>),
}

impl Clock {
    /// Returns the operating system's clock.
    pub fn system() -> Self {
        Self(Source::System)
    }

    /// Returns a clock that stands still at `start` until it is moved, for tests here and in other
    /// programs.
    pub fn manual(start: UnixTime) -> Self {
        Self(Source::Manual(Arc::new(AtomicI64::new(start.0.saturating_mul(1000)))))
    }

    /// Returns the current time in whole seconds.
    pub fn now(&self) -> UnixTime {
        UnixTime(self.now_millis().div_euclid(1000))
    }

    /// Returns the current time in milliseconds since 1970.
    #[expect(clippy::disallowed_methods, reason = "every other module takes its time from here")]
    pub fn now_millis(&self) -> i64 {
        match &self.0 {
            Source::System => match std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH) {
                Ok(since) => i64::try_from(since.as_millis()).unwrap_or(i64::MAX),
                Err(before) => -i64::try_from(before.duration().as_millis()).unwrap_or(i64::MAX),
            },
            Source::Manual(millis) => millis.load(Ordering::SeqCst),
        }
    }

    /// Moves a manual clock forward; has no effect on the system's clock.
    pub fn advance(&self, by: Duration) {
        if let Source::Manual(millis) = &self.0 {
            millis.fetch_add(i64::try_from(by.as_millis()).unwrap_or(i64::MAX), Ordering::SeqCst);
        }
    }

    /// Sets a manual clock to `at`; has no effect on the system's clock.
    pub fn set(&self, at: UnixTime) {
        if let Source::Manual(millis) = &self.0 {
            millis.store(at.0.saturating_mul(1000), Ordering::SeqCst);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clones_of_a_manual_clock_share_their_time() {
        let clock = Clock::manual(UnixTime(1_000));
        let other = clock.clone();
        clock.advance(Duration::from_secs(5));
        assert_eq!(other.now(), UnixTime(1_005));
        other.set(UnixTime(-3));
        assert_eq!(clock.now(), UnixTime(-3));
    }

    #[test]
    fn a_time_in_the_future_is_old() {
        let (hour, now) = (Duration::from_secs(3_600), UnixTime(10_000));
        assert!(!now.is_older_than(hour, now) && !UnixTime(6_401).is_older_than(hour, now));
        assert!(UnixTime(6_400).is_older_than(hour, now) && UnixTime(10_001).is_older_than(hour, now));
        assert!(
            UnixTime(i64::MIN).is_older_than(hour, now) && UnixTime(i64::MAX).is_older_than(hour, UnixTime(i64::MIN))
        );
    }

    #[test]
    fn times_are_shown_as_rfc_3339() {
        assert_eq!(UnixTime(0).to_string(), "1970-01-01T00:00:00Z");
        assert_eq!(UnixTime(i64::MAX).to_string(), i64::MAX.to_string());
    }
}
