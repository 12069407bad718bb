//! Parsers for the values of options.

use std::fmt::Display;
use std::str::FromStr;
use std::time::Duration;

use url::Url;

use crate::cli::failure::Failure;
use crate::clock::{Clock, UnixTime};
use crate::duration;
use crate::validation::exceeded_limit;

/// Parses the URL of a running server. It is not parsed with the other arguments, because an error
/// must not show a URL that may hold a password.
pub(super) fn server_url(option: &str, text: &str) -> Result<Url, Failure> {
    let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    let url = url.ok_or_else(|| Failure::configuration(format!("{option} is not an http or https URL")))?;
    if !url.username().is_empty() || url.password().is_some() || url.query().is_some() || url.fragment().is_some() {
        let fault = format!("{option} must be a URL without a user, a password, a query and a fragment");
        return Err(Failure::configuration(fault).advise("the server takes an API key: see the help of the command"));
    }
    Ok(url)
}

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

/// The new end of an API key; `None`: never.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NewEnd(pub(super) Option<UnixTime>);

/// Parses a time to wait, of at least a second.
pub(super) fn wait(text: &str) -> Result<Duration, String> {
    let length = duration::parse(text)?;
    if length.as_secs() == 0 {
        return Err(format!("'{text}' would end at once; use a longer time, for example \"10m\""));
    }
    Ok(length)
}

/// Parses the name of an API key.
pub(super) fn key_name(text: &str) -> Result<String, String> {
    // An API key's name has the limit of a credential's title.
    exceeded_limit("title", &text.into()).map_or_else(|| Ok(text.to_owned()), Err)
}

/// Parses a lifetime of at least a second, which ends before the year 10000, and returns its end.
pub(super) fn lifetime(text: &str) -> Result<UnixTime, String> {
    let length = duration::parse(text)?;
    if length.as_secs() == 0 {
        return Err(format!("'{text}' would end at once; use a longer time, for example \"90d\""));
    }
    let end = Clock::system().now().plus(length);
    match jiff::Timestamp::from_second(end.0) {
        Ok(_) => Ok(end),
        Err(_) => Err(format!("'{text}' ends after the year 9999; leave the option out for no end")),
    }
}

/// Parses a lifetime, or `never`.
pub(super) fn new_end(text: &str) -> Result<NewEnd, String> {
    if text == "never" { Ok(NewEnd(None)) } else { Ok(NewEnd(Some(lifetime(text)?))) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lifetime_is_not_zero_and_does_not_overflow() {
        let now = Clock::system().now();
        assert!((86_400..86_460).contains(&now.seconds_until(lifetime("24h").unwrap())));
        for text in ["0s", "0d", "999ms", "9000000d", "7304484d", "999999999999h", "-1d", "never", ""] {
            assert!(lifetime(text).is_err(), "{text}");
        }
        assert!(wait("0s").is_err() && wait("999ms").is_err() && wait("1s").is_ok());
        assert_eq!(new_end("never"), Ok(NewEnd(None)));
        assert!(new_end("0s").is_err() && new_end("1s").is_ok());
    }

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
