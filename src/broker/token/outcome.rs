//! Types that describe a refresh: what the caller needs, and how it ended.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::UnixTime;
use crate::vault::VaultError;

/// What somebody wants of a refresh.
#[derive(Clone, Copy, Debug)]
pub(in crate::broker) enum Demand {
    /// A token with so much life left.
    TimeToLive(Duration),
    /// A new token, whatever the old one is good for.
    Forced,
    /// A new token if it is time for one: nobody is waiting.
    Ahead,
}

/// Why there is nothing to send.
#[derive(Clone, Debug)]
pub(in crate::broker) enum Declined {
    /// The token is as fresh as was wanted.
    Fresh,
    /// There is no refresh token.
    NoRefreshToken,
    /// The provider has refused it before.
    NeedsReauth,
    /// Our client there is not configured any more.
    NotConfigured,
    /// The tokens are those of another client than the configured one, and no server would take them from it.
    OtherClient,
    /// It failed just now, and is not to be tried again before this time.
    BackingOff { until: UnixTime, what: String },
}

/// What came of a flight, for everybody who waited.
#[derive(Clone, Debug)]
pub(in crate::broker) enum Outcome {
    /// The new tokens are on disk.
    Refreshed,
    /// Nothing was sent.
    Declined(Declined),
    /// The credential is gone, or was connected again meanwhile.
    Overtaken,
    /// The provider refuses the refresh token.
    NeedsReauth,
    /// It did not come about.
    Failed { what: String, too_slow: bool, until: UnixTime },
    /// The vault could not do its part.
    Vault(Arc<VaultError>),
}
