//! Durations in text form: `"10m"`, `"8h"`, `"90d"`, `"1h 30m"`.

use std::time::Duration;

use jiff::{Span, SpanRelativeTo};
use serde::{Deserialize, Deserializer, de};

/// Parses a duration; a day has 24 hours. Months and years are rejected, because their length
/// varies.
pub fn parse(text: &str) -> Result<Duration, String> {
    let wrong = || format!("'{text}' is not a duration; use for example \"30s\", \"10m\", \"8h\" or \"90d\"");
    let span: Span = text.parse().map_err(|_| wrong())?;
    let signed = span.to_duration(SpanRelativeTo::days_are_24_hours()).map_err(|_| wrong())?;
    Duration::try_from(signed).map_err(|_| wrong())
}

/// Formats a duration in the largest unit that divides it.
pub fn show(duration: Duration) -> String {
    let seconds = duration.as_secs();
    if duration.subsec_nanos() > 0 {
        return format!("{}ms", duration.as_millis());
    }
    for (unit, length) in [("d", 86_400), ("h", 3_600), ("m", 60)] {
        if seconds > 0 && seconds.is_multiple_of(length) {
            return format!("{}{unit}", seconds / length);
        }
    }
    format!("{seconds}s")
}

/// Deserializes a duration, for serde's `deserialize_with`.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    parse(&String::deserialize(deserializer)?).map_err(de::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_parsed() {
        for (text, seconds) in
            [("30s", 30), ("10m", 600), ("8h", 28_800), ("90d", 7_776_000), ("1h 30m", 5_400), ("0s", 0)]
        {
            assert_eq!(parse(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for text in ["", "10", "-5m", "1y", "1mo", "ten minutes"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_formatted_duration_parses_again() {
        for seconds in [0, 1, 59, 60, 3_600, 5_400, 86_400, 7_776_000] {
            let duration = Duration::from_secs(seconds);
            assert_eq!(parse(&show(duration)), Ok(duration));
        }
    }
}
