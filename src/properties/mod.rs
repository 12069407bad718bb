//! What holds whatever a stranger sends: one function for each parser that meets hostile bytes, which panics where it does not.
//!
//! The property tests below call them with what a generator makes, in `cargo test`; the fuzz targets in `fuzz/` call the same
//! ones with what libFuzzer finds. So this is in the crate for tests and under `--cfg fuzzing` alone, and no parser is public
//! for it.

#![allow(clippy::unwrap_used, reason = "a property that does not hold panics")]

mod documents;
mod doors;
mod imports;
mod script;
mod sealed;
mod settings;
mod token_answer;
mod url_template;

pub use documents::{json, key_set_and_token, metadata};
pub use doors::{callback_query, callback_url, host_pattern, request_body};
pub use imports::{export_file, import_files};
pub(crate) use script::Script;
pub use sealed::{backup, epoch_file, keyring, record, slot};
pub use settings::config;
pub use token_answer::{scope_list, token_answer};
pub use url_template::url_template;

/// Stands in for a secret of ours that comes back: it may be in nothing that a parser says.
const SECRET: &str = "cl13nt-s3cr3t";

/// That a text of a provider's is fit to be shown.
pub(crate) fn is_fit_to_be_shown(text: &str) {
    assert!(text.chars().count() <= 800, "{} characters", text.chars().count());
    assert!(!text.contains(char::is_control), "{text:?}");
    assert!(!text.contains(SECRET), "{text:?}");
}

#[cfg(test)]
mod tests;
