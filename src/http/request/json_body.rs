//! Parses a body: JSON under any of its media types, with every fault at once.

use std::borrow::Cow;

use http::HeaderValue;
use serde::de::DeserializeOwned;
use serde_json::Value;
use utoipa::ToSchema;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::Schema;

use crate::validation::{self, Format, NOT_AN_OBJECT, RequestFault};

/// A type that a route accepts as its body. One description serves both: serde reads it and OpenAPI
/// shows it.
pub(crate) trait FromBody: DeserializeOwned + Send + 'static {
    /// Returns the name and the schema for OpenAPI; `None` for a route without a body.
    fn schema() -> Option<(&'static str, RefOr<Schema>)>;
}

impl<B: DeserializeOwned + ToSchema + Send + 'static> FromBody for B {
    fn schema() -> Option<(&'static str, RefOr<Schema>)> {
        // Derived names are borrowed.
        let Cow::Borrowed(name) = B::name() else { return None };
        Some((name, <B as utoipa::PartialSchema>::schema()))
    }
}

/// Parses a whole body, or returns every fault of it. The bounds are checked before anything is
/// built, and what was not taken over is wiped: it may be a secret.
pub(crate) fn parse<B: FromBody>(content_type: Option<&HeaderValue>, bytes: &[u8]) -> Result<B, Vec<RequestFault>> {
    let fault = |kind, msg: &str| Err(vec![RequestFault::new(kind, ["body"], msg)]);
    // RFC 8259 §8.1 allows a parser to ignore a byte order mark.
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    if bytes.is_empty() {
        return fault("missing", "Field required");
    }
    if !content_type.is_none_or(is_json) {
        return fault("model_attributes_type", &format!("{NOT_AN_OBJECT}; the Content-Type is not one of JSON"));
    }
    let invalid =
        |at: usize, msg: String| vec![RequestFault::new("json_invalid", [Value::from("body"), at.into()], msg)];
    if let Some(bound) = validation::exceeded(bytes) {
        return Err(invalid(0, format!("JSON decode error: {bound}")));
    }
    let mut input: Value = serde_json::from_slice(bytes)
        .map_err(|error| invalid(position(bytes, &error), "JSON decode error".to_owned()))?;
    if !input.is_object() {
        validation::wipe(&mut input);
        // Not left to serde, which takes a text for the tag of a union.
        return fault("model_attributes_type", NOT_AN_OBJECT);
    }
    let (body, faults) = validation::read(&input, Format::Json);
    validation::wipe(&mut input);
    match body {
        Some(body) if faults.is_empty() => Ok(body),
        _ => Err(faults.iter().map(RequestFault::from).collect()),
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

/// Returns the number of characters before a syntax error.
fn position(bytes: &[u8], error: &serde_json::Error) -> usize {
    let before = bytes.split(|byte| *byte == b'\n').take(error.line().saturating_sub(1)).map(|line| line.len() + 1);
    let offset = before.sum::<usize>() + error.column().saturating_sub(1);
    String::from_utf8_lossy(&bytes[..offset.min(bytes.len())]).chars().count()
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde_json::json;

    use super::*;
    use crate::http::problem::Problem;
    use crate::id::RequestId;
    use crate::random::Random;

    #[derive(Debug, PartialEq, Deserialize, ToSchema)]
    struct Named {
        name: String,
    }

    fn faults(content_type: Option<&'static str>, bytes: &[u8]) -> Value {
        let content_type = content_type.map(HeaderValue::from_static);
        let faults = parse::<Named>(content_type.as_ref(), bytes).unwrap_err();
        serde_json::to_value(faults).unwrap()
    }

    #[test]
    fn each_json_media_type_is_accepted() {
        for name in [None, Some("application/json"), Some("Application/Vnd.x+JSON; charset=utf-8")] {
            let content_type = name.map(HeaderValue::from_static);
            assert_eq!(
                parse(content_type.as_ref(), br#"{"name": "x", "other": 1}"#),
                Ok(Named { name: "x".to_owned() }),
                "{name:?}"
            );
        }
        for name in ["text/plain", "application/x-www-form-urlencoded", "application/+json", "json", ""] {
            let found = faults(Some(name), br#"{"name": "x"}"#);
            assert_eq!(found[0]["type"], "model_attributes_type", "{name}");
        }
    }

    #[test]
    fn invalid_json_is_one_fault_with_its_position() {
        let deep = "[".repeat(100_000);
        let bad: [&[u8]; 11] = [
            b"{",
            b"{\"name\": \"x\"} x",
            b"{'name': 1}",
            b"\xff",
            b"{\"name\": \"\xff\"}",
            b"{\"name\": \"\\ud800\"}",
            b"{\"name\": \"a\x00b\"}",
            b"NaN",
            b" ",
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
    fn byte_order_mark_is_dropped() {
        assert_eq!(parse(None, b"\xef\xbb\xbf{\"name\": \"x\"}\r\n"), Ok(Named { name: "x".to_owned() }));
        assert_eq!(faults(None, b"\xef\xbb\xbf")[0]["type"], "missing");
    }

    #[test]
    fn a_body_that_is_not_an_object_is_rejected() {
        for bytes in ["[]", "1", "\"x\"", "null", "true"] {
            assert_eq!(faults(None, bytes.as_bytes())[0]["type"], "model_attributes_type");
        }
        let missing = json!([{"type": "missing", "loc": ["body"], "msg": "Field required"}]);
        assert_eq!(faults(None, b""), missing);
    }

    #[test]
    fn the_last_of_two_equal_names_counts() {
        assert_eq!(parse(None, br#"{"name": 1, "name": "x"}"#), Ok(Named { name: "x".to_owned() }));
    }

    #[test]
    fn many_faults_make_a_small_answer() {
        #[derive(Deserialize, ToSchema)]
        struct Scoped {
            #[serde(rename = "scopes")]
            _scopes: Vec<String>,
        }
        let answer = |count: usize| {
            let body = format!("{{\"scopes\":[{}]}}", vec!["0"; count].join(","));
            let faults = parse::<Scoped>(None, body.as_bytes()).err().unwrap();
            Problem::faults(faults).body(RequestId::fresh(Random)).1
        };
        let listed: Value = serde_json::from_slice(&answer(900)).unwrap();
        assert_eq!(listed["detail"].as_array().unwrap().len(), 100);
        assert_eq!(listed["detail"][99]["msg"], "and 801 more");
        // Half a million items are 1 MiB, the largest body.
        for count in [900, 19_000, 524_000] {
            assert!(answer(count).len() < 64 * 1024, "{count}");
        }
    }
}
