//! JSON with secrets in it: read strictly, looked at by member, wiped when it is dropped.

use serde_json::{Map, Value};
use zeroize::Zeroize;

use crate::clock::UnixTime;
use crate::json;
use crate::secret::Secret;

/// A JSON value whose texts are wiped when it is dropped.
pub(super) struct Document(Value);

impl Drop for Document {
    fn drop(&mut self) {
        wipe(&mut self.0);
    }
}

/// Wipes every text in a value.
pub(super) fn wipe(value: &mut Value) {
    match value {
        Value::String(text) => text.zeroize(),
        Value::Array(values) => values.iter_mut().for_each(wipe),
        Value::Object(members) => members.values_mut().for_each(wipe),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

impl Document {
    /// One JSON text.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        json::parse(bytes).map(Self)
    }

    /// The value.
    pub(super) fn value(&self) -> &Value {
        &self.0
    }

    /// Every object of a file: that of an object, those of a list (which may be in a member of an object), or one a line.
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

/// A member that is a text, and not an empty one.
pub(super) fn text<'v>(value: &'v Value, name: &str) -> Option<&'v str> {
    value.get(name).and_then(Value::as_str).filter(|text| !text.is_empty())
}

/// A member that is a text or a whole number, as text: ids are either.
pub(super) fn id(value: &Value, name: &str) -> Option<String> {
    match value.get(name)? {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Number(number) if !number.is_f64() => Some(number.to_string()),
        _ => None,
    }
}

/// A member that is a secret, and not an empty one.
pub(super) fn secret(value: &Value, name: &str) -> Option<Secret> {
    text(value, name).map(Secret::new)
}

/// A member that is a time: Unix seconds, or RFC 3339.
pub(super) fn time(value: &Value, name: &str) -> Option<UnixTime> {
    match value.get(name)? {
        Value::Number(number) => number.as_i64().map(UnixTime),
        Value::String(text) => text.parse::<jiff::Timestamp>().ok().map(|at| UnixTime(at.as_second())),
        _ => None,
    }
}

/// A member that is an object; an empty one where there is none.
pub(super) fn object<'v>(value: &'v Value, name: &str) -> Option<&'v Map<String, Value>> {
    value.get(name).and_then(Value::as_object)
}
