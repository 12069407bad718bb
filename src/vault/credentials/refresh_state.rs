//! The state of the refreshes of a credential: what is known of its tokens without opening them,
//! and the last error.

use std::time::Duration;

use crate::clock::UnixTime;
use crate::vault::crypto::fields::fields;
use crate::vault::secrets::credential_secret::{CredentialSecret, Tokens};

/// The state of the refreshes of an OAuth credential; unused for the other kinds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RefreshState {
    /// True if there is a refresh token; `None` for the kinds without tokens.
    pub possible: Option<bool>,
    /// Lifetime of the access token when it was issued.
    pub lifetime: Option<Duration>,
    /// Time at which an unused refresh token expires, if known.
    pub lapses_at: Option<UnixTime>,
    /// Start of a refresh whose outcome is unknown: it was sent, and no complete answer came.
    /// It is also set while a refresh is running, so that a crash leaves the marker.
    pub in_doubt_since: Option<UnixTime>,
    /// Number of failed attempts in a row.
    pub failures: u32,
    /// Earliest time of the next attempt.
    pub next_try: Option<UnixTime>,
    /// True if the provider named that time.
    pub told_to_wait: bool,
    /// The last error; removed by the next success.
    pub last_error: Option<LastError>,
    /// Number of restores of the vault when these tokens were stored.
    pub restores: u32,
    /// Time of the background's next refresh. The row's column counts and not the sealed value;
    /// no security decision depends on it.
    pub refresh_at: Option<UnixTime>,
    /// Time of the first of the provider's refusals that are not understood, since the last success.
    pub refused_since: Option<UnixTime>,
}

/// An error and its time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastError {
    /// The time.
    pub at: UnixTime,
    /// The reason, sanitized and without any secret.
    pub what: String,
}

fields! {
    RefreshState {
        1 possible,
        2 lifetime,
        3 lapses_at,
        4 in_doubt_since,
        5 failures,
        6 next_try,
        7 told_to_wait,
        8 last_error,
        9 restores,
        10 refresh_at,
        11 refused_since,
    }
}

fields! {
    LastError {
        1 at,
        2 what,
    }
}

impl RefreshState {
    /// The state of a credential that was just stored or reconnected.
    pub(crate) fn fresh(material: &CredentialSecret, refresh_at: Option<UnixTime>) -> Self {
        match material {
            CredentialSecret::OAuth2(tokens) => Self::after(tokens, refresh_at),
            _ => Self::default(),
        }
    }

    /// The state after new tokens.
    pub(crate) fn after(tokens: &Tokens, refresh_at: Option<UnixTime>) -> Self {
        Self {
            possible: Some(tokens.can_be_renewed()),
            lifetime: tokens.lifetime,
            lapses_at: tokens.refresh_expires_at,
            refresh_at,
            ..Self::default()
        }
    }
}
