//! Pages for a browser: plain HTML without scripts, every value escaped.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Response, StatusCode};

use crate::random::Random;

const STYLE: &str = "
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 40rem; margin: 15vh auto; padding: 0 1rem; }
h1 { font-size: 1.3rem; }
p, dd { overflow-wrap: anywhere; }
pre { white-space: pre-wrap; overflow-wrap: anywhere; user-select: all; border: 1px solid; padding: .6rem; }
code, li { overflow-wrap: anywhere; }
input, button { font: inherit; padding: .4rem .8rem; }
label, input { display: block; width: 100%; box-sizing: border-box; }
p.decide { display: flex; gap: .6rem; }
p.decide button { flex: 1; }
small { opacity: .75; }
";

/// Returns a page without forms. `body` is HTML below the heading.
pub(crate) fn page(status: StatusCode, heading: &str, body: &str, random: Random) -> Response<String> {
    page_with_forms(status, (heading, body), "'none'", random)
}

/// Returns a page whose forms may be sent to `form_targets` only.
pub(crate) fn page_with_forms(
    status: StatusCode,
    (heading, body): (&str, &str),
    form_targets: &str,
    random: Random,
) -> Response<String> {
    let nonce = STANDARD.encode(random.bytes::<18>());
    let heading = escape(heading);
    let html = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>Strongroom: {heading}</title>\n\
         <style nonce=\"{nonce}\">{STYLE}</style>\n</head>\n\
         <body>\n<h1>{heading}</h1>\n{body}\n</body>\n</html>\n",
    );
    let mut page = Response::new(html);
    *page.status_mut() = status;
    page.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    let policy = format!("form-action {form_targets}; style-src 'nonce-{nonce}'");
    add_security_headers(page.headers_mut(), &policy);
    page
}

/// Sets the security headers of a response to a browser: no external content, no frames, no
/// referrer, no caching. `policy` has the directives for forms and styles.
pub(crate) fn add_security_headers(headers: &mut HeaderMap, policy: &str) {
    let none = "default-src 'none'; base-uri 'none'; frame-ancestors 'none'";
    let policy = HeaderValue::from_str(&format!("{none}; {policy}")).expect("a policy of ours is ASCII");
    headers.insert(CONTENT_SECURITY_POLICY, policy);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert("referrer-policy", HeaderValue::from_static("no-referrer"));
    headers.insert("x-content-type-options", HeaderValue::from_static("nosniff"));
    headers.insert("x-frame-options", HeaderValue::from_static("DENY"));
}

/// Escapes text for element content and quoted attributes.
pub(crate) fn escape(text: &str) -> Cow<'_, str> {
    if !text.contains(['&', '<', '>', '"', '\'']) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    Cow::Owned(escaped)
}
