//! Checks of the repository: documents and source.

#![allow(clippy::unwrap_used, reason = "an unexpected value fails the test")]
#![allow(unreachable_pub, reason = "shared by the modules of this binary")]

#[path = "../support/http.rs"]
#[allow(dead_code, reason = "the session uses a part of the client")]
mod client;

mod documents;
mod imports;
mod mutations;
mod packaging;
mod prose;
mod readme_session;
mod rust_version;
mod shape;
mod source;
