//! What the sandbox remembers: values under random names, for a time, and never more than a fixed number of them.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

use crate::clock::{Clock, UnixTime};
use crate::random::Random;
use crate::secret::Secret;

/// How often, in seconds, everything that has expired is swept out.
const SWEEP_EVERY: i64 = 60;

type Name = [u8; 32];

/// Values that are found by a random token of 256 bits. Only the token's hash is kept.
pub(super) struct Expiring<V> {
    clock: Clock,
    capacity: usize,
    values: HashMap<Name, Kept<V>>,
    /// Oldest first; names of values that are gone are left in until the next sweep.
    order: VecDeque<Name>,
    last_sweep: UnixTime,
}

struct Kept<V> {
    value: V,
    until: UnixTime,
}

impl<V> Expiring<V> {
    /// Remembers at most `capacity` values: when one more comes, the oldest goes.
    pub(super) fn new(clock: Clock, capacity: usize) -> Self {
        let last_sweep = clock.now();
        Self { clock, capacity, values: HashMap::new(), order: VecDeque::new(), last_sweep }
    }

    /// Keeps `value` for `lifetime` under a fresh token that begins with `prefix`.
    pub(super) fn keep(&mut self, random: Random, prefix: &str, value: V, lifetime: Duration) -> Secret {
        let now = self.clock.now();
        if self.last_sweep.seconds_until(now) >= SWEEP_EVERY || self.order.len() >= 2 * self.capacity {
            self.sweep(now);
        }
        while self.values.len() >= self.capacity {
            let Some(oldest) = self.order.pop_front() else { break };
            self.values.remove(&oldest);
        }
        let token = Secret::new(format!("{prefix}{}", URL_SAFE_NO_PAD.encode(random.bytes::<32>())));
        let name = name_of(token.expose());
        self.values.insert(name, Kept { value, until: now.plus(lifetime) });
        self.order.push_back(name);
        token
    }

    /// The value under this token, unless its time is over.
    pub(super) fn get_mut(&mut self, token: &str) -> Option<&mut V> {
        let now = self.clock.now();
        self.values.get_mut(&name_of(token)).filter(|kept| kept.until > now).map(|kept| &mut kept.value)
    }

    /// The value under this token and when its time is over.
    pub(super) fn get(&self, token: &str) -> Option<(&V, UnixTime)> {
        let now = self.clock.now();
        self.values.get(&name_of(token)).filter(|kept| kept.until > now).map(|kept| (&kept.value, kept.until))
    }

    /// Takes the value away: a second call with the same token finds nothing.
    pub(super) fn take(&mut self, token: &str) -> Option<V> {
        let now = self.clock.now();
        self.values.remove(&name_of(token)).filter(|kept| kept.until > now).map(|kept| kept.value)
    }

    /// The same, to be changed.
    pub(super) fn values_mut(&mut self) -> impl Iterator<Item = &mut V> {
        let now = self.clock.now();
        self.values.values_mut().filter(move |kept| kept.until > now).map(|kept| &mut kept.value)
    }

    /// Every value whose time is not over, in no order.
    pub(super) fn values(&self) -> impl Iterator<Item = &V> {
        let now = self.clock.now();
        self.values.values().filter(move |kept| kept.until > now).map(|kept| &kept.value)
    }

    fn sweep(&mut self, now: UnixTime) {
        self.values.retain(|_, kept| kept.until > now);
        self.order.retain(|name| self.values.contains_key(name));
        self.last_sweep = now;
    }
}

fn name_of(token: &str) -> Name {
    Sha256::digest(token.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_there_until_its_time_is_over() {
        let clock = Clock::manual(UnixTime(1_000));
        let mut kept = Expiring::new(clock.clone(), 10);
        let token = kept.keep(Random, "t-", 7, Duration::from_secs(5));
        clock.advance(Duration::from_secs(4));
        assert_eq!(kept.get(token.expose()), Some((&7, UnixTime(1_005))));
        clock.advance(Duration::from_secs(1));
        assert_eq!(kept.get(token.expose()), None);
        assert_eq!(kept.take(token.expose()), None);
    }

    #[test]
    fn the_oldest_goes_when_one_too_many_comes() {
        let mut kept = Expiring::new(Clock::manual(UnixTime(0)), 3);
        let tokens: Vec<_> = (0..4).map(|n| kept.keep(Random, "", n, Duration::from_secs(9))).collect();
        assert_eq!(kept.get(tokens[0].expose()), None);
        assert!(tokens[1..].iter().all(|token| kept.get(token.expose()).is_some()));
    }

    #[test]
    fn nothing_grows_however_much_is_kept_and_taken() {
        let clock = Clock::manual(UnixTime(0));
        let mut kept = Expiring::new(clock.clone(), 8);
        for n in 0..1_000 {
            let token = kept.keep(Random, "", n, Duration::from_secs(1));
            if n % 2 == 0 {
                assert_eq!(kept.take(token.expose()), Some(n));
            }
        }
        assert!(kept.values.len() <= 8 && kept.order.len() <= 16);
        clock.advance(Duration::from_secs(120));
        kept.keep(Random, "", 0, Duration::from_secs(1));
        assert_eq!((kept.values.len(), kept.order.len()), (1, 1));
    }
}
