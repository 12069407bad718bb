//! The keys that an issuer publishes, kept until they are old, and fetched again when a token names one that is not there.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use http::StatusCode;

use crate::clock::{Clock, UnixTime};
use crate::egress::Egress;
use crate::jose::{self, Algorithm, Jwks, JwksFault, JwsFault, Verified};
use crate::oauth::discovery::metadata::{DiscoveryError, Metadata, get};

/// How long keys are used before they are fetched anew, in the background.
const OLD_AFTER: Duration = Duration::from_secs(3600);

/// The least time between two tries to fetch them, whatever tokens name: a stranger can write any `kid` into one.
const TRY_AGAIN_AFTER: Duration = Duration::from_secs(60);

/// One issuer's keys. Cheap to clone; all clones share what was fetched.
#[derive(Clone)]
pub struct IssuerKeys(Arc<Inner>);

struct Inner {
    issuer: String,
    egress: Egress,
    clock: Clock,
    fetched: ArcSwapOption<Fetched>,
    /// When the last try began; whoever holds it fetches, and the others wait for what comes of it.
    tried: tokio::sync::Mutex<Option<UnixTime>>,
}

struct Fetched {
    keys: Jwks,
    at: UnixTime,
}

/// Why a token was not verified.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unverified {
    /// The token itself is no good.
    #[error(transparent)]
    Token(#[from] JwsFault),
    /// The keys could not be fetched, and there are no older ones.
    #[error("the issuer's keys could not be fetched")]
    NoKeys,
}

#[derive(Debug, thiserror::Error)]
enum FetchError {
    #[error(transparent)]
    Discovery(#[from] DiscoveryError),
    #[error("the key set's server answered with status {0}")]
    Status(u16),
    #[error(transparent)]
    Keys(#[from] JwksFault),
}

impl IssuerKeys {
    /// The keys of `issuer`; nothing is fetched before the first token.
    pub fn new(issuer: &str, egress: Egress, clock: Clock) -> Self {
        let (fetched, tried) = (ArcSwapOption::empty(), tokio::sync::Mutex::new(None));
        Self(Arc::new(Inner { issuer: issuer.to_owned(), egress, clock, fetched, tried }))
    }

    /// Checks the signature of a token. A `kid` that is not known fetches the keys once more, at most once a minute (OpenID
    /// Connect Core §10.1.1): keys are rotated without warning.
    ///
    /// # Errors
    /// See [`Unverified`].
    pub async fn verify(&self, token: &str, allowed: &[Algorithm]) -> Result<Verified, Unverified> {
        let Some(known) = self.0.fetched.load_full() else {
            let fetched = self.fetch_after(None).await.ok_or(Unverified::NoKeys)?;
            return Ok(jose::verify(token, &fetched.keys, allowed)?);
        };
        if known.at.is_older_than(OLD_AFTER, self.0.clock.now()) {
            let (this, known) = (self.clone(), Arc::clone(&known));
            tokio::spawn(async move { this.fetch_after(Some(&known)).await });
        }
        match jose::verify(token, &known.keys, allowed) {
            Err(JwsFault::UnknownKey) => {
                let newer = self.fetch_after(Some(&known)).await.ok_or(JwsFault::UnknownKey)?;
                Ok(jose::verify(token, &newer.keys, allowed)?)
            }
            other => Ok(other?),
        }
    }

    /// Keys that are newer than `known`: fetched by us or by whoever was at it already. `None` where it is too early for
    /// another try, or it failed.
    async fn fetch_after(&self, known: Option<&Arc<Fetched>>) -> Option<Arc<Fetched>> {
        let mut tried = self.0.tried.lock().await;
        let there = self.0.fetched.load_full();
        let is_newer = |there: &Arc<Fetched>| known.is_none_or(|known| !Arc::ptr_eq(known, there));
        if let Some(newer) = there.filter(is_newer) {
            return Some(newer);
        }
        let now = self.0.clock.now();
        if tried.is_some_and(|tried| (0..seconds(TRY_AGAIN_AFTER)).contains(&tried.seconds_until(now))) {
            return None;
        }
        *tried = Some(now);
        match self.fetch().await {
            Ok(keys) => {
                let fetched = Arc::new(Fetched { keys, at: now });
                self.0.fetched.store(Some(Arc::clone(&fetched)));
                Some(fetched)
            }
            Err(error) => {
                tracing::warn!(issuer = %self.0.issuer, %error, "an issuer's keys could not be fetched");
                None
            }
        }
    }

    async fn fetch(&self) -> Result<Jwks, FetchError> {
        let metadata = Metadata::fetch(&self.0.egress, &self.0.issuer).await?;
        let url = metadata.jwks_uri.ok_or(DiscoveryError::Missing("jwks_uri"))?.url().clone();
        let answer = get(&self.0.egress, url).await.map_err(DiscoveryError::from)?;
        if answer.status != StatusCode::OK {
            return Err(FetchError::Status(answer.status.as_u16()));
        }
        Ok(Jwks::parse(&answer.body)?)
    }
}

fn seconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_secs()).unwrap_or(i64::MAX)
}
