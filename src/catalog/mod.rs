//! What a provider is: the vocabulary, the embedded entries, and what the configuration adds to them.
//!
//! The catalogue is built once, at start-up, and never changes. Each file of `providers/` is embedded by `build.rs`;
//! a section `[providers.NAME]` of the configuration changes the entry of that name key by key, or is a whole entry of
//! its own. Whatever is wrong with any of them is told at once, with file, line and key.

mod build;
mod check;
mod check_placement;
mod check_token;
pub mod entry;
mod grant;
pub mod input;
mod mcp;
mod placement;
mod reader;
mod revocation;
pub mod template;
mod text;
mod token;
pub mod value;
pub mod values;

#[cfg(test)]
mod build_tests;
#[cfg(test)]
mod docs_tests;
#[cfg(test)]
mod entries_tests;
#[cfg(test)]
mod template_tests;

use std::collections::BTreeMap;

use crate::config::{ConfigErrors, EntryPatch};
use crate::id::ProviderName;

pub use entry::Entry;
pub use text::read as read_entry;

/// Name, path and text of every embedded entry, sorted by name.
const EMBEDDED: &[(&str, &str, &str)] = include!(concat!(env!("OUT_DIR"), "/providers.rs"));

/// Every provider there is, by name.
#[derive(Clone, Debug)]
pub struct Catalog(BTreeMap<ProviderName, Provider>);

/// A provider: its name, and what is known about it.
#[derive(Clone, Debug)]
pub struct Provider {
    /// The name in URLs, in the configuration and on the command line.
    pub name: ProviderName,
    /// What its file says, with the configuration's changes.
    pub entry: Entry,
}

impl Catalog {
    /// The embedded entries, changed and extended by `patches`; one without any key changes nothing.
    ///
    /// # Errors
    /// Every fault of every entry, each with the file, the line and the key.
    pub fn build<'p>(
        patches: impl IntoIterator<Item = (&'p ProviderName, &'p EntryPatch)>,
    ) -> Result<Self, ConfigErrors> {
        build::build(EMBEDDED, &patches.into_iter().collect())
    }

    /// The provider of that name; none for a text that cannot be a name.
    pub fn get(&self, name: &str) -> Option<&Provider> {
        self.0.get(&name.parse::<ProviderName>().ok()?)
    }

    /// The providers whose tokens come from the same authorization server, this one among them: Google's products, say.
    /// There, what a user granted to a client is one grant, under whichever of their names it was asked for.
    pub fn of_the_same_server<'c>(&'c self, provider: &'c Provider) -> impl Iterator<Item = &'c Provider> {
        let server = |provider: &Provider| provider.entry.oauth.as_ref().map(|oauth| oauth.token_url.clone());
        let wanted = server(provider);
        self.iter().filter(move |other| wanted.is_some() && server(other) == wanted)
    }

    /// All of them, sorted by name.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Provider> {
        self.0.values()
    }
}
