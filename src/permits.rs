//! Counting semaphores by key: so many permits for each address, provider or caller.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A number of permits for each key. Keys that hold none take no memory.
#[derive(Debug)]
pub(crate) struct KeyedSemaphore<K> {
    per_key: usize,
    held: Mutex<HashMap<K, usize>>,
}

/// Permits of a key, returned when this is dropped.
#[derive(Debug)]
pub(crate) struct KeyedPermit<K: Eq + Hash> {
    key: K,
    count: usize,
    semaphore: Arc<KeyedSemaphore<K>>,
}

impl<K: Eq + Hash + Clone> KeyedSemaphore<K> {
    pub(crate) fn new(per_key: usize) -> Arc<Self> {
        Arc::new(Self { per_key, held: Mutex::default() })
    }

    /// Returns true if the key has a free permit.
    pub(crate) fn is_available<Q: Eq + Hash + ?Sized>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
    {
        self.held().get(key).copied().unwrap_or(0) < self.per_key
    }

    /// Takes a permit of the key, if there is a free one.
    pub(crate) fn try_acquire(self: &Arc<Self>, key: K) -> Option<KeyedPermit<K>> {
        self.try_acquire_many(key, 1)
    }

    /// Takes so many permits of the key, if they are free.
    pub(crate) fn try_acquire_many(self: &Arc<Self>, key: K, count: usize) -> Option<KeyedPermit<K>> {
        let mut held = self.held();
        let all = held.get(&key).copied().unwrap_or(0).saturating_add(count);
        if all > self.per_key {
            return None;
        }
        held.insert(key.clone(), all);
        Some(KeyedPermit { key, count, semaphore: self.clone() })
    }
}

impl<K> KeyedSemaphore<K> {
    fn held(&self) -> MutexGuard<'_, HashMap<K, usize>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Eq + Hash> Drop for KeyedPermit<K> {
    fn drop(&mut self) {
        let mut held = self.semaphore.held();
        if let Some(count) = held.get_mut(&self.key) {
            *count -= self.count;
            if *count == 0 {
                held.remove(&self.key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permits_are_counted_by_key() {
        let semaphore = KeyedSemaphore::<String>::new(2);
        let take = |key: &str| semaphore.try_acquire(key.to_owned());
        let (first, second) = (take("a"), take("a"));
        assert!(first.is_some() && second.is_some() && take("a").is_none());
        assert!(!semaphore.is_available("a") && semaphore.is_available("b"));
        let other = take("b");
        drop((first, second));
        assert!(semaphore.is_available("a"));
        assert_eq!(semaphore.held().keys().collect::<Vec<_>>(), ["b"], "keys without permits are forgotten");
        drop(other);
    }
}
