//! Properties that must hold for any input: one function for each parser of untrusted bytes, which
//! panics if the property is violated.
//!
//! The property tests in this module call them with generated input, and the fuzz targets in
//! `fuzz/` with libFuzzer's. The module exists only for tests and under `--cfg fuzzing`, so that no
//! parser has to be public for it.

#![allow(clippy::unwrap_used, reason = "a property that does not hold panics")]

mod documents;
mod imports;
mod requests;
mod script;
mod sealed;
mod settings;
mod token_response;
mod url_template;

pub use documents::{json, key_set_and_token, metadata};
pub use imports::{export_file, import_files};
pub use requests::{callback_query, callback_url, host_pattern, request_body};
pub(crate) use script::Script;
pub use sealed::{backup, epoch_file, keyring, record, slot};
pub use settings::config;
pub use token_response::{scope_list, token_response};
pub use url_template::url_template;

/// A secret that an input may contain; no text of a parser may repeat it.
const SECRET: &str = "cl13nt-s3cr3t";

/// Asserts that a provider's text was sanitized.
pub(crate) fn is_fit_to_be_shown(text: &str) {
    assert!(text.chars().count() <= 800, "{} characters", text.chars().count());
    assert!(!text.contains(char::is_control), "{text:?}");
    assert!(!text.contains(SECRET), "{text:?}");
}

#[cfg(test)]
mod tests;
