//! The members of a JSON object, read one by one, with every fault noted in the words of the original.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::fault::{Fault, Place};
use crate::secret::Secret;

/// What is said of a body that is no object.
pub(crate) const NOT_AN_OBJECT: &str = "Input should be a valid dictionary or object to extract fields from";

/// An object that is being read, where it is, and what was wrong with it so far.
pub(crate) struct Object<'b> {
    members: &'b mut Map<String, Value>,
    place: Place,
    faults: &'b mut Vec<Fault>,
}

/// Reads one value: gives it, or notes what is wrong with it.
pub(crate) trait Read<T>: FnOnce(Value, &Place, &mut Vec<Fault>) -> Option<T> {}

impl<T, F: FnOnce(Value, &Place, &mut Vec<Fault>) -> Option<T>> Read<T> for F {}

impl<'b> Object<'b> {
    /// The object at `place`.
    pub(crate) fn new(members: &'b mut Map<String, Value>, place: Place, faults: &'b mut Vec<Fault>) -> Self {
        Self { members, place, faults }
    }

    /// A member that has to be there.
    pub(crate) fn required<T>(&mut self, name: &str, read: impl Read<T>) -> Option<T> {
        let place = self.place.at(name);
        let Some(value) = self.members.remove(name) else {
            self.faults.push(Fault::new("missing", place, "Field required"));
            return None;
        };
        read(value, &place, self.faults)
    }

    /// A member that may be absent or `null`. The outer nothing is a fault.
    #[expect(clippy::option_option, reason = "a fault and an absent member are two things")]
    pub(crate) fn optional<T>(&mut self, name: &str, read: impl Read<T>) -> Option<Option<T>> {
        match self.members.remove(name) {
            None | Some(Value::Null) => Some(None),
            Some(value) => read(value, &self.place.at(name), self.faults).map(Some),
        }
    }

    /// A member that may be absent, and where it is there is meant: `null` is a fault. The outer nothing is a fault.
    #[expect(clippy::option_option, reason = "a fault and an absent member are two things")]
    pub(crate) fn given<T>(&mut self, name: &str, read: impl Read<T>) -> Option<Option<T>> {
        if self.has(name) { self.required(name, read).map(Some) } else { Some(None) }
    }

    /// Whether it has the member.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.members.contains_key(name)
    }

    /// Notes that of several members none is there, of which one has to be.
    pub(crate) fn nothing_given(&mut self, names: &str) {
        self.faults.push(Fault::new("missing", self.place.clone(), format!("Field required: one of {names}")));
    }

    /// A member that is empty where it is absent; `null` is a fault, as in the original.
    pub(crate) fn or_empty<T: Default>(&mut self, name: &str, read: impl Read<T>) -> Option<T> {
        match self.members.remove(name) {
            None => Some(T::default()),
            Some(value) => read(value, &self.place.at(name), self.faults),
        }
    }

    /// Which of `tags` the discriminator names; from then on the tag is part of every place.
    pub(crate) fn tag(&mut self, discriminator: &str, tags: &[&'static str]) -> Option<&'static str> {
        let fault = match self.members.remove(discriminator) {
            None => {
                let message = format!("Unable to extract tag using discriminator '{discriminator}'");
                Fault::new("union_tag_not_found", self.place.clone(), message)
            }
            Some(value) => {
                if let Some(tag) = tags.iter().find(|tag| value.as_str() == Some(tag)) {
                    self.place = self.place.at(tag);
                    return Some(tag);
                }
                let expected = tags.iter().map(|tag| format!("'{tag}'")).collect::<Vec<_>>().join(", ");
                let message = format!(
                    "Input tag found using '{discriminator}' does not match any of the expected tags: {expected}"
                );
                Fault::new("union_tag_invalid", self.place.clone(), message)
            }
        };
        self.faults.push(fault);
        None
    }
}

fn fault<T>(faults: &mut Vec<Fault>, kind: &'static str, place: &Place, message: &str) -> Option<T> {
    faults.push(Fault::new(kind, place.clone(), message));
    None
}

/// A text, which may be empty.
pub(crate) fn text(value: Value, place: &Place, faults: &mut Vec<Fault>) -> Option<String> {
    match value {
        Value::String(text) => Some(text),
        _ => fault(faults, "string_type", place, "Input should be a valid string"),
    }
}

/// Yes or no.
#[expect(clippy::needless_pass_by_value, reason = "every reader takes the value")]
pub(crate) fn flag(value: Value, place: &Place, faults: &mut Vec<Fault>) -> Option<bool> {
    match value {
        Value::Bool(flag) => Some(flag),
        _ => fault(faults, "bool_type", place, "Input should be a valid boolean"),
    }
}

/// A text that is a secret, which may be empty.
pub(crate) fn token(value: Value, place: &Place, faults: &mut Vec<Fault>) -> Option<Secret> {
    text(value, place, faults).map(Secret::new)
}

/// A secret to keep, which may not be empty.
pub(crate) fn secret(value: Value, place: &Place, faults: &mut Vec<Fault>) -> Option<Secret> {
    let secret = token(value, place, faults)?;
    if secret.is_empty() {
        return fault(faults, "string_too_short", place, "String should have at least 1 character");
    }
    Some(secret)
}

/// A list of texts.
pub(crate) fn texts(value: Value, place: &Place, faults: &mut Vec<Fault>) -> Option<Vec<String>> {
    let Value::Array(items) = value else {
        return fault(faults, "list_type", place, "Input should be a valid list");
    };
    let count = items.len();
    let read = |(index, item)| text(item, &place.item(index), faults);
    let texts: Vec<String> = items.into_iter().enumerate().filter_map(read).collect();
    (texts.len() == count).then_some(texts)
}

/// Any object.
pub(crate) fn object(value: Value, place: &Place, faults: &mut Vec<Fault>) -> Option<Map<String, Value>> {
    match value {
        Value::Object(members) => Some(members),
        _ => fault(faults, "dict_type", place, "Input should be a valid dictionary"),
    }
}

/// An object whose values are all read the same way.
fn map_of<T>(
    value: Value,
    place: &Place,
    faults: &mut Vec<Fault>,
    read: impl Fn(Value, &Place, &mut Vec<Fault>) -> Option<T>,
) -> Option<BTreeMap<String, T>> {
    let members = object(value, place, faults)?;
    let count = members.len();
    let entry = |(name, value): (String, Value)| {
        let value = read(value, &place.at_callers_name(&name), faults)?;
        Some((name, value))
    };
    let read: BTreeMap<_, _> = members.into_iter().filter_map(entry).collect();
    (read.len() == count).then_some(read)
}

/// Texts by name.
pub(crate) fn texts_by_name(value: Value, place: &Place, faults: &mut Vec<Fault>) -> Option<BTreeMap<String, String>> {
    map_of(value, place, faults, text)
}

/// Lists of texts by name.
pub(crate) fn lists_by_name(
    value: Value,
    place: &Place,
    faults: &mut Vec<Fault>,
) -> Option<BTreeMap<String, Vec<String>>> {
    map_of(value, place, faults, texts)
}

/// The headers of a host-scoped credential: at least one, each with a name and a value that HTTP can carry
/// (RFC 9110 §5).
pub(crate) fn secret_headers(value: Value, place: &Place, faults: &mut Vec<Fault>) -> Option<BTreeMap<String, Secret>> {
    let headers = map_of(value, place, faults, secret)?;
    if headers.is_empty() {
        return fault(faults, "too_short", place, "Dictionary should have at least 1 item after validation, not 0");
    }
    let before = faults.len();
    for (name, value) in &headers {
        let place = place.at_callers_name(name);
        if http::HeaderName::from_bytes(name.as_bytes()).is_err() {
            faults.push(Fault::value(place, "this is not the name of a header"));
        } else if http::HeaderValue::from_str(value.expose()).is_err() {
            faults.push(Fault::value(place, "a header cannot carry this value"));
        }
    }
    (faults.len() == before).then_some(headers)
}

/// An integer: a number without a fraction, or its decimal text.
pub(crate) fn integer(value: Value, place: &Place, faults: &mut Vec<Fault>) -> Option<i64> {
    const TOO_LARGE: &str = "Unable to parse input string as an integer, exceeded maximum size";
    match value {
        Value::String(text) => match integer_text(&text) {
            Some(number) => Some(number),
            None => fault(faults, "int_parsing", place, NOT_A_NUMBER),
        },
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(integer), _) => Some(integer),
            (None, Some(float)) if float.fract() != 0.0 => {
                let message = "Input should be a valid integer, got a number with a fractional part";
                fault(faults, "int_from_float", place, message)
            }
            (None, Some(float)) => match whole(float) {
                Some(integer) => Some(integer),
                None => fault(faults, "int_parsing_size", place, TOO_LARGE),
            },
            (None, None) => fault(faults, "int_parsing_size", place, TOO_LARGE),
        },
        _ => fault(faults, "int_type", place, "Input should be a valid integer"),
    }
}

/// What is said of a text that is no number.
pub(crate) const NOT_A_NUMBER: &str = "Input should be a valid integer, unable to parse string as an integer";

/// The integer that a text is in decimal, `12.0` included.
pub(crate) fn integer_text(text: &str) -> Option<i64> {
    let text = text.trim();
    let (integer, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let zeros = !fraction.is_empty() && fraction.bytes().all(|digit| digit == b'0');
    if zeros { integer.parse().ok() } else { None }
}

/// A float without a fraction as an integer, where it is one that floats can tell from its neighbours.
#[expect(clippy::cast_possible_truncation, reason = "the range is checked")]
fn whole(float: f64) -> Option<i64> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    (-EXACT..=EXACT).contains(&float).then_some(float as i64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read<T>(value: Value, read: impl Read<T>) -> Result<T, Value> {
        let mut faults = Vec::new();
        let read = read(value, &Place::body().at("x"), &mut faults);
        read.ok_or_else(|| {
            Value::Array(faults.iter().map(|fault| json!([fault.kind, fault.to_json()["loc"]])).collect())
        })
    }

    #[test]
    fn every_fault_is_noted() {
        let mut members = json!({"a": 1, "b": "x", "c": null}).as_object().unwrap().clone();
        let mut faults = Vec::new();
        let mut object = Object::new(&mut members, Place::body(), &mut faults);
        assert_eq!(object.required("a", text), None);
        assert_eq!(object.or_empty("b", texts), None);
        assert_eq!(object.optional("c", text), Some(None));
        assert_eq!(object.required("d", text), None);
        assert_eq!(object.or_empty("e", texts), Some(Vec::new()));
        let kinds: Vec<_> = faults.iter().map(|fault| fault.kind).collect();
        assert_eq!(kinds, ["string_type", "list_type", "missing"]);
    }

    #[test]
    fn the_faulty_items_of_a_list_or_a_map_are_named() {
        assert_eq!(
            read(json!(["a", 1, null]), texts).unwrap_err(),
            json!([["string_type", ["body", "x", 1]], ["string_type", ["body", "x", 2]]])
        );
        assert_eq!(read(json!({"A": 1}), texts_by_name).unwrap_err(), json!([["string_type", ["body", "x", "A"]]]));
        assert_eq!(read(json!([]), object).unwrap_err(), json!([["dict_type", ["body", "x"]]]));
    }

    #[test]
    fn integers_come_in_three_forms() {
        for (value, number) in [(json!(5), 5), (json!(-5), -5), (json!(5.0), 5), (json!("5"), 5), (json!(" 5.00 "), 5)]
        {
            assert_eq!(read(value, integer), Ok(number));
        }
        for (value, kind) in [
            (json!(1.5), "int_from_float"),
            (json!("1.5"), "int_parsing"),
            (json!("x"), "int_parsing"),
            (json!(""), "int_parsing"),
            (json!(true), "int_type"),
            (json!([]), "int_type"),
            (json!(1e300), "int_parsing_size"),
            (json!(u64::MAX), "int_parsing_size"),
        ] {
            assert_eq!(read(value, integer).unwrap_err()[0][0], kind);
        }
    }

    #[test]
    fn headers_are_such_as_http_can_carry() {
        assert!(read(json!({"Authorization": "Bearer x"}), secret_headers).is_ok());
        for value in [json!({}), json!({"A": ""}), json!({"A B": "x"}), json!({"": "x"}), json!({"A": "x\r\nB: y"})] {
            assert!(read(value, secret_headers).is_err());
        }
    }

    #[test]
    fn a_tag_is_part_of_every_place_below_it() {
        let mut members = json!({"type": "one"}).as_object().unwrap().clone();
        let mut faults = Vec::new();
        let mut object = Object::new(&mut members, Place::body(), &mut faults);
        assert_eq!(object.tag("type", &["one", "two"]), Some("one"));
        assert!(object.required("a", text).is_none());
        assert_eq!(object.tag("type", &["one"]), None);
        assert_eq!(faults[0].to_json()["loc"], json!(["body", "one", "a"]));
        assert_eq!(faults[1].kind, "union_tag_not_found");
    }
}
