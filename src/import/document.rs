//! JSON documents with secrets: read strictly and wiped when dropped.

use serde_json::{Map, Value};

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

    /// Returns all objects of a file: a single one, those of a list (possibly the member `list` of
    /// an object), or one per line.
    pub(super) fn all(bytes: &[u8], list: &str) -> Option<Vec<Self>> {
        let Some(whole) = json::parse(bytes) else { return Self::lines(bytes) };
        Some(match whole {
            Value::Array(values) => values.into_iter().map(Self).collect(),
            Value::Object(mut members) => match members.get_mut(list).map(Value::take) {
                Some(Value::Array(values)) => values.into_iter().map(Self).collect(),
                Some(other) => {
                    members.insert(list.to_owned(), other);
                    vec![Self(Value::Object(members))]
                }
                None => vec![Self(Value::Object(members))],
            },
            _ => return None,
        })
    }

    fn lines(bytes: &[u8]) -> Option<Vec<Self>> {
        let lines = bytes.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii).filter(|line| !line.is_empty());
        let read: Option<Vec<Self>> = lines.map(Self::parse).collect();
        read.filter(|read| !read.is_empty() && read.iter().all(|one| one.0.is_object()))
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

/// Returns a member that is a non-empty secret.
pub(super) fn secret(value: &Value, name: &str) -> Option<Secret> {
    text(value, name).map(Secret::new)
}

/// Returns a member that is a time: Unix seconds or RFC 3339.
pub(super) fn time(value: &Value, name: &str) -> Option<UnixTime> {
    match value.get(name)? {
        Value::Number(number) => number.as_i64().map(UnixTime),
        Value::String(text) => text.parse::<jiff::Timestamp>().ok().map(|at| UnixTime(at.as_second())),
        _ => None,
    }
}

/// Returns a member that is an object.
pub(super) fn object<'v>(value: &'v Value, name: &str) -> Option<&'v Map<String, Value>> {
    value.get(name).and_then(Value::as_object)
}
