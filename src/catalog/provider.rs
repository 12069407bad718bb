//! A provider as the catalogue holds it.

use super::entry::Entry;
use crate::id::ProviderName;

/// A provider: its name and its entry.
#[derive(Clone, Debug)]
pub struct Provider {
    /// The name in URLs, in the configuration and on the command line.
    pub name: ProviderName,
    /// Its entry, with the configuration's changes.
    pub entry: Entry,
}
