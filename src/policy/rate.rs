//! The number of requests in a period that a grant allows: `60/m`.

use std::fmt;
use std::str::FromStr;

/// The largest number of requests in a period.
const MAX_COUNT: u32 = 1_000_000;

/// The units of a period and their lengths in seconds.
const UNITS: [(&str, u32); 4] = [("s", 1), ("m", 60), ("h", 3_600), ("d", 86_400)];

/// A number of requests in a second, a minute, an hour or a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    count: u32,
    unit: &'static str,
    seconds: u32,
}

/// The text is not a rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a rate is a number from 1 to 1000000 and s, m, h or d: write for example \"60/m\"")]
pub struct RateError;

impl Rate {
    /// Returns the number of requests, at least 1.
    pub fn count(self) -> u32 {
        self.count
    }

    /// Returns the length of the period in seconds.
    pub fn seconds(self) -> u32 {
        self.seconds
    }
}

impl FromStr for Rate {
    type Err = RateError;

    fn from_str(text: &str) -> Result<Self, RateError> {
        let (count, unit) = text.split_once('/').ok_or(RateError)?;
        let (unit, seconds) = UNITS.into_iter().find(|(name, _)| *name == unit).ok_or(RateError)?;
        let is_number = !count.starts_with('0') && count.bytes().all(|digit| digit.is_ascii_digit());
        let count = count.parse().ok().filter(|count| is_number && *count <= MAX_COUNT).ok_or(RateError)?;
        Ok(Self { count, unit, seconds })
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.count, self.unit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rate_is_a_count_and_a_unit() {
        for (text, count, seconds) in
            [("1/s", 1, 1), ("60/m", 60, 60), ("1000000/h", 1_000_000, 3_600), ("5/d", 5, 86_400)]
        {
            let rate: Rate = text.parse().unwrap();
            assert_eq!((rate.count(), rate.seconds(), rate.to_string().as_str()), (count, seconds, text));
        }
        for text in
            ["", "60", "/m", "0/m", "060/m", "+1/m", "1000001/m", "1/min", "1/", "1 / m", "-1/s", "99999999999/s"]
        {
            assert_eq!(text.parse::<Rate>(), Err(RateError), "{text}");
        }
    }
}
