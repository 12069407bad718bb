//! A provider as the catalogue holds it.

use super::entry::Entry;
use crate::id::ProviderName;

/// A provider: its name, and what is known about it.
#[derive(Clone, Debug)]
pub struct Provider {
    /// The name in URLs, in the configuration and on the command line.
    pub name: ProviderName,
    /// What its file says, with the configuration's changes.
    pub entry: Entry,
}
