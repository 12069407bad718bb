//! Types that describe a refresh: the demand, and the outcome.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::UnixTime;
use crate::vault::VaultError;

/// Demand of a caller on a refresh.
#[derive(Clone, Copy, Debug)]
pub(in crate::broker) enum Demand {
    /// A token with at least this much life left.
    TimeToLive(Duration),
    /// A new token in any case.
    Forced,
    /// A new token if one is due; no caller waits.
    Ahead,
}

/// Reason to send no request.
#[derive(Clone, Debug)]
pub(in crate::broker) enum Declined {
    /// The token has enough life left.
    Fresh,
    /// There is no refresh token.
    NoRefreshToken,
    /// The provider refused the refresh token before.
    NeedsReauth,
    /// The configuration no longer has a client for the provider.
    NotConfigured,
    /// The tokens were issued to another client than the configured one, so the provider would
    /// refuse.
    OtherClient,
    /// The last attempt failed, and the next one is due at `until`.
    BackingOff { until: UnixTime, what: String },
}

/// Outcome of a refresh, for every caller that waited for it.
#[derive(Clone, Debug)]
pub(in crate::broker) enum RefreshOutcome {
    /// The new tokens are on disk.
    Refreshed,
    /// No request was sent.
    Declined(Declined),
    /// The credential was deleted or reconnected meanwhile.
    Overtaken,
    /// The provider refuses the refresh token.
    NeedsReauth,
    /// The refresh failed.
    Failed { what: String, too_slow: bool, until: UnixTime },
    /// The vault failed.
    Vault(Arc<VaultError>),
}
