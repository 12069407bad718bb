//! Pages for the browser at the end of a login from a terminal. Plain HTML, no script, everything
//! escaped.

use bytes::Bytes;
use http::{Response, StatusCode};
use http_body_util::Full;

use crate::html::{self, escape};
use crate::random::Random;

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
    html::add_security_headers(answer.headers_mut(), "form-action 'none'");
    answer
}

fn page(status: StatusCode, heading: &str, text: &str, next: &str) -> Response<Full<Bytes>> {
    let body = format!("<p>{}</p>\n<p>{next}</p>", escape(text));
    html::page(status, heading, &body, Random).map(|html| Full::new(Bytes::from(html)))
}
