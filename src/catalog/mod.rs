//! What a provider is: the vocabulary, the embedded entries, and what the configuration adds to them.
//!
//! The catalogue is laid out once, at start-up, and never changes. Each file of `providers/` is embedded by `build.rs`;
//! a section `[providers.NAME]` of the configuration changes the entry of that name key by key, or is a whole entry of
//! its own. Whatever is wrong with any of them is told at once, with file, line and key.

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

/// Every provider there is, by name. An embedded entry is read when it is first asked for: most are never.
#[derive(Debug)]
pub struct Catalog {
    /// What the configuration changes or adds.
    given: BTreeMap<ProviderName, Provider>,
    /// The embedded entries, in the order of [`EMBEDDED`]; a place that is empty is small.
    embedded: Vec<OnceLock<Box<Provider>>>,
    /// All of them, sorted by name.
    order: Vec<Shelf>,
    /// The names that share an authorization server, by its token endpoint.
    servers: OnceLock<BTreeMap<String, Vec<ProviderName>>>,
}

/// Where an entry is.
#[derive(Clone, Debug)]
enum Shelf {
    Given(ProviderName),
    Embedded(usize),
}

impl Catalog {
    /// The embedded entries, changed and extended by `patches`; one without any key changes nothing.
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

    /// The provider of that name; none for a text that cannot be a name.
    pub fn get(&self, name: &str) -> Option<&Provider> {
        if let Some(given) = self.given.get(&name.parse::<ProviderName>().ok()?) {
            return Some(given);
        }
        EMBEDDED.binary_search_by_key(&name, |(name, ..)| name).ok().map(|at| self.embedded(at))
    }

    /// The names whose tokens come from the same authorization server, this one's among them: Google's products, say.
    /// There, what a user granted to a client is one grant, under whichever of their names it was asked for.
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

    /// All of them, sorted by name; each is read, and kept.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Provider> {
        self.order.iter().map(|shelf| match shelf {
            Shelf::Given(name) => &self.given[name],
            Shelf::Embedded(at) => self.embedded(*at),
        })
    }

    /// Shows each of them, sorted by name; what was not read before is not kept.
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
