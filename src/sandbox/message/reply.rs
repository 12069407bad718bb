//! Replies of the endpoints: JSON, a page, a redirect, plain text.

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, LOCATION, WWW_AUTHENTICATE};
use http::{HeaderValue, Response, StatusCode};
use http_body_util::Full;
use serde_json::{Value, json};

use super::error::EndpointError;

/// A complete response.
pub(in crate::sandbox) type Reply = Response<Full<Bytes>>;

/// Returns a JSON document that must not be stored (RFC 6749 §5.1).
pub(in crate::sandbox) fn json_reply(status: StatusCode, value: &Value) -> Reply {
    reply(status, "application/json", value.to_string())
}

/// Returns an error as JSON; 401 if client authentication failed (RFC 6749 §5.2).
pub(in crate::sandbox) fn error_reply(EndpointError { error, description }: EndpointError) -> Reply {
    let document = json!({ "error": error, "error_description": description });
    if error != "invalid_client" {
        return json_reply(StatusCode::BAD_REQUEST, &document);
    }
    let mut reply = json_reply(StatusCode::UNAUTHORIZED, &document);
    reply.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static(r#"Basic realm="sandbox""#));
    reply
}

/// Returns a redirect that the browser follows with GET (RFC 9700 §4.12).
pub(in crate::sandbox) fn redirect(to: &url::Url) -> Reply {
    let mut reply = reply(StatusCode::SEE_OTHER, "text/plain; charset=utf-8", String::new());
    let location = HeaderValue::from_str(to.as_str()).expect("a parsed URL is printable ASCII");
    reply.headers_mut().insert(LOCATION, location);
    reply
}

/// Returns one sentence of plain text.
pub(in crate::sandbox) fn text_reply(status: StatusCode, text: &str) -> Reply {
    reply(status, "text/plain; charset=utf-8", format!("{text}\n"))
}

fn reply(status: StatusCode, content_type: &'static str, body: String) -> Reply {
    let mut reply = Response::new(Full::new(Bytes::from(body)));
    *reply.status_mut() = status;
    let headers = reply.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert("x-content-type-options", HeaderValue::from_static("nosniff"));
    headers.insert("referrer-policy", HeaderValue::from_static("no-referrer"));
    reply
}
