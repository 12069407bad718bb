//! Cached metadata of one issuer.

use std::sync::Arc;
use std::time::Duration;

use super::cache::{Cache, Fetched};
use super::metadata::{DiscoveryError, Metadata};
use crate::clock::Clock;
use crate::egress::Egress;

/// Minimum time between two failing fetches.
const PAUSE: Duration = Duration::from_secs(10);

/// Metadata of one issuer, fetched on first use. Cheap to clone; clones share the cache.
#[derive(Clone)]
pub struct IssuerMetadata(Arc<Inner>);

struct Inner {
    issuer: String,
    egress: Egress,
    cache: Cache<Arc<Metadata>, DiscoveryError>,
}

impl IssuerMetadata {
    /// Creates an empty cache for `issuer`.
    pub fn new(issuer: &str, egress: Egress, clock: Clock) -> Self {
        Self(Arc::new(Inner { issuer: issuer.to_owned(), egress, cache: Cache::new(clock, PAUSE) }))
    }

    /// Returns the metadata. The first caller waits for the fetch; old metadata are returned while
    /// new ones are fetched in the background.
    ///
    /// # Errors
    /// The error of the last fetch, if there are no metadata.
    pub async fn get(&self) -> Result<Arc<Metadata>, DiscoveryError> {
        let Some(known) = self.0.cache.current() else { return self.fetch(None).await };
        if self.0.cache.is_old(&known) {
            let (this, known) = (self.clone(), Arc::clone(&known));
            tokio::spawn(async move {
                if let Err(error) = this.fetch(Some(&known)).await {
                    tracing::warn!(issuer = %this.0.issuer, %error, "metadata could not be renewed");
                }
            });
        }
        Ok(Arc::clone(&known.document))
    }

    async fn fetch(&self, known: Option<&Arc<Fetched<Arc<Metadata>>>>) -> Result<Arc<Metadata>, DiscoveryError> {
        let fetch = async { Metadata::fetch(&self.0.egress, &self.0.issuer).await.map(Arc::new) };
        Ok(Arc::clone(&self.0.cache.newer(known, fetch).await?.document))
    }
}
