//! Members of a JSON object that are set without changing any other byte of it.

use std::ops::Range;

use serde::de::IgnoredAny;
use zeroize::Zeroizing;

use super::refusal::InjectError;
use crate::secret::Secret;

/// Sets members of the top-level object. A member that is there has its value replaced; another one
/// is added at the beginning.
pub(super) fn set(body: &[u8], members: &[(String, Secret)]) -> Result<Zeroizing<Vec<u8>>, InjectError> {
    let text = std::str::from_utf8(body).map_err(|_| InjectError::Body)?;
    let found = members_of(text).ok_or(InjectError::Body)?;
    let mut edits: Vec<Edit> = Vec::new();
    // The first brace begins the object: only white space is before it.
    let begin = text.find('{').ok_or(InjectError::Body)? + 1;
    let (mut added, mut more) = (Zeroizing::new(String::new()), !found.is_empty());
    for (name, secret) in members.iter().rev() {
        let mut values = found.iter().filter(|(there, _)| there == name).map(|(_, value)| value);
        let written = |text: &str| serde_json::to_string(text).map(Zeroizing::new).map_err(|_| InjectError::Value);
        let secret = written(secret.expose())?;
        match (values.next(), values.next()) {
            (None, _) => {
                let comma = if more { "," } else { "" };
                added = Zeroizing::new(format!("{}:{}{comma}{}", *written(name)?, *secret, *added));
                more = true;
            }
            (Some(value), None) => edits.push((value.clone(), secret)),
            (Some(_), Some(_)) => return Err(InjectError::RepeatedMember),
        }
    }
    edits.push((begin..begin, added));
    edits.sort_by_key(|(range, _)| range.start);
    Ok(edited(body, &edits))
}

/// A range of the body and the text that replaces it.
type Edit = (Range<usize>, Zeroizing<String>);

/// Replaces ranges that are in order and do not overlap.
fn edited(body: &[u8], edits: &[Edit]) -> Zeroizing<Vec<u8>> {
    let length = body.len() + edits.iter().map(|(_, text)| text.len()).sum::<usize>();
    let (mut result, mut copied) = (Zeroizing::new(Vec::with_capacity(length)), 0);
    for (range, text) in edits {
        result.extend_from_slice(&body[copied..range.start]);
        result.extend_from_slice(text.as_bytes());
        copied = range.end;
    }
    result.extend_from_slice(&body[copied..]);
    result
}

/// Returns the members of an object, repeated ones too, with the places of their values; `None` if
/// the text is not a JSON object.
fn members_of(text: &str) -> Option<Vec<(String, Range<usize>)>> {
    // The scan below relies on a text that is valid.
    serde_json::from_str::<IgnoredAny>(text).ok().filter(|_| text.trim_start().starts_with('{'))?;
    let (mut depth, mut is_string, mut is_escaped) = (0, false, false);
    let (mut start, mut colon, mut members) = (0, None, Vec::new());
    for (at, byte) in text.bytes().enumerate() {
        if is_string {
            is_string = is_escaped || byte != b'"';
            is_escaped = !is_escaped && byte == b'\\';
            continue;
        }
        match byte {
            b'"' => is_string = true,
            b'{' | b'[' => {
                depth += 1;
                start = if depth == 1 { at + 1 } else { start };
            }
            b':' if depth == 1 => colon = Some(at),
            b',' | b'}' if depth == 1 => {
                if let Some(colon) = colon.take() {
                    let value = text[colon + 1..at].trim();
                    let begin = at - text[colon + 1..at].trim_start().len();
                    members.push((serde_json::from_str(text[start..colon].trim()).ok()?, begin..begin + value.len()));
                }
                start = at + 1;
                depth -= usize::from(byte == b'}');
            }
            b'}' | b']' => depth -= 1,
            _ => {}
        }
    }
    Some(members)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Map, Value, json};

    use super::*;

    fn set_one(body: &str) -> Result<String, InjectError> {
        let members = [("key".to_owned(), Secret::new("s\"3"))];
        set(body.as_bytes(), &members).map(|bytes| String::from_utf8(bytes.to_vec()).unwrap())
    }

    #[test]
    fn only_the_member_changes() {
        for (body, expected) in [
            ("{}", r#"{"key":"s\"3"}"#),
            (" { } ", r#" {"key":"s\"3" } "#),
            (r#"{"a": 1.50, "b":[1 ,2]}"#, r#"{"key":"s\"3","a": 1.50, "b":[1 ,2]}"#),
            (r#"{"a":1, "key" : {"x":[1]} ,"b":2}"#, r#"{"a":1, "key" : "s\"3" ,"b":2}"#),
            (r#"{"k\u0065y":null}"#, r#"{"k\u0065y":"s\"3"}"#),
            (
                r#"{"a":{"key":1},"big":123456789012345678901234567890}"#,
                r#"{"key":"s\"3","a":{"key":1},"big":123456789012345678901234567890}"#,
            ),
        ] {
            assert_eq!(set_one(body).as_deref(), Ok(expected), "{body}");
        }
    }

    #[test]
    fn other_bodies_are_rejected() {
        for body in ["", "[]", "null", "{", "{} {}", "{\"a\":1,}", "\u{feff}{}", "{\"a\":NaN}"] {
            assert_eq!(set_one(body), Err(InjectError::Body), "{body}");
        }
        assert_eq!(set(b"{\"a\":\"\xff\"}", &[]).unwrap_err(), InjectError::Body);
        for body in [r#"{"key":1,"key":2}"#, r#"{"key":1,"\u006bey":2}"#] {
            assert_eq!(set_one(body), Err(InjectError::RepeatedMember), "{body}");
        }
    }

    #[test]
    fn several_members_keep_their_order() {
        let members = [("token".to_owned(), Secret::new("t")), ("user".to_owned(), Secret::new("u"))];
        let body = |text: &str| String::from_utf8(set(text.as_bytes(), &members).unwrap().to_vec()).unwrap();
        assert_eq!(body("{}"), r#"{"token":"t","user":"u"}"#);
        assert_eq!(body(r#"{"user":1,"x":2,"token":3}"#), r#"{"user":"u","x":2,"token":"t"}"#);
        assert_eq!(body(r#"{"x":2,"token":3}"#), r#"{"user":"u","x":2,"token":"t"}"#);
    }

    proptest! {
        #[test]
        fn other_members_keep_their_values(
            members in prop::collection::btree_map("[a-z]{1,3}|key", prop_oneof![Just(json!([1, {"key": 2}])), any::<i64>().prop_map(Value::from), "\\PC{0,5}".prop_map(Value::from)], 0..5),
        ) {
            let object: Map<String, Value> = members.into_iter().collect();
            let result = set_one(&Value::Object(object.clone()).to_string()).unwrap();
            let mut expected = object;
            expected.insert("key".to_owned(), "s\"3".into());
            prop_assert_eq!(serde_json::from_str::<Value>(&result).unwrap(), Value::Object(expected));
        }
    }
}
