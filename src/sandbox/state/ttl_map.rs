//! A map with random keys, a lifetime for each value, and a maximum size.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use sha2::{Digest, Sha256};

use crate::clock::{Clock, UnixTime};
use crate::random::Random;
use crate::secret::Secret;

/// Pause between two removals of all expired values, in seconds.
const SWEEP_PAUSE: i64 = 60;

/// SHA-256 of a token.
type Digest256 = [u8; 32];

/// Values under random tokens of 256 bits. Only the hashes of the tokens are kept.
pub(in crate::sandbox) struct TtlMap<V> {
    clock: Clock,
    capacity: usize,
    entries: HashMap<Digest256, TtlEntry<V>>,
    /// Oldest first. Keys of removed values stay until the next sweep.
    order: VecDeque<Digest256>,
    last_sweep: UnixTime,
}

struct TtlEntry<V> {
    value: V,
    until: UnixTime,
}

impl<V> TtlMap<V> {
    /// Creates a map of at most `capacity` values; one more replaces the oldest.
    pub(in crate::sandbox) fn new(clock: Clock, capacity: usize) -> Self {
        let last_sweep = clock.now();
        Self { clock, capacity, entries: HashMap::new(), order: VecDeque::new(), last_sweep }
    }

    /// Stores `value` for `lifetime` and returns its new token, which begins with `prefix`.
    pub(in crate::sandbox) fn insert(&mut self, random: Random, prefix: &str, value: V, lifetime: Duration) -> Secret {
        let now = self.clock.now();
        if self.last_sweep.seconds_until(now) >= SWEEP_PAUSE || self.order.len() >= 2 * self.capacity {
            self.sweep(now);
        }
        while self.entries.len() >= self.capacity {
            let Some(oldest) = self.order.pop_front() else { break };
            self.entries.remove(&oldest);
        }
        let token = Secret::new(format!("{prefix}{}", random.base64url::<32>()));
        let key = digest(token.expose());
        self.entries.insert(key, TtlEntry { value, until: now.plus(lifetime) });
        self.order.push_back(key);
        token
    }

    /// Returns the value of this token, unless it has expired.
    pub(in crate::sandbox) fn get_mut(&mut self, token: &str) -> Option<&mut V> {
        let now = self.clock.now();
        self.entries.get_mut(&digest(token)).filter(|entry| entry.until > now).map(|entry| &mut entry.value)
    }

    /// Returns the value of this token and its expiry, unless it has expired.
    pub(in crate::sandbox) fn get(&self, token: &str) -> Option<(&V, UnixTime)> {
        let now = self.clock.now();
        self.entries.get(&digest(token)).filter(|entry| entry.until > now).map(|entry| (&entry.value, entry.until))
    }

    /// Removes and returns the value of this token, unless it has expired.
    pub(in crate::sandbox) fn take(&mut self, token: &str) -> Option<V> {
        let now = self.clock.now();
        self.entries.remove(&digest(token)).filter(|entry| entry.until > now).map(|entry| entry.value)
    }

    /// Iterates over all values that have not expired, in no order.
    pub(in crate::sandbox) fn values(&self) -> impl Iterator<Item = &V> {
        let now = self.clock.now();
        self.entries.values().filter(move |entry| entry.until > now).map(|entry| &entry.value)
    }

    /// Iterates over all values that have not expired, in no order.
    pub(in crate::sandbox) fn values_mut(&mut self) -> impl Iterator<Item = &mut V> {
        let now = self.clock.now();
        self.entries.values_mut().filter(move |entry| entry.until > now).map(|entry| &mut entry.value)
    }

    fn sweep(&mut self, now: UnixTime) {
        self.entries.retain(|_, entry| entry.until > now);
        self.order.retain(|key| self.entries.contains_key(key));
        self.last_sweep = now;
    }
}

fn digest(token: &str) -> Digest256 {
    Sha256::digest(token.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_found_until_it_expires() {
        let clock = Clock::manual(UnixTime(1_000));
        let mut map = TtlMap::new(clock.clone(), 10);
        let token = map.insert(Random, "t-", 7, Duration::from_secs(5));
        clock.advance(Duration::from_secs(4));
        assert_eq!(map.get(token.expose()), Some((&7, UnixTime(1_005))));
        clock.advance(Duration::from_secs(1));
        assert_eq!(map.get(token.expose()), None);
        assert_eq!(map.take(token.expose()), None);
    }

    #[test]
    fn one_value_too_many_replaces_the_oldest() {
        let mut map = TtlMap::new(Clock::manual(UnixTime(0)), 3);
        let tokens: Vec<_> = (0..4).map(|n| map.insert(Random, "", n, Duration::from_secs(9))).collect();
        assert_eq!(map.get(tokens[0].expose()), None);
        assert!(tokens[1..].iter().all(|token| map.get(token.expose()).is_some()));
    }

    #[test]
    fn the_map_does_not_grow_beyond_its_capacity() {
        let clock = Clock::manual(UnixTime(0));
        let mut map = TtlMap::new(clock.clone(), 8);
        for n in 0..1_000 {
            let token = map.insert(Random, "", n, Duration::from_secs(1));
            if n % 2 == 0 {
                assert_eq!(map.take(token.expose()), Some(n));
            }
        }
        assert!(map.entries.len() <= 8 && map.order.len() <= 16);
        clock.advance(Duration::from_secs(120));
        map.insert(Random, "", 0, Duration::from_secs(1));
        assert_eq!((map.entries.len(), map.order.len()), (1, 1));
    }
}
