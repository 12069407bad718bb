//! How the refreshing of a credential stands: what is known of its tokens without opening them, and what went wrong.

use std::time::Duration;

use crate::clock::UnixTime;
use crate::vault::crypto::encoding::{FieldWriter, Fields};
use crate::vault::secrets::credential_secret::{CredentialSecret, Tokens};

/// How the refreshing of an OAuth credential stands. For the other kinds it says nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RefreshState {
    /// Whether there is a refresh token; unknown of a credential that version 1 of the vault stored.
    pub possible: Option<bool>,
    /// For how long the access token was given, counted from when it came.
    pub lifetime: Option<Duration>,
    /// When the refresh token lapses where it is not used, as far as that is known.
    pub lapses_at: Option<UnixTime>,
    /// Since when a refresh may have happened of which we do not know: one was sent, and its answer never came whole.
    /// While a refresh is under way it stands here too, so that a crash leaves it.
    pub in_doubt_since: Option<UnixTime>,
    /// How many tries in a row have failed.
    pub failures: u32,
    /// Before when it is not to be tried again.
    pub next_try: Option<UnixTime>,
    /// Whether the provider named that time, and it is not a guess of ours.
    pub told_to_wait: bool,
    /// What went wrong the last time; gone with the next success.
    pub last_error: Option<LastError>,
    /// How often the vault had been restored when these tokens came.
    pub restores: u32,
    /// When the background looks at it next. It is not sealed, and decides nothing.
    pub refresh_at: Option<UnixTime>,
}

/// What went wrong, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastError {
    /// When.
    pub at: UnixTime,
    /// What, in words that are fit to be shown: cleaned, and without any secret.
    pub what: String,
}

/// Tags of the fields in a sealed summary, after those of `credential_record.rs`.
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
    /// Of a credential that was just stored or connected again.
    pub(in crate::vault) fn fresh(material: &CredentialSecret, refresh_at: Option<UnixTime>) -> Self {
        match material {
            CredentialSecret::OAuth2(tokens) => Self::after(tokens, refresh_at),
            _ => Self::default(),
        }
    }

    /// Of a credential whose tokens just came.
    pub(in crate::vault) fn after(tokens: &Tokens, refresh_at: Option<UnixTime>) -> Self {
        Self {
            possible: Some(tokens.can_be_renewed()),
            lifetime: tokens.lifetime,
            lapses_at: tokens.refresh_expires_at,
            refresh_at,
            ..Self::default()
        }
    }

    /// Adds the sealed part. A credential that has nothing of it is written as version 1 wrote it.
    pub(in crate::vault) fn write(&self, fields: FieldWriter) -> FieldWriter {
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

    /// Reads it back, with what stands in the clear beside it.
    pub(in crate::vault) fn read(fields: &Fields<'_>, in_doubt: Option<i64>, refresh_at: Option<i64>) -> Self {
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
