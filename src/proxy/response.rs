//! Responses of an origin, as the caller receives them.

use std::sync::Arc;
use std::time::Duration;

use http::header::{
    ALT_SVC, CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderName, SET_COOKIE, TRANSFER_ENCODING,
    UPGRADE, WWW_AUTHENTICATE,
};
use http::{HeaderMap, Response};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::ext::ReasonPhrase;

use super::body::{FilteredBody, RequestPlace, StreamedBody};
use super::mask::MaskedForms;

/// Removes what the caller must not see, and masks the secret. The body may pause for `idle`.
pub(super) fn filtered(
    response: Response<Incoming>,
    forms: Arc<MaskedForms>,
    idle: Duration,
    place: RequestPlace,
) -> Response<StreamedBody> {
    let (mut head, body) = response.into_parts();
    filter_headers(&mut head.headers, &forms);
    let is_text = is_uncompressed_text(&head.headers);
    let body = FilteredBody::new(body, idle, forms, is_text, place).boxed_unsync();
    // What stays keeps the case of the headers' names. A reason phrase could repeat the secret.
    head.extensions.remove::<ReasonPhrase>();
    Response::from_parts(head, body)
}

/// Returns the response to a request without a credential. The body may pause for `idle`.
pub(super) fn passed_on(response: Response<Incoming>, idle: Duration, place: RequestPlace) -> Response<StreamedBody> {
    let (mut head, body) = response.into_parts();
    remove_connection_headers(&mut head.headers);
    remove_own_headers(&mut head.headers);
    let body = FilteredBody::new(body, idle, Arc::new(MaskedForms::new(&[], &[])), false, place).boxed_unsync();
    Response::from_parts(head, body)
}

/// Removes the headers that the caller must not see, and masks the secret in the others.
pub(super) fn filter_headers(headers: &mut HeaderMap, forms: &MaskedForms) {
    remove_connection_headers(headers);
    // A session that the provider began with the credential is as good as the credential.
    headers.remove(SET_COOKIE);
    // HTTP/3 would go past the proxy.
    headers.remove(ALT_SVC);
    remove_own_headers(headers);
    forms.mask_headers(headers);
}

/// Removes headers by which a caller tells answers of our own.
fn remove_own_headers(headers: &mut HeaderMap) {
    let ours: Vec<HeaderName> =
        headers.keys().filter(|name| name.as_str().starts_with("strongroom-")).cloned().collect();
    for name in ours {
        headers.remove(name);
    }
}

/// Removes hop-by-hop headers of the response (RFC 9110 §7.6.1).
fn remove_connection_headers(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .into_iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    for name in named.iter().filter(|name| **name != CONTENT_LENGTH && **name != CONTENT_TYPE) {
        headers.remove(name);
    }
    for name in [CONNECTION, TRANSFER_ENCODING, UPGRADE] {
        headers.remove(name);
    }
    headers.remove("keep-alive");
    headers.remove("proxy-authenticate");
    headers.remove("proxy-connection");
}

/// Returns true if the token lacks a scope: a refresh would not change that (RFC 6750 §3.1).
pub(super) fn is_scope_error(headers: &HeaderMap) -> bool {
    let challenges = headers.get_all(WWW_AUTHENTICATE).into_iter();
    challenges.filter_map(|value| value.to_str().ok()).any(|value| value.contains("insufficient_scope"))
}

/// Returns true for text that is not compressed: a secret in it can be found and masked.
fn is_uncompressed_text(headers: &HeaderMap) -> bool {
    if headers.get(CONTENT_ENCODING).is_some_and(|coding| coding != "identity") {
        return false;
    }
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let (family, name) = kind.split_once('/').unwrap_or((&kind, ""));
    family == "text"
        || kind.is_empty()
        || name.ends_with("+json")
        || name.ends_with("+xml")
        || matches!(
            name,
            "json" | "xml" | "javascript" | "x-javascript" | "x-www-form-urlencoded" | "x-ndjson" | "graphql" | "yaml"
        )
}
