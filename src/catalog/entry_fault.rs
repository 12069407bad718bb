//! A fault of an entry, before it is known where it was written.

/// A fault of an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct EntryFault {
    /// The key from the top of the entry: `oauth.default_scopes[1]`; empty for the entry as a whole.
    pub(super) key: String,
    /// The problem, and what to write instead.
    pub(super) message: String,
}

impl EntryFault {
    pub(super) fn new(key: impl Into<String>, message: impl Into<String>) -> Self {
        Self { key: key.into(), message: message.into() }
    }
}
