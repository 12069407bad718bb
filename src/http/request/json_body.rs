//! Parses a body: JSON under any of its media types, with every fault at once.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, header};
use hyper::body::Body;
use serde_json::Value;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::Schema;
use zeroize::Zeroize as _;

use super::body;
use super::fault::{Fault, Place};
use super::fields::{self, Object};
use crate::http::limits::Limits;
use crate::http::problem::Problem;

/// What a route can take as its body.
pub(crate) trait FromBody: Sized + Send + 'static {
    /// Whether there is one.
    const IS_READ: bool = true;

    /// The name and the shape, for OpenAPI; nothing for a route without a body.
    fn schema() -> Option<(&'static str, RefOr<Schema>)>;

    /// Takes it out of the members of the body; nothing where there were faults, which are noted all.
    fn read(body: &mut Object<'_>) -> Option<Self>;
}

/// The body of a route that has none. What is sent all the same is not read.
pub(crate) struct NoBody;

impl FromBody for NoBody {
    const IS_READ: bool = false;

    fn schema() -> Option<(&'static str, RefOr<Schema>)> {
        None
    }

    fn read(_body: &mut Object<'_>) -> Option<Self> {
        Some(Self)
    }
}

/// Reads and checks the body of a request.
pub(crate) async fn read<B: FromBody>(
    headers: &HeaderMap,
    body: impl Body<Data = Bytes> + Unpin,
    limits: &Limits,
) -> Result<B, Problem> {
    if !B::IS_READ {
        // Nothing can be wrong with what nobody looks at.
        let (mut nothing, mut faults) = (serde_json::Map::new(), Vec::new());
        return B::read(&mut Object::new(&mut nothing, Place::body(), &mut faults))
            .ok_or_else(|| Problem::faults(&faults));
    }
    let bytes = body::whole(headers, body, limits).await?;
    parse(headers.get(header::CONTENT_TYPE), &bytes).map_err(|faults| Problem::faults(&faults))
}

/// Wipes every text in a value that nobody took over.
fn wipe(value: &mut Value) {
    match value {
        Value::String(text) => text.zeroize(),
        Value::Array(items) => items.iter_mut().for_each(wipe),
        Value::Object(members) => members.values_mut().for_each(wipe),
        _ => {}
    }
}

/// Checks a whole body.
pub(crate) fn parse<B: FromBody>(content_type: Option<&HeaderValue>, bytes: &[u8]) -> Result<B, Vec<Fault>> {
    if bytes.is_empty() {
        return Err(vec![Fault::new("missing", Place::body(), "Field required")]);
    }
    if !content_type.is_none_or(is_json) {
        let message = format!("{}; the Content-Type is not one of JSON", fields::NOT_AN_OBJECT);
        return Err(vec![Fault::new("model_attributes_type", Place::body(), message)]);
    }
    let mut members = match serde_json::from_slice(bytes) {
        Ok(Value::Object(members)) => members,
        Ok(_) => return Err(vec![Fault::new("model_attributes_type", Place::body(), fields::NOT_AN_OBJECT)]),
        Err(error) => {
            let place = Place::body().item(position(bytes, &error));
            return Err(vec![Fault::new("json_invalid", place, "JSON decode error")]);
        }
    };
    let mut faults = Vec::new();
    let read = B::read(&mut Object::new(&mut members, Place::body(), &mut faults));
    members.values_mut().for_each(wipe);
    match read {
        Some(body) if faults.is_empty() => Ok(body),
        _ => Err(faults),
    }
}

/// `application/json` or `application/*+json`, with any parameters (RFC 6839 §3.1).
fn is_json(content_type: &HeaderValue) -> bool {
    let text = content_type.to_str().unwrap_or("");
    let essence = text.split(';').next().unwrap_or("").trim().to_ascii_lowercase();
    let subtype = essence.strip_prefix("application/");
    subtype
        .is_some_and(|subtype| subtype == "json" || subtype.strip_suffix("+json").is_some_and(|name| !name.is_empty()))
}

/// How many characters stand before the place of a syntax error.
fn position(bytes: &[u8], error: &serde_json::Error) -> usize {
    let before = bytes.split(|byte| *byte == b'\n').take(error.line().saturating_sub(1)).map(|line| line.len() + 1);
    let offset = before.sum::<usize>() + error.column().saturating_sub(1);
    String::from_utf8_lossy(&bytes[..offset.min(bytes.len())]).chars().count()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[derive(Debug, PartialEq)]
    struct Named(String);

    impl FromBody for Named {
        fn schema() -> Option<(&'static str, RefOr<Schema>)> {
            Some(("Named", utoipa::openapi::ObjectBuilder::new().into()))
        }

        fn read(body: &mut Object<'_>) -> Option<Self> {
            body.required("name", fields::text).map(Self)
        }
    }

    fn faults(content_type: Option<&'static str>, bytes: &[u8]) -> Value {
        let content_type = content_type.map(HeaderValue::from_static);
        let faults = parse::<Named>(content_type.as_ref(), bytes).unwrap_err();
        Value::Array(faults.iter().map(Fault::to_json).collect())
    }

    #[test]
    fn json_is_taken_under_each_of_its_names() {
        for name in [None, Some("application/json"), Some("Application/Vnd.x+JSON; charset=utf-8")] {
            let content_type = name.map(HeaderValue::from_static);
            assert_eq!(
                parse(content_type.as_ref(), br#"{"name": "x", "other": 1}"#),
                Ok(Named("x".to_owned())),
                "{name:?}"
            );
        }
        for name in ["text/plain", "application/x-www-form-urlencoded", "application/+json", "json", ""] {
            let found = faults(Some(name), br#"{"name": "x"}"#);
            assert_eq!(found[0]["type"], "model_attributes_type", "{name}");
        }
    }

    #[test]
    fn what_is_no_json_is_said_once_and_with_its_place() {
        let deep = "[".repeat(100_000);
        let bad: [&[u8]; 12] = [
            b"{",
            b"{\"name\": \"x\"} x",
            b"{'name': 1}",
            b"\xff",
            b"{\"name\": \"\xff\"}",
            b"{\"name\": \"\\ud800\"}",
            b"{\"name\": \"a\x00b\"}",
            b"NaN",
            b" ",
            b"\xef\xbb\xbf{}",
            b"{\"name\": \"x\",}",
            deep.as_bytes(),
        ];
        for bytes in bad {
            let found = faults(None, bytes);
            assert_eq!(
                found[0]["type"],
                "json_invalid",
                "{:?}",
                String::from_utf8_lossy(&bytes[..bytes.len().min(20)])
            );
            assert!(found[0]["loc"][1].is_u64());
        }
        assert_eq!(faults(None, b"{\n\"name\": x}")[0]["loc"], json!(["body", 10]));
    }

    #[test]
    fn what_is_no_object_is_said_in_the_originals_words() {
        for bytes in ["[]", "1", "\"x\"", "null", "true"] {
            assert_eq!(faults(None, bytes.as_bytes())[0]["type"], "model_attributes_type");
        }
        let missing = json!([{"type": "missing", "loc": ["body"], "msg": "Field required"}]);
        assert_eq!(faults(None, b""), missing);
    }

    #[test]
    fn the_last_of_two_equal_names_counts() {
        assert_eq!(parse(None, br#"{"name": 1, "name": "x"}"#), Ok(Named("x".to_owned())));
    }

    #[test]
    fn texts_left_in_a_body_are_wiped() {
        let mut left = serde_json::json!({"a": "secret", "b": ["secret", {"c": "secret"}], "d": 1});
        wipe(&mut left);
        assert_eq!(left, serde_json::json!({"a": "", "b": ["", {"c": ""}], "d": 1}));
    }
}
