//! Properties that must hold for any input: one function for each parser of untrusted bytes, which
//! panics if the property is violated.
//!
//! The property tests in this module call them with generated input, and the fuzz targets in
//! `fuzz/` with libFuzzer's. The module exists only for tests and under `--cfg fuzzing`, so that no
//! parser has to be public for it.

#![allow(clippy::unwrap_used, reason = "a property that does not hold panics")]

mod documents;
mod imports;
mod proxied;
mod requests;
mod sealed;
mod settings;
mod token_response;
mod url_template;

pub use documents::{json, key_set_and_token, metadata};
pub use imports::{export_file, import_files};
pub use proxied::{canonical_path, destination, mask};
pub use requests::{callback_query, callback_url, host_pattern, request_body};
pub use sealed::{backup, epoch_file, keyring, record, slot};
pub use settings::config;
pub use token_response::{scope_list, token_response};
pub use url_template::url_template;

#[cfg(test)]
mod tests;
