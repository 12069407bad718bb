//! Lifetimes in token responses: relative or absolute, in every unit that providers use.

use std::time::Duration;

use http::header;
use serde_json::Value;

use crate::catalog::entry::ExpiryUnit;
use crate::egress::EgressResponse;

/// Maximum lifetime, in seconds: a hundred years.
const MAX_LIFETIME: f64 = 100.0 * 365.0 * 86_400.0;

/// Reads a lifetime, as a number or a numeric string. Zero, negative and unreadable values are
/// ignored: servers send them for tokens that do not end.
///
/// An absolute time is taken relative to `date`, the response's own `Date`, because our clock may
/// be wrong by more than a token lives.
pub(super) fn lifetime(member: Option<&Value>, unit: ExpiryUnit, date: Option<f64>) -> Option<Duration> {
    let number = |value: &Value| -> Option<f64> {
        match value {
            Value::Number(number) => number.as_f64(),
            Value::String(text) => text.trim().parse().ok(),
            _ => None,
        }
    };
    let seconds = match unit {
        ExpiryUnit::Seconds => number(member?)?,
        ExpiryUnit::Milliseconds => number(member?)? / 1000.0,
        ExpiryUnit::UnixSeconds => number(member?)? - date?,
        ExpiryUnit::UnixMilliseconds => number(member?)? / 1000.0 - date?,
        ExpiryUnit::Date => {
            let end: jiff::Timestamp = member?.as_str()?.trim().parse().ok()?;
            end.as_duration().as_secs_f64() - date?
        }
    };
    plausible(seconds)
}

/// Reads a number of seconds.
pub(super) fn seconds(member: Option<&Value>) -> Option<Duration> {
    lifetime(member, ExpiryUnit::Seconds, None)
}

/// Returns the lifetime if it is at least one second, capped at a hundred years.
pub(super) fn plausible(seconds: f64) -> Option<Duration> {
    (seconds >= 1.0 && seconds.is_finite()).then(|| Duration::from_secs_f64(seconds.min(MAX_LIFETIME).trunc()))
}

/// Returns the time at which the provider sent the response (RFC 9110 §6.6.1), in Unix seconds.
pub(super) fn sent_at(response: &EgressResponse) -> Option<f64> {
    let date = response.headers.get(header::DATE)?.to_str().ok()?;
    Some(jiff::fmt::rfc2822::parse(date).ok()?.timestamp().as_duration().as_secs_f64())
}
