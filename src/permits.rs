//! Counting semaphores by key: so many permits for each address, provider or user. One kind refuses
//! what goes beyond them, the other lets it wait.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

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

/// A number of places for each key, for which a bounded number may wait. Unused keys take
/// no memory.
#[derive(Debug)]
pub(crate) struct KeyedQueue<K> {
    places: usize,
    waiting: usize,
    queues: Mutex<HashMap<K, Weak<Queue>>>,
}

/// Queue of one key.
#[derive(Debug)]
struct Queue {
    places: Arc<Semaphore>,
    /// Number of those who have a place or wait for one.
    inside: AtomicUsize,
}

/// A place of a key, or the wait for it.
#[derive(Debug)]
struct Entered(Arc<Queue>);

/// A place of a key, free again when this is dropped.
#[derive(Debug)]
pub(crate) struct Turn {
    _place: OwnedSemaphorePermit,
    _entered: Entered,
}

impl<K: Eq + Hash> KeyedQueue<K> {
    pub(crate) fn new(places: usize, waiting: usize) -> Self {
        Self { places, waiting, queues: Mutex::default() }
    }

    /// Waits for a place of the key; `None` if too many wait already.
    pub(crate) async fn take(&self, key: K) -> Option<Turn> {
        let entered = self.enter(key)?;
        let place = entered.0.places.clone().acquire_owned().await.ok()?;
        Some(Turn { _place: place, _entered: entered })
    }

    fn enter(&self, key: K) -> Option<Entered> {
        let mut queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        queues.retain(|_, queue| queue.strong_count() > 0);
        let queue = queues.get(&key).and_then(Weak::upgrade).unwrap_or_else(|| {
            Arc::new(Queue { places: Arc::new(Semaphore::new(self.places)), inside: AtomicUsize::new(0) })
        });
        queues.insert(key, Arc::downgrade(&queue));
        // Under the lock: no other call counts at the same time.
        if queue.inside.load(Ordering::SeqCst) >= self.places + self.waiting {
            return None;
        }
        queue.inside.fetch_add(1, Ordering::SeqCst);
        Some(Entered(queue))
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        self.0.inside.fetch_sub(1, Ordering::SeqCst);
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

    #[tokio::test]
    async fn places_are_taken_in_turn_and_few_wait() {
        let queue = KeyedQueue::new(1, 1);
        let first = queue.take("a").await.unwrap();
        let other = queue.take("b").await.unwrap();
        let mut second = std::pin::pin!(queue.take("a"));
        assert!(futures_util::poll!(second.as_mut()).is_pending());
        assert!(queue.take("a").await.is_none(), "one waits already");
        drop(first);
        let second = second.await.unwrap();
        let mut given_up = Box::pin(queue.take("a"));
        assert!(futures_util::poll!(given_up.as_mut()).is_pending());
        drop(given_up);
        let mut third = std::pin::pin!(queue.take("a"));
        assert!(futures_util::poll!(third.as_mut()).is_pending(), "who gave up waits no more");
        drop((second, other));
        let third = third.await.unwrap();
        assert_eq!(queue.queues.lock().unwrap().values().filter(|queue| queue.strong_count() > 0).count(), 1);
        drop(third);
    }
}
