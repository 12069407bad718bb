//! Checks of the repository: documents and source.

#![allow(clippy::unwrap_used, reason = "an unexpected value fails the test")]

#[path = "../support/http.rs"]
#[allow(dead_code, unreachable_pub, reason = "the session uses a part of the client")]
mod client;

mod documents;
mod readme_session;
