//! What a provider is: the vocabulary, the embedded entries, and what the configuration adds to them.

pub mod entry;
pub mod value;
