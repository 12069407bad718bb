//! The metadata of one issuer, kept and renewed in the background, so that no request but the first waits for them.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use tokio::sync::Mutex;

use super::metadata::{DiscoveryError, Metadata};
use crate::clock::{Clock, UnixTime};
use crate::egress::Egress;

/// How long metadata are used before they are fetched anew, in the background.
const OLD_AFTER: Duration = Duration::from_secs(3600);

/// The least time between two tries to fetch them.
const TRY_AGAIN_AFTER: i64 = Duration::from_secs(10).as_secs().cast_signed();

/// One issuer's metadata. Cheap to clone; all clones share what was fetched.
#[derive(Clone)]
pub struct IssuerMetadata(Arc<Inner>);

struct Inner {
    issuer: String,
    egress: Egress,
    clock: Clock,
    fetched: ArcSwapOption<Fetched>,
    /// The last try that failed; whoever holds it fetches, and the others wait for what comes of it.
    failed: Mutex<Option<(UnixTime, DiscoveryError)>>,
}

struct Fetched {
    metadata: Arc<Metadata>,
    at: UnixTime,
}

impl IssuerMetadata {
    /// The metadata of `issuer`; nothing is fetched before they are asked for.
    pub fn new(issuer: &str, egress: Egress, clock: Clock) -> Self {
        let (fetched, failed) = (ArcSwapOption::empty(), Mutex::new(None));
        Self(Arc::new(Inner { issuer: issuer.to_owned(), egress, clock, fetched, failed }))
    }

    /// The metadata: fetched now for the first one who asks, and from memory for all others. Old ones are served while new ones
    /// are fetched, for as long as it takes.
    ///
    /// # Errors
    /// Why there are none; for a few seconds without asking again.
    pub async fn get(&self) -> Result<Arc<Metadata>, DiscoveryError> {
        let Some(known) = self.0.fetched.load_full() else { return self.fetch_after(None).await };
        if known.at.is_older_than(OLD_AFTER, self.0.clock.now()) {
            let (this, known) = (self.clone(), Arc::clone(&known));
            tokio::spawn(async move {
                if let Err(error) = this.fetch_after(Some(&known)).await {
                    tracing::warn!(issuer = %this.0.issuer, %error, "an issuer's metadata could not be renewed");
                }
            });
        }
        Ok(Arc::clone(&known.metadata))
    }

    async fn fetch_after(&self, known: Option<&Arc<Fetched>>) -> Result<Arc<Metadata>, DiscoveryError> {
        let mut failed = self.0.failed.lock().await;
        let is_newer = |there: &Arc<Fetched>| known.is_none_or(|known| !Arc::ptr_eq(known, there));
        if let Some(newer) = self.0.fetched.load_full().filter(is_newer) {
            return Ok(Arc::clone(&newer.metadata));
        }
        let now = self.0.clock.now();
        if let Some((at, error)) = failed.as_ref()
            && (0..TRY_AGAIN_AFTER).contains(&at.seconds_until(now))
        {
            return Err(error.clone());
        }
        match Metadata::fetch(&self.0.egress, &self.0.issuer).await {
            Ok(metadata) => {
                let metadata = Arc::new(metadata);
                *failed = None;
                self.0.fetched.store(Some(Arc::new(Fetched { metadata: Arc::clone(&metadata), at: now })));
                Ok(metadata)
            }
            Err(error) => {
                *failed = Some((now, error.clone()));
                Err(error)
            }
        }
    }
}
