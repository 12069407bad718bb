//! A cache of one document of an issuer, renewed in the background.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use tokio::sync::Mutex;

use crate::clock::{Clock, UnixTime};

/// Age at which a document is fetched again, in the background.
const RENEW_AFTER: Duration = Duration::from_secs(3600);

/// One cached document, and the outcome of the last fetch.
pub(in crate::oauth) struct Cache<T, E> {
    clock: Clock,
    /// Minimum time between two fetches.
    pause: Duration,
    current: ArcSwapOption<Fetched<T>>,
    /// Time of the last fetch, and its error. Its holder fetches; all others wait for the outcome.
    last: Mutex<Option<(UnixTime, Option<E>)>>,
}

/// A document and the time at which it was fetched.
pub(in crate::oauth) struct Fetched<T> {
    pub(in crate::oauth) document: T,
    at: UnixTime,
}

impl<T, E: Clone> Cache<T, E> {
    pub(in crate::oauth) fn new(clock: Clock, pause: Duration) -> Self {
        Self { clock, pause, current: ArcSwapOption::empty(), last: Mutex::new(None) }
    }

    /// Returns the cached document; `None` before the first successful fetch.
    pub(in crate::oauth) fn current(&self) -> Option<Arc<Fetched<T>>> {
        self.current.load_full()
    }

    /// Returns true if the document is old enough to be fetched again.
    pub(in crate::oauth) fn is_old(&self, fetched: &Fetched<T>) -> bool {
        fetched.at.is_older_than(RENEW_AFTER, self.clock.now())
    }

    /// Returns a document that is newer than `known`, from another caller's fetch or from `fetch`.
    /// Within the pause after a fetch, returns the outcome of that fetch again.
    ///
    /// # Errors
    /// The error of the fetch.
    pub(in crate::oauth) async fn newer(
        &self,
        known: Option<&Arc<Fetched<T>>>,
        fetch: impl Future<Output = Result<T, E>>,
    ) -> Result<Arc<Fetched<T>>, E> {
        let mut last = self.last.lock().await;
        let is_newer = |fetched: &Arc<Fetched<T>>| known.is_none_or(|known| !Arc::ptr_eq(known, fetched));
        if let Some(newer) = self.current().filter(is_newer) {
            return Ok(newer);
        }
        let now = self.clock.now();
        let pause = i64::try_from(self.pause.as_secs()).unwrap_or(i64::MAX);
        if let Some((at, error)) = last.as_ref()
            && (0..pause).contains(&at.seconds_until(now))
        {
            match (error, self.current()) {
                (Some(error), _) => return Err(error.clone()),
                (None, Some(current)) => return Ok(current),
                (None, None) => {}
            }
        }
        match fetch.await {
            Ok(document) => {
                *last = Some((now, None));
                let fetched = Arc::new(Fetched { document, at: now });
                self.current.store(Some(Arc::clone(&fetched)));
                Ok(fetched)
            }
            Err(error) => {
                *last = Some((now, Some(error.clone())));
                Err(error)
            }
        }
    }
}
