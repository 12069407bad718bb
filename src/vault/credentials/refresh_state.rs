//! The state of the refreshes of a credential: what is known of its tokens without opening them,
//! and the last error.

use std::time::Duration;

use crate::clock::UnixTime;
use crate::vault::crypto::encoding::{FieldWriter, Fields};
use crate::vault::secrets::credential_secret::{CredentialSecret, Tokens};

/// The state of the refreshes of an OAuth credential; unused for the other kinds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RefreshState {
    /// True if there is a refresh token; `None` for a credential that version 1 of the vault
    /// stored.
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
    /// Time of the background's next refresh. It is not sealed, and no security decision
    /// depends on it.
    pub refresh_at: Option<UnixTime>,
}

/// An error and its time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastError {
    /// The time.
    pub at: UnixTime,
    /// The reason, sanitized and without any secret.
    pub what: String,
}

/// Tags of the fields in sealed metadata, after those of `credential_record.rs`.
mod tag {
    pub(super) const POSSIBLE: u8 = 20;
    pub(super) const LIFETIME: u8 = 21;
    pub(super) const LAPSES_AT: u8 = 22;
    pub(super) const FAILURES: u8 = 23;
    pub(super) const NEXT_TRY: u8 = 24;
    pub(super) const TOLD_TO_WAIT: u8 = 25;
    pub(super) const ERROR_AT: u8 = 26;
    pub(super) const ERROR: u8 = 27;
    pub(super) const RESTORES: u8 = 28;
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

    /// Adds the sealed part. Without any of it, a credential is written as version 1 wrote it.
    pub(crate) fn write(&self, fields: FieldWriter) -> FieldWriter {
        let error = self.last_error.as_ref();
        fields
            .int(tag::POSSIBLE, self.possible.map(i64::from))
            .int(tag::LIFETIME, self.lifetime.map(|life| i64::try_from(life.as_secs()).unwrap_or(i64::MAX)))
            .int(tag::LAPSES_AT, self.lapses_at.map(|at| at.0))
            .int(tag::FAILURES, (self.failures > 0).then_some(i64::from(self.failures)))
            .int(tag::NEXT_TRY, self.next_try.map(|at| at.0))
            .int(tag::TOLD_TO_WAIT, self.told_to_wait.then_some(1))
            .int(tag::ERROR_AT, error.map(|error| error.at.0))
            .optional(tag::ERROR, error.map(|error| error.what.as_str()))
            .int(tag::RESTORES, (self.restores > 0).then_some(i64::from(self.restores)))
    }

    /// Reads the sealed part, and the plain-text columns.
    pub(crate) fn read(fields: &Fields<'_>, in_doubt: Option<i64>, refresh_at: Option<i64>) -> Self {
        let time = |tag| fields.int(tag).map(UnixTime);
        Self {
            possible: fields.int(tag::POSSIBLE).map(|possible| possible != 0),
            lifetime: fields.int(tag::LIFETIME).map(|life| Duration::from_secs(life.unsigned_abs())),
            lapses_at: time(tag::LAPSES_AT),
            in_doubt_since: in_doubt.map(UnixTime),
            failures: fields.int(tag::FAILURES).and_then(|count| u32::try_from(count).ok()).unwrap_or(0),
            next_try: time(tag::NEXT_TRY),
            told_to_wait: fields.int(tag::TOLD_TO_WAIT).is_some(),
            last_error: time(tag::ERROR_AT).zip(fields.owned(tag::ERROR)).map(|(at, what)| LastError { at, what }),
            restores: fields.int(tag::RESTORES).and_then(|count| u32::try_from(count).ok()).unwrap_or(0),
            refresh_at: refresh_at.map(UnixTime),
        }
    }
}
