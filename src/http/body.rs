//! Reads a body: within its size and its time, as JSON whatever the client calls it by, and with every fault at once.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, header};
use http_body_util::BodyExt as _;
use hyper::body::Body;
use serde_json::Value;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::Schema;
use zeroize::{Zeroize as _, Zeroizing};

use super::fault::{Fault, Place};
use super::fields::{self, Object};
use super::limits::Limits;
use super::problem::{self, Problem};

/// What a route can take as its body.
pub(super) trait FromBody: Sized + Send + 'static {
    /// Whether there is one.
    const IS_READ: bool = true;

    /// The name and the shape, for OpenAPI; nothing for a route without a body.
    fn schema() -> Option<(&'static str, RefOr<Schema>)>;

    /// Takes it out of the members of the body; nothing where there were faults, which are noted all.
    fn read(body: &mut Object<'_>) -> Option<Self>;
}

/// The body of a route that has none. What is sent all the same is not read.
pub(super) struct NoBody;

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
pub(super) async fn read<B: FromBody>(
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
    let bytes = whole(headers, body, limits).await?;
    parse(headers.get(header::CONTENT_TYPE), &bytes).map_err(|faults| Problem::faults(&faults))
}

/// All bytes of the body, within its limits. A body may hold secrets: this copy of it is wiped when it is dropped.
async fn whole(
    headers: &HeaderMap,
    mut body: impl Body<Data = Bytes> + Unpin,
    limits: &Limits,
) -> Result<Zeroizing<Vec<u8>>, Problem> {
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|length| length > limits.body_bytes as u64) {
        return Err(too_large(limits));
    }
    let collect = async {
        let mut bytes = Zeroizing::new(Vec::new());
        while let Some(frame) = body.frame().await {
            let frame =
                frame.map_err(|_| Problem::new(&problem::MALFORMED_REQUEST, "The body ended in the middle."))?;
            // What is not data are trailers, which nobody asked for.
            let Ok(piece) = frame.into_data() else { continue };
            if bytes.len() + piece.len() > limits.body_bytes {
                return Err(too_large(limits));
            }
            append(&mut bytes, piece);
        }
        Ok(bytes)
    };
    let too_slow = |_| Err(Problem::new(&problem::REQUEST_TIMEOUT, "The request's body did not come in time."));
    tokio::time::timeout(limits.body_time, collect).await.unwrap_or_else(too_slow)
}

/// Takes a piece over. A buffer that it does not fit into is wiped when it is left, and so is the piece, unless hyper still
/// has it.
fn append(bytes: &mut Zeroizing<Vec<u8>>, piece: Bytes) {
    let needed = bytes.len() + piece.len();
    if needed > bytes.capacity() {
        let mut larger = Zeroizing::new(Vec::with_capacity(needed.next_power_of_two()));
        larger.extend_from_slice(bytes);
        *bytes = larger;
    }
    bytes.extend_from_slice(&piece);
    if let Ok(mut piece) = piece.try_into_mut() {
        piece.zeroize();
    }
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

fn too_large(limits: &Limits) -> Problem {
    let limit = limits.body_bytes;
    Problem::new(&problem::BODY_TOO_LARGE, format!("The body is larger than {limit} bytes.")).with("limit", limit)
}

/// Checks a whole body.
pub(super) fn parse<B: FromBody>(content_type: Option<&HeaderValue>, bytes: &[u8]) -> Result<B, Vec<Fault>> {
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
    use std::convert::Infallible;

    use http_body_util::StreamBody;
    use hyper::body::Frame;
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

    type Frames = Vec<Result<Frame<Bytes>, Infallible>>;

    fn pieces(pieces: Vec<Vec<u8>>) -> impl Body<Data = Bytes> + Unpin {
        let frames: Frames = pieces.into_iter().map(|piece| Ok(Frame::data(Bytes::from(piece)))).collect();
        StreamBody::new(futures_util::stream::iter(frames))
    }

    #[tokio::test]
    async fn the_size_is_counted_while_it_comes() {
        let limits = Limits { body_bytes: 10, ..Limits::default() };
        let read = async |count: usize| whole(&HeaderMap::new(), pieces(vec![vec![b'x'; 5]; count]), &limits).await;
        assert_eq!(read(2).await.unwrap().len(), 10);
        assert_eq!(read(3).await.unwrap_err().kind(), &problem::BODY_TOO_LARGE);
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from_static("11"));
        assert_eq!(whole(&headers, pieces(vec![]), &limits).await.unwrap_err().kind(), &problem::BODY_TOO_LARGE);
    }

    #[test]
    fn pieces_become_one_body_and_what_nobody_took_of_it_is_wiped() {
        let mut whole = Zeroizing::new(Vec::new());
        for _ in 0..10 {
            append(&mut whole, Bytes::from(b"secret ".repeat(100)));
        }
        assert_eq!(*whole, b"secret ".repeat(1000));
        let mut left = serde_json::json!({"a": "secret", "b": ["secret", {"c": "secret"}], "d": 1});
        wipe(&mut left);
        assert_eq!(left, serde_json::json!({"a": "", "b": ["", {"c": ""}], "d": 1}));
    }

    #[tokio::test]
    async fn a_body_that_never_ends_is_given_up() {
        let limits = Limits { body_time: std::time::Duration::from_millis(5), ..Limits::default() };
        let never = StreamBody::new(futures_util::stream::pending::<Result<Frame<Bytes>, Infallible>>());
        let refused = whole(&HeaderMap::new(), never, &limits).await.unwrap_err();
        assert_eq!(refused.kind(), &problem::REQUEST_TIMEOUT);
    }
}
