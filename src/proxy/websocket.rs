//! WebSockets (RFC 6455): after the origin's 101 the bytes pass in both directions, unchanged. They
//! end when the caller's API key, its grants or the credential no longer allow them.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, UPGRADE};
use http::{HeaderMap, HeaderValue, Response};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper::ext::ReasonPhrase;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;

use super::body::{RequestPlace, StreamedBody};
use super::mask::MaskedForms;
use super::response::filter_headers;

/// Time between two checks of the API key, its grants and the credential: a connection that is no
/// longer allowed ends within a second.
pub(super) const CHECK: Duration = Duration::from_millis(500);

/// Appended to the key before it is hashed (RFC 6455 §1.3).
const GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// Sets the headers of the upgrade, which both the request and the 101 have.
pub(super) fn ask(headers: &mut HeaderMap) {
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
}

/// Returns true if the origin's 101 answers this request. Otherwise what follows is no WebSocket.
pub(super) fn is_accepted(asked: &HeaderMap, response: &HeaderMap) -> bool {
    let Some(key) = asked.get(SEC_WEBSOCKET_KEY).and_then(|key| key.to_str().ok()) else { return false };
    // RFC 6455 prescribes SHA-1, which protects nothing here.
    let digest = ring::digest::digest(&ring::digest::SHA1_FOR_LEGACY_USE_ONLY, format!("{key}{GUID}").as_bytes());
    let is_websocket = response.get(UPGRADE).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"websocket"));
    is_websocket && response.get(SEC_WEBSOCKET_ACCEPT).is_some_and(|value| value == STANDARD.encode(digest).as_str())
}

/// Joins the two connections, and returns the response for the caller. The bytes pass until one side
/// ends, or `is_allowed` returns false.
pub(super) fn join(
    caller: OnUpgrade,
    mut response: Response<Incoming>,
    forms: &MaskedForms,
    place: RequestPlace,
    is_allowed: impl Fn() -> bool + Send + Sync + 'static,
) -> Response<StreamedBody> {
    let origin = hyper::upgrade::on(&mut response);
    let (mut head, _) = response.into_parts();
    filter_headers(&mut head.headers, forms);
    ask(&mut head.headers);
    head.extensions.remove::<ReasonPhrase>();
    tokio::spawn(async move {
        let _place = place;
        let Ok((caller, origin)) = tokio::try_join!(caller, origin) else { return };
        let (mut caller, mut origin) = (TokioIo::new(caller), TokioIo::new(origin));
        let until_refused = async {
            while is_allowed() {
                tokio::time::sleep(CHECK).await;
            }
        };
        tokio::select! {
            _ended = tokio::io::copy_bidirectional(&mut caller, &mut origin) => {}
            () = until_refused => tracing::info!("a WebSocket was closed: its API key, grants or credential no longer allow it"),
        }
    });
    Response::from_parts(head, Empty::new().map_err(|never| match never {}).boxed_unsync())
}
