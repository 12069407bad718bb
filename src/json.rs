//! Parsing of untrusted JSON. Duplicate members are rejected, because two parsers could read
//! different values; in tolerant parsing they lose their value.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// Parses exactly one JSON text; a byte order mark is allowed. More than 128 nested levels are
/// rejected.
pub(crate) fn parse(bytes: &[u8]) -> Option<Value> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    serde_json::from_slice::<Strict>(bytes).ok().map(|strict| strict.0)
}

/// Parses a JSON object like [`parse`]; `None` if the text is another value.
pub(crate) fn parse_object(bytes: &[u8]) -> Option<Map<String, Value>> {
    match parse(bytes)? {
        Value::Object(members) => Some(members),
        _ => None,
    }
}

/// Parses a JSON text in which a malformed member matters less than the others, such as a token
/// response. Bytes that are not UTF-8 are read as Latin-1, half a surrogate pair as U+FFFD, and a
/// member with two different values as a nested list, which no reader takes for a text or a number.
pub(crate) fn parse_tolerantly(bytes: &[u8]) -> Option<Value> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let text = repair_strings(&decode(bytes));
    serde_json::from_str::<Parsed<Tolerant>>(&text).ok().map(|tolerant| tolerant.0)
}

/// Parses a JSON object like [`parse_tolerantly`]; `None` if the text is another value.
pub(crate) fn parse_object_tolerantly(bytes: &[u8]) -> Option<Map<String, Value>> {
    match parse_tolerantly(bytes)? {
        Value::Object(members) => Some(members),
        _ => None,
    }
}

/// Decodes UTF-8, and every other byte as Latin-1.
fn decode(bytes: &[u8]) -> Cow<'_, str> {
    if let Ok(text) = std::str::from_utf8(bytes) {
        return Cow::Borrowed(text);
    }
    let mut text = String::with_capacity(bytes.len() + 16);
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(chunk.invalid().iter().copied().map(char::from));
    }
    Cow::Owned(text)
}

/// Replaces half surrogate pairs by U+FFFD, and escapes control characters inside strings.
fn repair_strings(text: &str) -> String {
    let mut repaired = String::with_capacity(text.len());
    let (mut rest, mut in_string) = (text, false);
    while let Some(c) = rest.chars().next() {
        let escape = rest.get(..2).filter(|_| in_string && c == '\\');
        let length = match escape {
            Some("\\u") => match (surrogate(rest), rest.get(6..).and_then(surrogate)) {
                (Some(0xd800..=0xdbff), Some(0xdc00..=0xdfff)) => 12,
                (Some(_), _) => {
                    repaired.push('\u{fffd}');
                    rest = &rest[6..];
                    continue;
                }
                (None, _) => 2,
            },
            Some(_) => 2,
            None if in_string && c.is_ascii_control() && c != '\u{7f}' => {
                repaired.push(' ');
                rest = &rest[1..];
                continue;
            }
            None => c.len_utf8(),
        };
        in_string ^= c == '"';
        repaired.push_str(&rest[..length]);
        rest = &rest[length..];
    }
    repaired
}

/// Returns the surrogate that the text begins with, as an escape.
fn surrogate(text: &str) -> Option<u32> {
    let digits = text.strip_prefix("\\u")?.get(..4)?;
    u32::from_str_radix(digits, 16).ok().filter(|unit| (0xd800..=0xdfff).contains(unit))
}

type Strict = Parsed<Reject>;

/// A parsed value; `R` decides about duplicate members.
struct Parsed<R>(Value, PhantomData<R>);

/// A rule for a member that occurs again.
trait Repeated {
    /// Returns the value for a member that has both values, or `None` to reject the text.
    fn join(first: Value, second: Value) -> Option<Value>;
}

/// Rejects duplicate members.
struct Reject;

impl Repeated for Reject {
    fn join(_: Value, _: Value) -> Option<Value> {
        None
    }
}

/// Keeps equal values; others become a nested list.
struct Tolerant;

impl Repeated for Tolerant {
    fn join(first: Value, second: Value) -> Option<Value> {
        Some(if first == second { first } else { Value::Array(vec![Value::Array(vec![first, second])]) })
    }
}

impl<'de, R: Repeated> Deserialize<'de> for Parsed<R> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor(PhantomData::<R>)).map(|value| Self(value, PhantomData))
    }
}

struct ValueVisitor<R>(PhantomData<R>);

impl<'de, R: Repeated> Visitor<'de> for ValueVisitor<R> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(Parsed::<R>(value, _)) = list.next_element()? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some((name, Parsed::<R>(value, _))) = members.next_entry()? {
            let value = match object.remove(&name) {
                Some(first) => R::join(first, value).ok_or_else(|| A::Error::custom("a member occurs twice"))?,
                None => value,
            };
            object.insert(name, value);
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_parsed_without_duplicate_members() {
        let text = r#"{"a": [1, -2, 3.5, "x\u00e9", null, true], "b": {"c": {}}}"#;
        assert_eq!(parse(text.as_bytes()), serde_json::from_str(text).ok());
        assert!(parse(b"\xef\xbb\xbf{}").is_some());
        for bad in [
            r#"{"a":1,"a":2}"#,
            r#"{"x":{"a":1,"\u0061":2}}"#,
            r#"{"a":1}{}"#,
            r#"{"a":1"#,
            "",
            "{}x",
            r#"{"a":"\ud800"}"#,
            "{'a':1}",
            "{\"a\":\"\n\"}",
        ] {
            assert_eq!(parse(bad.as_bytes()), None, "{bad}");
        }
        assert_eq!(parse(b"{\"a\":\"\xff\"}"), None);
        assert_eq!(parse("[".repeat(100_000).as_bytes()), None, "deep nesting is rejected without a stack overflow");
    }

    #[test]
    fn tolerant_parsing_keeps_the_sound_members() {
        let read = |bytes: &[u8]| parse_object_tolerantly(bytes).map(Value::Object);
        for (text, name) in [
            (&b"{\"token\":\"t\",\"name\":\"Jos\xe9\"}"[..], "Jos\u{e9}"),
            (br#"{"token":"t","name":"a\ud83d b"}"#, "a\u{fffd} b"),
            (br#"{"token":"t","name":"a\udE00\ud83d\uDE00"}"#, "a\u{fffd}\u{1f600}"),
            (br#"{"token":"t","name":"C:\\ud83d \"q\""}"#, "C:\\ud83d \"q\""),
            (b"{\"token\":\"t\",\n\t\"name\":\"a\tb\"}", "a b"),
            (br#"{"token":"t","name":"n","token":"t"}"#, "n"),
        ] {
            let read = read(text).unwrap_or_else(|| panic!("{}", String::from_utf8_lossy(text)));
            assert_eq!((&read["token"], read["name"].as_str()), (&"t".into(), Some(name)));
        }
        let twice = read(br#"{"a":"1","a":"2","b":3,"c":{"d":1,"d":2}}"#).unwrap();
        assert_eq!(twice["b"], 3);
        assert!(twice["a"].as_str().is_none() && twice["c"]["d"].as_i64().is_none(), "{twice}");
        for bad in [r#"{"a":"\ud8"}"#, r#"{"a":"\u"#, r#"{"a":"x"#, "\\ud83d", "{}x", r#"{"a":"é\"#, "[1]", ""] {
            assert_eq!(read(bad.as_bytes()), None, "{bad}");
        }
    }
}
