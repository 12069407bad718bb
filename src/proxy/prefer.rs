//! The preference `wait` (RFC 7240 §4.3): the time that a caller waits for a person to decide.

use std::time::Duration;

use http::HeaderMap;

/// Longest wait: many clients give up after a minute.
const MAX_WAIT: Duration = Duration::from_secs(50);

/// Returns the time to wait; none if the request has no such preference. The first one counts.
pub(super) fn wait(headers: &HeaderMap) -> Duration {
    let values = headers.get_all("prefer").into_iter().filter_map(|value| value.to_str().ok());
    let mut waits = values.flat_map(|value| value.split(',')).filter_map(|preference| {
        let (name, value) = preference.split(';').next()?.split_once('=')?;
        let seconds = value.trim().trim_matches('"').parse().ok()?;
        name.trim().eq_ignore_ascii_case("wait").then(|| Duration::from_secs(seconds))
    });
    waits.next().unwrap_or_default().min(MAX_WAIT)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn wait_is_read_and_bounded() {
        for (value, seconds) in [
            ("wait=10", 10),
            ("respond-async, Wait = \"5\"; x=1", 5),
            ("wait=7, wait=9", 7),
            ("wait=100000", 50),
            ("wait=-1", 0),
            ("wait", 0),
            ("wait=x", 0),
            ("awaits=3", 0),
        ] {
            let headers =
                HeaderMap::from_iter([(http::HeaderName::from_static("prefer"), HeaderValue::from_static(value))]);
            assert_eq!(wait(&headers), Duration::from_secs(seconds), "{value}");
        }
        assert_eq!(wait(&HeaderMap::new()), Duration::ZERO);
    }
}
