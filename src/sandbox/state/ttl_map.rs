//! A map with random keys and a lifetime for each value.

use std::collections::HashMap;
use std::time::Duration;

use crate::clock::{Clock, UnixTime};
use crate::random::Random;
use crate::secret::Secret;

/// Time between two removals of all expired values.
const SWEEP_PAUSE: Duration = Duration::from_secs(60);

/// Values under random tokens of 256 bits.
pub(in crate::sandbox) struct TtlMap<V> {
    clock: Clock,
    /// Each value with the time at which it expires.
    entries: HashMap<String, (V, UnixTime)>,
    next_sweep: UnixTime,
}

impl<V> TtlMap<V> {
    pub(in crate::sandbox) fn new(clock: Clock) -> Self {
        let next_sweep = clock.now().plus(SWEEP_PAUSE);
        Self { clock, entries: HashMap::new(), next_sweep }
    }

    /// Stores `value` for `lifetime` and returns its new token, which begins with `prefix`.
    pub(in crate::sandbox) fn insert(&mut self, random: Random, prefix: &str, value: V, lifetime: Duration) -> Secret {
        let now = self.clock.now();
        if now >= self.next_sweep {
            self.entries.retain(|_, (_, until)| *until > now);
            self.next_sweep = now.plus(SWEEP_PAUSE);
        }
        let token = format!("{prefix}{}", random.base64url::<32>());
        self.entries.insert(token.clone(), (value, now.plus(lifetime)));
        Secret::new(token)
    }

    /// Returns the value of this token, unless it has expired.
    pub(in crate::sandbox) fn get(&self, token: &str) -> Option<&V> {
        let (value, until) = self.entries.get(token)?;
        (*until > self.clock.now()).then_some(value)
    }

    /// Returns the value of this token for changes, unless it has expired.
    pub(in crate::sandbox) fn get_mut(&mut self, token: &str) -> Option<&mut V> {
        let (value, until) = self.entries.get_mut(token)?;
        (*until > self.clock.now()).then_some(value)
    }

    /// Removes and returns the value of this token, unless it has expired.
    pub(in crate::sandbox) fn take(&mut self, token: &str) -> Option<V> {
        let (value, until) = self.entries.remove(token)?;
        (until > self.clock.now()).then_some(value)
    }

    /// Iterates over all values that have not expired, in no order.
    pub(in crate::sandbox) fn values(&self) -> impl Iterator<Item = &V> {
        let now = self.clock.now();
        self.entries.values().filter(move |(_, until)| *until > now).map(|(value, _)| value)
    }

    /// Iterates over all values that have not expired for changes, in no order.
    pub(in crate::sandbox) fn values_mut(&mut self) -> impl Iterator<Item = &mut V> {
        let now = self.clock.now();
        self.entries.values_mut().filter(move |(_, until)| *until > now).map(|(value, _)| value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_found_until_it_expires() {
        let clock = Clock::manual(UnixTime(1_000));
        let mut map = TtlMap::new(clock.clone());
        let token = map.insert(Random, "t-", 7, Duration::from_secs(5));
        clock.advance(Duration::from_secs(4));
        assert_eq!(map.get(token.expose()), Some(&7));
        clock.advance(Duration::from_secs(1));
        assert_eq!(map.get(token.expose()), None);
        assert_eq!(map.take(token.expose()), None);
    }

    #[test]
    fn expired_values_are_removed() {
        let clock = Clock::manual(UnixTime(0));
        let mut map = TtlMap::new(clock.clone());
        for n in 0..1_000 {
            map.insert(Random, "", n, Duration::from_secs(1));
        }
        clock.advance(Duration::from_secs(120));
        map.insert(Random, "", 0, Duration::from_secs(1));
        assert_eq!(map.entries.len(), 1);
    }
}
