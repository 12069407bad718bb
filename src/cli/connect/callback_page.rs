//! Pages for the browser at the end of a login from a terminal. Plain HTML, no script, everything
//! escaped.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use http_body_util::Full;

use crate::html::escape;
use crate::random::Random;

const STYLE: &str = "
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 30rem; margin: 15vh auto; padding: 0 1rem; }
h1 { font-size: 1.3rem; }
p { overflow-wrap: anywhere; }
";

/// Result of a login.
pub(in crate::cli) struct LoginResult {
    /// True if the account is connected.
    pub(in crate::cli) connected: bool,
    /// One sentence about the result.
    pub(in crate::cli) text: String,
}

/// Returns the page that shows the result.
pub(in crate::cli) fn outcome(outcome: &LoginResult) -> Response<Full<Bytes>> {
    let heading = if outcome.connected { "Connected" } else { "Not connected" };
    page(StatusCode::OK, heading, &outcome.text, "You can close this page and go back to the terminal.")
}

/// Returns the page for an invalid request.
pub(in crate::cli) fn refusal(status: StatusCode, why: &str) -> Response<Full<Bytes>> {
    page(status, "This request is not valid", why, "Go back to the terminal.")
}

/// Returns a response without a page.
pub(in crate::cli) fn empty(status: StatusCode) -> Response<Full<Bytes>> {
    let mut answer = Response::new(Full::default());
    *answer.status_mut() = status;
    guard(answer.headers_mut(), "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'");
    answer
}

fn page(status: StatusCode, heading: &str, text: &str, next: &str) -> Response<Full<Bytes>> {
    let nonce = STANDARD.encode(Random.bytes::<18>());
    let html = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>Strongroom: {heading}</title>\n\
         <style nonce=\"{nonce}\">{STYLE}</style>\n</head>\n\
         <body>\n<h1>{heading}</h1>\n<p>{text}</p>\n<p>{next}</p>\n</body>\n</html>\n",
        heading = escape(heading),
        text = escape(text),
    );
    let mut answer = Response::new(Full::new(Bytes::from(html)));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    let policy = format!(
        "default-src 'none'; style-src 'nonce-{nonce}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    );
    guard(answer.headers_mut(), &policy);
    answer
}

/// Sets the security headers of every response: no external content, no frames, no referrer, no
/// caching.
fn guard(headers: &mut HeaderMap, policy: &str) {
    let policy = HeaderValue::from_str(policy).expect("a policy of ours is ASCII");
    headers.insert(CONTENT_SECURITY_POLICY, policy);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert("referrer-policy", HeaderValue::from_static("no-referrer"));
    headers.insert("x-content-type-options", HeaderValue::from_static("nosniff"));
    headers.insert("x-frame-options", HeaderValue::from_static("DENY"));
}
