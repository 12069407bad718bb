//! Cached keys of one issuer, for the signatures of its tokens.

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;

use crate::clock::Clock;
use crate::egress::Egress;
use crate::jose::{self, Algorithm, Jwks, JwksError, JwsError, Verified};
use crate::oauth::discovery::cache::{Cache, Fetched};
use crate::oauth::discovery::metadata::{DiscoveryError, Metadata, get};

/// Minimum time between two fetches. Without it, tokens with invented `kid`s could make us fetch
/// without end.
const PAUSE: Duration = Duration::from_secs(60);

/// Keys of one issuer, fetched on first use. Cheap to clone; clones share the cache.
#[derive(Clone)]
pub struct IssuerKeys(Arc<Inner>);

struct Inner {
    issuer: String,
    egress: Egress,
    cache: Cache<Jwks, FetchError>,
}

/// Reason why a token was not verified.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// The token itself is invalid.
    #[error(transparent)]
    Token(#[from] JwsError),
    /// The keys could not be fetched, and there are no older ones.
    #[error("the issuer's keys could not be fetched")]
    NoKeys,
}

#[derive(Clone, Debug, thiserror::Error)]
enum FetchError {
    #[error(transparent)]
    Discovery(#[from] DiscoveryError),
    #[error("the key set's server answered with status {0}")]
    Status(u16),
    #[error(transparent)]
    Keys(#[from] JwksError),
}

impl IssuerKeys {
    /// Creates an empty cache for `issuer`.
    pub fn new(issuer: &str, egress: Egress, clock: Clock) -> Self {
        Self(Arc::new(Inner { issuer: issuer.to_owned(), egress, cache: Cache::new(clock, PAUSE) }))
    }

    /// Verifies the signature of a token. An unknown `kid` fetches the keys again, at most once a
    /// minute: issuers rotate keys without notice (OpenID Connect Core §10.1.1).
    ///
    /// # Errors
    /// See [`VerifyError`].
    pub async fn verify(&self, token: &str, allowed: &[Algorithm]) -> Result<Verified, VerifyError> {
        let Some(known) = self.0.cache.current() else {
            let fetched = self.fetch(None).await.ok_or(VerifyError::NoKeys)?;
            return Ok(jose::verify(token, &fetched.document, allowed)?);
        };
        if self.0.cache.is_old(&known) {
            let (this, known) = (self.clone(), Arc::clone(&known));
            tokio::spawn(async move { this.fetch(Some(&known)).await });
        }
        match jose::verify(token, &known.document, allowed) {
            Err(JwsError::UnknownKey) => {
                let newer = self.fetch(Some(&known)).await.ok_or(JwsError::UnknownKey)?;
                Ok(jose::verify(token, &newer.document, allowed)?)
            }
            other => Ok(other?),
        }
    }

    async fn fetch(&self, known: Option<&Arc<Fetched<Jwks>>>) -> Option<Arc<Fetched<Jwks>>> {
        let fetch = async {
            let fetched = self.0.fetch().await;
            if let Err(error) = &fetched {
                tracing::warn!(issuer = %self.0.issuer, %error, "an issuer's keys could not be fetched");
            }
            fetched
        };
        self.0.cache.newer(known, fetch).await.ok()
    }
}

impl Inner {
    async fn fetch(&self) -> Result<Jwks, FetchError> {
        // A document without keys may stand before the one of OpenID, which has them.
        let keys = |metadata: Metadata| metadata.jwks_uri.ok_or(DiscoveryError::Missing("jwks_uri"));
        let url = Metadata::fetch_usable(&self.egress, &self.issuer, keys).await?;
        let response = get(&self.egress, url.url().clone()).await.map_err(DiscoveryError::from)?;
        if response.status != StatusCode::OK {
            return Err(FetchError::Status(response.status.as_u16()));
        }
        Ok(Jwks::parse(&response.body)?)
    }
}
