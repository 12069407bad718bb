//! The `Retry-After` header (RFC 9110 §10.2.3).

use std::time::Duration;

use http::{HeaderMap, header};

use crate::clock::UnixTime;

/// Time at which the server wants to be asked again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetryAfter {
    /// After this duration.
    Wait(Duration),
    /// At this time or later.
    At(UnixTime),
}

impl RetryAfter {
    /// Reads the header; `None` if it is absent or malformed. A date is taken relative to the
    /// response's `Date`, if it has one, because the server's clock and ours may differ.
    pub(in crate::oauth) fn read(headers: &HeaderMap) -> Option<Self> {
        let text = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
        if !text.is_empty() && text.bytes().all(|digit| digit.is_ascii_digit()) {
            return Some(Self::Wait(Duration::from_secs(text.parse().unwrap_or(u64::MAX))));
        }
        let at = http_date(text)?;
        match headers.get(header::DATE).and_then(|date| http_date(date.to_str().ok()?)) {
            Some(now) => Some(Self::Wait(Duration::from_secs(u64::try_from(now.seconds_until(at)).unwrap_or(0)))),
            None => Some(Self::At(at)),
        }
    }

    /// Returns the time to ask again, between `now` and `now` plus `longest`.
    pub fn from(self, now: UnixTime, longest: Duration) -> UnixTime {
        let at = match self {
            Self::Wait(wait) => now.plus(wait),
            Self::At(at) => at,
        };
        at.clamp(now, now.plus(longest))
    }
}

/// Parses an HTTP date in the preferred form of RFC 9110 §5.6.7.
fn http_date(text: &str) -> Option<UnixTime> {
    let date = jiff::fmt::rfc2822::parse(text).ok()?;
    Some(UnixTime(date.timestamp().as_second()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(retry_after: &'static str, date: Option<&'static str>) -> Option<RetryAfter> {
        let mut headers = HeaderMap::new();
        headers.insert(header::RETRY_AFTER, http::HeaderValue::from_static(retry_after));
        if let Some(date) = date {
            headers.insert(header::DATE, http::HeaderValue::from_static(date));
        }
        RetryAfter::read(&headers)
    }

    #[test]
    fn seconds_and_dates_are_read_and_nothing_else() {
        let wait = |seconds| Some(RetryAfter::Wait(Duration::from_secs(seconds)));
        assert_eq!(read("120", None), wait(120));
        assert_eq!(read("Fri, 31 Dec 1999 23:59:59 GMT", None), Some(RetryAfter::At(UnixTime(946_684_799))));
        let date = Some("Fri, 31 Dec 1999 23:59:29 GMT");
        assert_eq!(read("Fri, 31 Dec 1999 23:59:59 GMT", date), wait(30), "by the server's own clock");
        assert_eq!(read("Fri, 31 Dec 1999 23:59:00 GMT", date), wait(0));
        assert_eq!(read("99999999999999999999999", None), wait(u64::MAX));
        for strange in ["", "soon", "-1", "1.5", "12h"] {
            assert_eq!(read(strange, None), None, "{strange}");
        }
    }

    #[test]
    fn the_wait_is_between_now_and_the_maximum() {
        let (now, longest) = (UnixTime(1_000), Duration::from_secs(60));
        assert_eq!(RetryAfter::Wait(Duration::MAX).from(now, longest), UnixTime(1_060));
        assert_eq!(RetryAfter::At(UnixTime(5)).from(now, longest), now);
        assert_eq!(RetryAfter::At(UnixTime(1_030)).from(now, longest), UnixTime(1_030));
    }
}
