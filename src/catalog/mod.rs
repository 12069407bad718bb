//! The catalogue of providers: the vocabulary, the embedded entries, and the configuration's changes.
//!
//! The catalogue is built once, at start-up, and never changes. Each file of `providers/` is embedded by `build.rs`;
//! a section `[providers.NAME]` of the configuration changes the entry of that name key by key, or is a whole entry of
//! its own. Every fault of every entry is reported at once, with file, line and key.

mod build;
mod check;
pub mod entry;
mod entry_fault;
mod provider;

#[cfg(test)]
mod tests {
    mod build;
    mod docs;
    mod entries;
    mod faults;
    mod template;
    mod vocabulary;
}

use std::collections::BTreeMap;
use std::sync::OnceLock;

use crate::config::{ConfigErrors, EntryPatch};
use crate::id::ProviderName;

pub use entry::{Entry, input, template, value, values};
pub use provider::Provider;

/// Name, path and text of every embedded entry, sorted by name.
const EMBEDDED: &[(&str, &str, &str)] = include!(concat!(env!("OUT_DIR"), "/providers.rs"));

/// All providers by name. An embedded entry is parsed when it is first used: most never are.
#[derive(Debug)]
pub struct Catalog {
    /// The entries that the configuration changes or adds.
    given: BTreeMap<ProviderName, Provider>,
    /// The embedded entries, in the order of [`EMBEDDED`].
    embedded: Vec<OnceLock<Box<Provider>>>,
    /// All of them, sorted by name.
    order: Vec<Shelf>,
    /// The names that share an authorization server, by its token endpoint.
    servers: OnceLock<BTreeMap<String, Vec<ProviderName>>>,
}

/// The place of an entry.
#[derive(Clone, Debug)]
enum Shelf {
    Given(ProviderName),
    Embedded(usize),
}

impl Catalog {
    /// Builds the catalogue from the embedded entries and `patches`. A patch without keys changes nothing.
    ///
    /// # Errors
    /// Every fault of every entry, each with the file, the line and the key.
    pub fn build<'p>(
        patches: impl IntoIterator<Item = (&'p ProviderName, &'p EntryPatch)>,
    ) -> Result<Self, ConfigErrors> {
        let given = build::changed(EMBEDDED, &patches.into_iter().collect())?;
        let unchanged = EMBEDDED.iter().enumerate().map(|(at, (name, ..))| (*name, Shelf::Embedded(at)));
        let mut order: BTreeMap<&str, Shelf> = unchanged.collect();
        order.extend(given.keys().map(|name| (name.as_str(), Shelf::Given(name.clone()))));
        let order = order.into_values().collect();
        Ok(Self {
            embedded: EMBEDDED.iter().map(|_| OnceLock::new()).collect(),
            order,
            given,
            servers: OnceLock::new(),
        })
    }

    /// Returns the provider of that name, if there is one.
    pub fn get(&self, name: &str) -> Option<&Provider> {
        if let Some(given) = self.given.get(&name.parse::<ProviderName>().ok()?) {
            return Some(given);
        }
        EMBEDDED.binary_search_by_key(&name, |(name, ..)| name).ok().map(|at| self.embedded(at))
    }

    /// Returns the names of the providers that share this one's authorization server, such as Google's
    /// products. A user's grant to a client is then one grant for all of them.
    pub fn of_the_same_server(&self, provider: &Provider) -> &[ProviderName] {
        let server =
            |provider: &Provider| provider.entry.oauth.as_ref().map(|oauth| oauth.token_url.as_str().to_owned());
        let servers = self.servers.get_or_init(|| {
            let mut servers: BTreeMap<String, Vec<ProviderName>> = BTreeMap::new();
            self.read_each(|provider| {
                if let Some(server) = server(provider) {
                    servers.entry(server).or_default().push(provider.name.clone());
                }
            });
            servers
        });
        server(provider).and_then(|server| servers.get(&server)).map_or(&[], Vec::as_slice)
    }

    /// Iterates over all providers, sorted by name. Each entry is parsed and kept.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Provider> {
        self.order.iter().map(|shelf| match shelf {
            Shelf::Given(name) => &self.given[name],
            Shelf::Embedded(at) => self.embedded(*at),
        })
    }

    /// Calls `look` for each provider, sorted by name. An entry that was not parsed before is not kept.
    pub fn read_each(&self, mut look: impl FnMut(&Provider)) {
        for shelf in &self.order {
            match shelf {
                Shelf::Given(name) => look(&self.given[name]),
                Shelf::Embedded(at) => match self.embedded[*at].get() {
                    Some(provider) => look(provider),
                    None => look(&build::embedded(EMBEDDED[*at])),
                },
            }
        }
    }

    fn embedded(&self, at: usize) -> &Provider {
        self.embedded[at].get_or_init(|| Box::new(build::embedded(EMBEDDED[at])))
    }
}
