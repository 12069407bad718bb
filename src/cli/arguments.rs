//! Parsers for the values of options.

use std::fmt::Display;
use std::str::FromStr;

use crate::clock::{Clock, UnixTime};
use crate::duration;

/// `NAME=VALUE`.
pub(super) fn named_value(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("write it as NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

/// `NAME=VALUE` with a value of another type.
pub(super) fn pair<T: FromStr<Err: Display>>(text: &str) -> Result<(String, T), String> {
    let (name, value) = text.split_once('=').filter(|(name, _)| !name.is_empty()).ok_or("write it as NAME=VALUE")?;
    Ok((name.to_owned(), value.parse().map_err(|error: T::Err| error.to_string())?))
}

/// A time of RFC 3339, or Unix seconds.
pub(super) fn time(text: &str) -> Result<UnixTime, String> {
    let seconds = text.parse::<i64>().ok();
    let timestamp = || text.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_second);
    seconds.or_else(timestamp).map(UnixTime).ok_or_else(|| "write a time such as 2027-01-31T00:00:00Z".to_owned())
}

/// A time of RFC 3339, or how long ago.
pub(super) fn moment(text: &str) -> Result<UnixTime, String> {
    if let Ok(at) = text.parse::<jiff::Timestamp>() {
        return Ok(UnixTime(at.as_second()));
    }
    let ago = duration::parse(text)
        .map_err(|_| "write a time such as 2026-01-31T12:00:00Z, or how long ago, such as 24h or 7d".to_owned())?;
    Ok(Clock::system().now().minus(ago))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moment_is_a_time_or_an_age() {
        assert_eq!(moment("2026-01-01T00:00:00Z"), Ok(UnixTime(1_767_225_600)));
        assert_eq!(moment("2026-01-01T01:00:00+01:00"), Ok(UnixTime(1_767_225_600)));
        let day_ago = moment("24h").unwrap();
        assert!((86_400..86_460).contains(&day_ago.seconds_until(Clock::system().now())));
        for text in ["", "yesterday", "2026-01-01", "-1h", "10"] {
            assert!(moment(text).is_err(), "{text}");
        }
    }
}
