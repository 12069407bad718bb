//! Heads of the requests and responses that the relay passes on, and its own answers.

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, EXPECT, HOST, TE, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use serde_json::json;

use crate::egress::{BoxError, StreamBody};

/// Removes the headers to the server, except the one that names a credential. With them, a command
/// could act for another user of a service key.
pub(super) fn remove_own_headers(headers: &mut HeaderMap) {
    let is_own = |name: &HeaderName| name.as_str().starts_with("strongroom-") && name != "strongroom-credential";
    let own: Vec<HeaderName> = headers.keys().filter(|name| is_own(name)).cloned().collect();
    for name in own {
        headers.remove(name);
    }
}

/// Removes the headers of one connection (RFC 9110 §7.6.1), and those of the proxy.
pub(super) fn remove_connection_headers(headers: &mut HeaderMap) {
    let accepts_trailers = headers.get(TE).is_some_and(|value| value.as_bytes().starts_with(b"trailers"));
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    let fixed = [CONNECTION, EXPECT, HOST, TE, TRANSFER_ENCODING, UPGRADE];
    let others = ["keep-alive", "proxy-authorization", "proxy-connection"].map(HeaderName::from_static);
    for name in named.iter().chain(&fixed).chain(&others) {
        headers.remove(name);
    }
    if accepts_trailers {
        headers.insert(TE, HeaderValue::from_static("trailers"));
    }
}

/// Returns a response to the client.
pub(super) fn returned(response: Response<Incoming>) -> Response<StreamBody> {
    let (mut parts, body) = response.into_parts();
    // A length beside chunks does not count (RFC 9112 §6.3).
    if parts.headers.contains_key(TRANSFER_ENCODING) {
        parts.headers.remove(CONTENT_LENGTH);
    }
    for name in [CONNECTION, TRANSFER_ENCODING, HeaderName::from_static("keep-alive")] {
        parts.headers.remove(name);
    }
    Response::from_parts(parts, body.map_err(|error| -> BoxError { Box::new(error) }).boxed_unsync())
}

/// Builds an answer of the relay's own. SDKs of providers show the member `message` of an error.
pub(super) fn refused(status: StatusCode, message: &str) -> Response<StreamBody> {
    let body = json!({ "message": format!("strongroom run: {message}") });
    let body = Full::new(Bytes::from(format!("{body}\n")));
    let mut response = Response::new(body.map_err(|never| match never {}).boxed_unsync());
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response.headers_mut().insert("strongroom-relay", HeaderValue::from_static("refused"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn refusal_has_a_message_for_sdks() {
        let (parts, body) = refused(StatusCode::FORBIDDEN, "not \"here\"").into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        assert_eq!(parts.headers[CONTENT_TYPE], "application/json");
        assert_eq!(&body[..], b"{\"message\":\"strongroom run: not \\\"here\\\"\"}\n");
    }

    #[test]
    fn headers_of_connection_and_user_are_removed() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("connection", "keep-alive, x-mine"),
            ("x-mine", "1"),
            ("proxy-authorization", "x"),
            ("te", "trailers"),
            ("host", "127.0.0.1"),
            ("transfer-encoding", "chunked"),
            ("x-api-key", "kept"),
            ("strongroom-user", "bob"),
            ("strongroom-credential", "kept"),
            ("authorization", "kept"),
        ] {
            headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        remove_connection_headers(&mut headers);
        remove_own_headers(&mut headers);
        let mut names: Vec<_> = headers.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["authorization", "strongroom-credential", "te", "x-api-key"]);
    }
}
