//! Readers for the credential files of other programs: bytes in, typed items out. Independent of
//! vault and catalogue; `broker` stores the items.
//!
//! A file comes from another program and is untrusted: it is read within limits and without panics.
//! Each item is read on its own, so that an unreadable one does not affect the others. Texts about
//! an item contain none of its secrets.

mod autogpt;
mod document;
mod entries;
mod fernet;
mod item;
mod n8n;
mod names;
mod nango;
mod placeholder;

use crate::secret;

pub use entries::Allowance;
pub use fernet::{FernetKey, FernetKeyError};
pub use item::{FileError, Item, ItemError, ItemSecret, ItemTokens, Members};
#[cfg(test)]
pub(crate) use names::{Made, known_names, n8n_table};

/// Reads AutoGPT's encrypted `integrations`: a single value, or rows of `id, integrations` as JSON
/// or CSV.
pub fn autogpt(bytes: &[u8], key: &FernetKey, allowance: &mut Allowance) -> Result<Vec<Item>, FileError> {
    decoded(bytes, |bytes| autogpt::items(bytes, key, allowance))
}

/// Reads connections in the format of Nango's API.
pub fn nango(bytes: &[u8], allowance: &mut Allowance) -> Result<Vec<Item>, FileError> {
    decoded(bytes, |bytes| nango::items(bytes, allowance))
}

/// Reads the output of `n8n export:credentials --decrypted`.
pub fn n8n(bytes: &[u8], allowance: &mut Allowance) -> Result<Vec<Item>, FileError> {
    decoded(bytes, |bytes| n8n::items(bytes, allowance))
}

/// Reads a file without its byte order mark, and a file in UTF-16 as UTF-8. Other bytes that are not
/// UTF-8 are left to the reader, which reports their line.
fn decoded<T>(bytes: &[u8], read: impl FnOnce(&[u8]) -> T) -> T {
    match secret::decode(bytes) {
        Some(text) => read(text.as_bytes()),
        None => read(bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes)),
    }
}

/// Reads AutoGPT's column after decryption, for property tests and fuzz targets, which have no key.
#[cfg(any(test, fuzzing))]
pub(crate) fn autogpt_opened(bytes: &[u8]) -> Vec<Item> {
    let opened = document::SecretDocument::parse(bytes);
    opened.and_then(|opened| autogpt::of_opened(opened.value(), Some("alice")).ok()).unwrap_or_default()
}
