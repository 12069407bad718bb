//! The catalogue of providers: the vocabulary, the embedded entries, and the configuration's
//! changes.
//!
//! The catalogue is built once, at start-up, and never changes. Each file of `providers/` is
//! embedded by `build.rs`; a section `[providers.NAME]` of the configuration changes the entry of
//! that name key by key, or is a whole entry of its own. Every fault of every entry is reported at
//! once, with file, line and key.

mod build;
mod check;
pub mod entry;

#[cfg(test)]
mod tests {
    mod build;
    mod docs;
    mod entries;
    mod faults;
    mod placement;
    mod template;
    mod vocabulary;
}

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::OnceLock;

use crate::config::{Config, ConfigErrors, EntryPatch};
use crate::id::ProviderName;
use build::Embedded;

pub use build::Provider;
pub use entry::{Entry, input, template, value, values};

/// Every embedded entry, sorted by name.
const EMBEDDED: &[Embedded] = include!(concat!(env!("OUT_DIR"), "/providers.rs"));

/// All providers by name.
#[derive(Debug)]
pub struct Catalog {
    slots: BTreeMap<Cow<'static, str>, Slot>,
    /// The providers that the settings switch off.
    switched_off: BTreeMap<Cow<'static, str>, SwitchedOff>,
    /// The names that share an authorization server, by its token endpoint.
    servers: OnceLock<BTreeMap<String, Vec<ProviderName>>>,
}

/// The setting that switches a provider off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SwitchedOff {
    /// `catalog.only` does not list it.
    NotListed,
    /// `providers.NAME.enabled` is `false`.
    Disabled,
}

#[derive(Debug)]
enum Slot {
    /// An entry that the configuration changes or adds.
    Given(Box<Provider>),
    /// An embedded entry, parsed when it is first used: most never are.
    Embedded(&'static Embedded, OnceLock<Box<Provider>>),
}

impl Slot {
    fn provider(&self) -> &Provider {
        match self {
            Self::Given(provider) => provider,
            Self::Embedded(text, parsed) => parsed.get_or_init(|| Box::new(build::embedded(text))),
        }
    }
}

impl Catalog {
    /// Builds the catalogue from the embedded entries and `patches`. A patch without keys changes
    /// nothing.
    ///
    /// # Errors
    /// Every fault of every entry, each with the file, the line and the key.
    pub fn build<'p>(
        patches: impl IntoIterator<Item = (&'p ProviderName, &'p EntryPatch)>,
    ) -> Result<Self, ConfigErrors> {
        let embedded = |text: &'static Embedded| (Cow::Borrowed(text.0), Slot::Embedded(text, OnceLock::new()));
        let mut slots: BTreeMap<_, _> = EMBEDDED.iter().map(embedded).collect();
        let mut faults = Vec::new();
        for (name, patch) in patches {
            let file = match slots.get(name.as_str()) {
                Some(Slot::Embedded((_, origin, text), _)) => Some((*origin, *text)),
                _ => None,
            };
            if patch.values.is_empty() {
                faults.extend(file.is_none().then(|| build::unknown(name, patch, EMBEDDED)));
                continue;
            }
            match build::read(name, file, Some(patch)) {
                Ok(entry) => {
                    let provider = Provider { name: name.clone(), entry };
                    slots.insert(name.to_string().into(), Slot::Given(Box::new(provider)));
                }
                Err(found) => faults.extend(found),
            }
        }
        faults.sort();
        if !faults.is_empty() {
            return Err(ConfigErrors(faults));
        }
        Ok(Self { slots, switched_off: BTreeMap::new(), servers: OnceLock::new() })
    }

    /// Leaves out the providers that these settings switch off.
    ///
    /// # Errors
    /// The names in `catalog.only` that the built-in catalogue does not have.
    pub fn restricted_to(mut self, config: &Config) -> Result<Self, ConfigErrors> {
        let built_in = |name: &str| EMBEDDED.binary_search_by(|(known, ..)| (*known).cmp(name)).is_ok();
        if let Some(only) = &config.catalog.only {
            let unknown = only.iter().filter(|name| !built_in(name.as_str()));
            let faults: Vec<_> = unknown.map(|name| build::unknown_in_list(name, config, EMBEDDED)).collect();
            if !faults.is_empty() {
                return Err(ConfigErrors(faults));
            }
            let left_out = |name: &str| built_in(name) && !only.iter().any(|kept| kept.as_str() == name);
            let dropped: Vec<_> = self.slots.keys().filter(|name| left_out(name)).cloned().collect();
            for name in dropped {
                self.slots.remove(&name);
                self.switched_off.insert(name, SwitchedOff::NotListed);
            }
        }
        for (name, _) in config.providers.iter().filter(|(_, settings)| settings.enabled == Some(false)) {
            if let Some((name, _)) = self.slots.remove_entry(name.as_str()) {
                self.switched_off.insert(name, SwitchedOff::Disabled);
            }
        }
        Ok(self)
    }

    /// Returns the provider of that name, if there is one.
    pub fn get(&self, name: &str) -> Option<&Provider> {
        self.slots.get(name).map(Slot::provider)
    }

    /// Returns the setting that switches the provider off, if one does.
    pub fn switched_off(&self, name: &str) -> Option<SwitchedOff> {
        self.switched_off.get(name).copied()
    }

    /// Returns the names of the providers that share this one's authorization server, such as
    /// Google's products. A user's grant to a client is then one grant for all of them.
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
        self.slots.values().map(Slot::provider)
    }

    /// Calls `look` for each provider, sorted by name. An entry that was not parsed before is not
    /// kept.
    pub fn read_each(&self, mut look: impl FnMut(&Provider)) {
        for slot in self.slots.values() {
            match slot {
                Slot::Embedded(text, parsed) if parsed.get().is_none() => look(&build::embedded(text)),
                read => look(read.provider()),
            }
        }
    }
}
