//! Checks of the repository: documents and source.

#![allow(clippy::unwrap_used, reason = "an unexpected value fails the test")]

mod documents;
