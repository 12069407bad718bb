//! Single flight: of all who want a credential refreshed at one time, one refresh is sent and everybody gets its outcome.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;

use crate::id::CredentialId;

/// The refreshes under way, one at most for each credential. Those of different credentials share nothing but this table,
/// which is held for no longer than it takes to look into it.
pub(in crate::broker) struct SingleFlight<O>(Arc<Mutex<HashMap<CredentialId, watch::Receiver<Option<O>>>>>);

/// Where a flight says what came of it. It may go on working after that: who comes then gets the same outcome at once.
pub(in crate::broker) struct Announce<O> {
    /// Dropped before the sender: who finds that nothing was said finds no flight in the table either.
    _end: EndGuard<O>,
    waiting: watch::Sender<Option<O>>,
}

impl<O> Announce<O> {
    /// Tells everybody who waits.
    pub(in crate::broker) fn outcome(&self, outcome: O) {
        self.waiting.send_replace(Some(outcome));
    }
}

impl<O> Default for SingleFlight<O> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<O: Clone + Send + Sync + 'static> SingleFlight<O> {
    /// Waits for the flight of this credential, where there is none begins it with `fly`. It is a task of its own: who stops
    /// waiting stops nothing. Gives the outcome, and whether the flight was begun here; `None` where it panicked.
    pub(in crate::broker) async fn join<F>(
        &self,
        id: CredentialId,
        fly: impl FnOnce(Announce<O>) -> F,
    ) -> (Option<O>, bool)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let (mut outcome, begun_here) = self.board(id, fly);
        let announced = outcome.wait_for(Option::is_some).await;
        (announced.ok().and_then(|outcome| outcome.clone()), begun_here)
    }

    /// Whether one is under way for this credential.
    pub(in crate::broker) fn are_under_way(&self, id: &CredentialId) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains_key(id)
    }

    fn board<F>(&self, id: CredentialId, fly: impl FnOnce(Announce<O>) -> F) -> (watch::Receiver<Option<O>>, bool)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let mut flights = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(there) = flights.get(&id) {
            return (there.clone(), false);
        }
        let (announce, outcome) = watch::channel(None);
        flights.insert(id, outcome.clone());
        let end = EndGuard { id, flights: Arc::clone(&self.0) };
        tokio::spawn(fly(Announce { _end: end, waiting: announce }));
        (outcome, true)
    }
}

/// Takes the flight out of the table, whatever ended it.
struct EndGuard<O> {
    id: CredentialId,
    flights: Arc<Mutex<HashMap<CredentialId, watch::Receiver<Option<O>>>>>,
}

impl<O> Drop for EndGuard<O> {
    fn drop(&mut self) {
        self.flights.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::time::Duration;

    use super::*;

    fn id(last: u8) -> CredentialId {
        format!("0192d3f0-7c3a-7000-8000-0000000000{last:02x}").parse().unwrap()
    }

    #[tokio::test]
    async fn everybody_gets_the_outcome_of_the_one_flight() {
        let (flights, begun) = (SingleFlight::<u32>::default(), AtomicU32::new(0));
        let fly = |announce: Announce<u32>| {
            begun.fetch_add(1, Ordering::SeqCst);
            async move {
                tokio::time::sleep(Duration::from_millis(5)).await;
                announce.outcome(7);
            }
        };
        let all = futures_util::future::join_all((0..100).map(|_| flights.join(id(1), fly))).await;
        assert!(all.iter().all(|(outcome, _)| *outcome == Some(7)));
        assert_eq!(all.iter().filter(|(_, begun_here)| *begun_here).count(), 1);
        assert_eq!(begun.load(Ordering::SeqCst), 1);
        tokio::task::yield_now().await;
        assert_eq!(flights.join(id(1), fly).await, (Some(7), true), "it has landed");
    }

    #[tokio::test]
    async fn who_stops_waiting_stops_nothing() {
        let flights = SingleFlight::<u32>::default();
        let (done, seen) = tokio::sync::oneshot::channel();
        let joined = flights.join(id(1), |announce| async move {
            tokio::time::sleep(Duration::from_millis(20)).await;
            announce.outcome(1);
            done.send(()).unwrap();
        });
        assert!(tokio::time::timeout(Duration::from_millis(1), joined).await.is_err());
        seen.await.unwrap();
    }

    #[tokio::test]
    async fn a_flight_that_panics_leaves_nobody_waiting() {
        let flights = SingleFlight::<u32>::default();
        let joined = flights.join(id(1), |announce| async move {
            let _announce = announce;
            panic!("on purpose")
        });
        let joined = joined.await;
        assert_eq!(joined, (None, true));
        let again = flights.join(id(1), |announce| async move { announce.outcome(2) }).await;
        assert_eq!(again.0, Some(2));
    }
}
