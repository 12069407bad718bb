//! Single-flight refresh: concurrent callers of one credential share one refresh and its outcome.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;

use crate::id::CredentialId;

/// Refreshes under way, at most one per credential. The lock is held only for a look into the
/// table.
pub(in crate::broker) struct SingleFlight<O>(Arc<Mutex<HashMap<CredentialId, watch::Receiver<Option<O>>>>>);

/// Announces the outcome of a refresh to all waiting callers. The refresh may continue after that;
/// later callers get the same outcome at once.
pub(in crate::broker) struct Announce<O> {
    /// Dropped before the sender: a caller that sees no outcome then also finds no entry in the
    /// table.
    _end: EndGuard<O>,
    waiting: watch::Sender<Option<O>>,
}

impl<O> Announce<O> {
    /// Announces the outcome.
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
    /// Joins the refresh of this credential, or starts one with `run` as a task of its own, so that
    /// a caller may stop waiting. Returns the outcome, `None` if the task panicked, and true if it
    /// was started here.
    pub(in crate::broker) async fn join<F>(
        &self,
        id: CredentialId,
        run: impl FnOnce(Announce<O>) -> F,
    ) -> (Option<O>, bool)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let (mut outcome, started_here) = self.join_or_start(id, run);
        let announced = outcome.wait_for(Option::is_some).await;
        (announced.ok().and_then(|outcome| outcome.clone()), started_here)
    }

    /// Returns true if a refresh of this credential is under way.
    pub(in crate::broker) fn are_under_way(&self, id: &CredentialId) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains_key(id)
    }

    fn join_or_start<F>(
        &self,
        id: CredentialId,
        run: impl FnOnce(Announce<O>) -> F,
    ) -> (watch::Receiver<Option<O>>, bool)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let mut single_flight = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(there) = single_flight.get(&id) {
            return (there.clone(), false);
        }
        let (announce, outcome) = watch::channel(None);
        single_flight.insert(id, outcome.clone());
        let end = EndGuard { id, single_flight: Arc::clone(&self.0) };
        tokio::spawn(run(Announce { _end: end, waiting: announce }));
        (outcome, true)
    }
}

/// Removes the table entry when the refresh ends, however it ends.
struct EndGuard<O> {
    id: CredentialId,
    single_flight: Arc<Mutex<HashMap<CredentialId, watch::Receiver<Option<O>>>>>,
}

impl<O> Drop for EndGuard<O> {
    fn drop(&mut self) {
        self.single_flight.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.id);
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
    async fn concurrent_callers_share_one_outcome() {
        let (single_flight, begun) = (SingleFlight::<u32>::default(), AtomicU32::new(0));
        let run = |announce: Announce<u32>| {
            begun.fetch_add(1, Ordering::SeqCst);
            async move {
                tokio::time::sleep(Duration::from_millis(5)).await;
                announce.outcome(7);
            }
        };
        let all = futures_util::future::join_all((0..100).map(|_| single_flight.join(id(1), run))).await;
        assert!(all.iter().all(|(outcome, _)| *outcome == Some(7)));
        assert_eq!(all.iter().filter(|(_, started_here)| *started_here).count(), 1);
        assert_eq!(begun.load(Ordering::SeqCst), 1);
        tokio::task::yield_now().await;
        assert_eq!(single_flight.join(id(1), run).await, (Some(7), true), "it has landed");
    }

    #[tokio::test]
    async fn refresh_continues_without_its_caller() {
        let single_flight = SingleFlight::<u32>::default();
        let (done, seen) = tokio::sync::oneshot::channel();
        let joined = single_flight.join(id(1), |announce| async move {
            tokio::time::sleep(Duration::from_millis(20)).await;
            announce.outcome(1);
            done.send(()).unwrap();
        });
        assert!(tokio::time::timeout(Duration::from_millis(1), joined).await.is_err());
        seen.await.unwrap();
    }

    #[tokio::test]
    async fn panic_releases_waiting_callers() {
        let single_flight = SingleFlight::<u32>::default();
        let joined = single_flight.join(id(1), |announce| async move {
            let _announce = announce;
            panic!("on purpose")
        });
        let joined = joined.await;
        assert_eq!(joined, (None, true));
        let again = single_flight.join(id(1), |announce| async move { announce.outcome(2) }).await;
        assert_eq!(again.0, Some(2));
    }
}
