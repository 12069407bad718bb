//! What the browser shows at the end of a login from a terminal. Plain HTML, no script, everything escaped.

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

/// How a login ended.
pub(in crate::cli) struct Outcome {
    /// Whether there is a credential now.
    pub(in crate::cli) connected: bool,
    /// One sentence about it.
    pub(in crate::cli) text: String,
}

/// The last page.
pub(in crate::cli) fn outcome(outcome: &Outcome, random: Random) -> Response<Full<Bytes>> {
    let heading = if outcome.connected { "Connected" } else { "Not connected" };
    page(StatusCode::OK, heading, &outcome.text, "You can close this page and go back to the terminal.", random)
}

/// The page for what does not belong here.
pub(in crate::cli) fn refusal(status: StatusCode, why: &str, random: Random) -> Response<Full<Bytes>> {
    page(status, "This does not work", why, "Go back to the terminal.", random)
}

/// An answer without a page.
pub(in crate::cli) fn empty(status: StatusCode) -> Response<Full<Bytes>> {
    let mut answer = Response::new(Full::default());
    *answer.status_mut() = status;
    guard(answer.headers_mut(), "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'");
    answer
}

fn page(status: StatusCode, heading: &str, text: &str, next: &str, random: Random) -> Response<Full<Bytes>> {
    let nonce = STANDARD.encode(random.bytes::<18>());
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

/// The headers that every answer carries: nothing from elsewhere, nobody's frame, no referrer, no copy kept.
fn guard(headers: &mut HeaderMap, policy: &str) {
    let policy = HeaderValue::from_str(policy).expect("a policy of ours is ASCII");
    headers.insert(CONTENT_SECURITY_POLICY, policy);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert("referrer-policy", HeaderValue::from_static("no-referrer"));
    headers.insert("x-content-type-options", HeaderValue::from_static("nosniff"));
    headers.insert("x-frame-options", HeaderValue::from_static("DENY"));
}
