//! JSON documents with secrets: read strictly and wiped when dropped.

use serde_json::{Map, Value};

use super::item::ItemError;
use crate::clock::UnixTime;
use crate::json;
use crate::secret::Secret;
use crate::validation::wipe;

/// A JSON value whose texts are wiped when it is dropped.
pub(super) struct SecretDocument(Value);

impl Drop for SecretDocument {
    fn drop(&mut self) {
        wipe(&mut self.0);
    }
}

impl SecretDocument {
    /// Parses one JSON text.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        json::parse(bytes).map(Self)
    }

    /// Returns the value.
    pub(super) fn value(&self) -> &Value {
        &self.0
    }
}

/// Returns a member that is a non-empty text.
pub(super) fn text<'v>(value: &'v Value, name: &str) -> Option<&'v str> {
    value.get(name).and_then(Value::as_str).filter(|text| !text.is_empty())
}

/// Returns a member that is a text or a whole number, as text; ids are either.
pub(super) fn id(value: &Value, name: &str) -> Option<String> {
    match value.get(name)? {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Number(number) if !number.is_f64() => Some(number.to_string()),
        _ => None,
    }
}

/// Returns a member that is a secret, without line ends around it; `None` if it is blank.
pub(super) fn secret(value: &Value, name: &str) -> Option<Secret> {
    text(value, name).and_then(Secret::trimmed)
}

/// Returns a member that is a time; an empty one counts as absent.
///
/// A number counts seconds since 1970 below 10^11 (the year 5138), and milliseconds from there on.
/// A text is such a number, or a time of RFC 3339; without a zone it is in UTC.
pub(super) fn time(value: &Value, name: &'static str) -> Result<Option<UnixTime>, ItemError> {
    let read = match value.get(name) {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::Number(number)) => number.as_f64().and_then(time_of_number),
        Some(Value::String(text)) if text.trim().is_empty() => return Ok(None),
        Some(Value::String(text)) => time_of_text(text.trim()),
        Some(_) => None,
    };
    read.map(Some).ok_or(ItemError::Time(name))
}

fn time_of_number(number: f64) -> Option<UnixTime> {
    let seconds = match number.abs() {
        0.0..1e11 => number,
        1e11..1e14 => number / 1000.0,
        _ => return None,
    };
    #[expect(clippy::cast_possible_truncation, reason = "it is below 10^11")]
    Some(UnixTime(seconds.floor() as i64))
}

fn time_of_text(text: &str) -> Option<UnixTime> {
    if let Ok(number) = text.parse() {
        return time_of_number(number);
    }
    let with_zone = text.parse::<jiff::Timestamp>();
    let in_utc = || format!("{}Z", text.parse::<jiff::civil::DateTime>().ok()?).parse().ok();
    with_zone.ok().or_else(in_utc).map(|at| UnixTime(at.as_second()))
}

/// Returns a member that is an object.
pub(super) fn object<'v>(value: &'v Value, name: &str) -> Option<&'v Map<String, Value>> {
    value.get(name).and_then(Value::as_object)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn times_are_understood_or_refused() {
        let read = |value: &Value| time(&json!({ "at": value }), "at");
        for (value, seconds) in [
            (json!(1_735_815_600), 1_735_815_600),
            (json!(1_735_815_600_999_i64), 1_735_815_600),
            (json!(1_735_815_600.7), 1_735_815_600),
            (json!("1735815600"), 1_735_815_600),
            (json!("1735815600123"), 1_735_815_600),
            (json!("2025-01-02T11:00:00Z"), 1_735_815_600),
            (json!("2025-01-02T12:00:00+01:00"), 1_735_815_600),
            (json!("2025-01-02T11:00:00.123456"), 1_735_815_600),
            (json!("2025-01-02 11:00:00"), 1_735_815_600),
            (json!("2025-01-02 11:00:00+00"), 1_735_815_600),
            (json!(" 2025-01-02 "), 1_735_776_000),
            (json!(99_999_999_999_i64), 99_999_999_999),
        ] {
            assert_eq!(read(&value), Ok(Some(UnixTime(seconds))), "{value}");
        }
        for value in [json!(null), json!(""), json!(" ")] {
            assert_eq!(read(&value), Ok(None), "{value}");
        }
        for value in [json!("tomorrow"), json!("02/01/2025"), json!(true), json!([1]), json!(1e18), json!("1e300")] {
            assert_eq!(read(&value), Err(ItemError::Time("at")), "{value}");
        }
    }
}
