//! Parsers for the values of options.

use std::fmt::Display;
use std::str::FromStr;

use crate::clock::{Clock, UnixTime};
use crate::duration;

/// Parses `NAME=VALUE`.
pub(super) fn named_value(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("use the form NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

/// Parses `NAME=VALUE` with a value of type `T`.
pub(super) fn pair<T: FromStr<Err: Display>>(text: &str) -> Result<(String, T), String> {
    let (name, value) = text.split_once('=').filter(|(name, _)| !name.is_empty()).ok_or("use the form NAME=VALUE")?;
    Ok((name.to_owned(), value.parse().map_err(|error: T::Err| error.to_string())?))
}

/// Parses Unix seconds or a time of RFC 3339.
pub(super) fn time(text: &str) -> Result<UnixTime, String> {
    let seconds = text.parse::<i64>().ok();
    let timestamp = || text.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_second);
    seconds.or_else(timestamp).map(UnixTime).ok_or_else(|| "use a time such as 2027-01-31T00:00:00Z".to_owned())
}

/// Parses a time of RFC 3339, or an age.
pub(super) fn moment(text: &str) -> Result<UnixTime, String> {
    if let Ok(at) = text.parse::<jiff::Timestamp>() {
        return Ok(UnixTime(at.as_second()));
    }
    let ago = duration::parse(text)
        .map_err(|_| "use a time such as 2026-01-31T12:00:00Z, or an age such as 24h or 7d".to_owned())?;
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
