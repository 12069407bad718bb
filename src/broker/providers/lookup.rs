//! Lookup of providers: a list, one by name, and what the settings lack for it.

use serde::Serialize;

use super::list::{InputInfo, ProviderFilter, ProviderList, ProviderPage, inputs_of_mcp};
use crate::broker::error::Error;
use crate::broker::installation::Installation;
use crate::broker::parts::Broker;
use crate::catalog::{Catalog, Provider, SwitchedOff};
use crate::config::{Config, ProviderSettings};
use crate::id::ProviderName;
use crate::kind::Kind;
use crate::validation;
use crate::visible::plain;

/// Length in bytes of the longest text that is compared with the names of the providers.
const MAX_COMPARED: usize = 64;

/// The catalogue has no provider with this name.
#[derive(Debug, thiserror::Error)]
pub enum UnknownProvider {
    /// There is no such provider.
    #[error("there is no provider '{name}'{}", validation::did_you_mean(.nearest.as_ref().map(ProviderName::as_str)))]
    Absent {
        /// Name without control characters.
        name: String,
        /// Provider with the most similar name, if one is similar.
        nearest: Option<ProviderName>,
    },
    /// The configuration switches it off.
    #[error("provider '{name}' is switched off by the configuration: {}", switch(.name, *.by))]
    SwitchedOff {
        /// Name.
        name: String,
        /// Setting.
        by: SwitchedOff,
    },
}

impl UnknownProvider {
    /// Returns the change of the settings that brings a provider back which they switch off.
    pub fn fix(&self) -> Option<String> {
        match self {
            Self::Absent { .. } => None,
            Self::SwitchedOff { name, by: SwitchedOff::Disabled } => {
                Some(format!("remove `enabled = false` from [providers.{name}]"))
            }
            Self::SwitchedOff { name, by: SwitchedOff::NotListed } => Some(format!("add {name} to catalog.only")),
        }
    }
}

/// Names the setting that switches a provider off.
fn switch(name: &str, by: SwitchedOff) -> String {
    match by {
        SwitchedOff::Disabled => format!("providers.{name}.enabled is false"),
        SwitchedOff::NotListed => "catalog.only does not list it".to_owned(),
    }
}

/// A provider in a list.
#[derive(Debug, Serialize)]
pub struct ProviderRow {
    /// Name.
    pub name: ProviderName,
    /// Name for people.
    pub display_name: String,
    /// Kinds of credentials that it accepts.
    pub kinds: Vec<&'static str>,
    /// True if the settings have what is needed to connect accounts.
    pub configured: bool,
    /// Category.
    pub category: Option<String>,
    /// Page of the provider's documentation.
    pub docs: Option<String>,
}

impl Installation {
    /// Returns the number of providers.
    pub fn provider_count(&self) -> usize {
        self.catalog.iter().len()
    }

    /// Returns the providers that have each of the words in their name, display name or category.
    pub fn providers(&self, words: &[String]) -> Vec<ProviderRow> {
        let row = |provider: &Provider| ProviderRow {
            name: provider.name.clone(),
            display_name: provider.entry.display_name.clone(),
            kinds: kinds(provider),
            configured: missing(&self.config, provider).is_none(),
            category: provider.entry.category.clone(),
            docs: provider.entry.docs.as_ref().map(|docs| docs.url().to_string()),
        };
        self.catalog.iter().filter(|provider| is_about(provider, words)).map(row).collect()
    }

    /// Returns a provider.
    pub fn provider(&self, name: &str) -> Result<&Provider, UnknownProvider> {
        find(&self.catalog, name)
    }

    /// Returns the inputs of a login at an MCP server. Its entry does not name them.
    pub fn inputs_of_mcp(&self, provider: &Provider) -> Vec<InputInfo> {
        provider.entry.mcp.as_ref().map(inputs_of_mcp).unwrap_or_default()
    }

    /// Returns what the settings lack to connect accounts at the provider.
    pub fn missing(&self, provider: &Provider) -> Option<String> {
        missing(&self.config, provider)
    }
}

impl Broker {
    /// Returns the providers that the filter selects.
    pub fn providers(&self, filter: &ProviderFilter) -> ProviderPage {
        let list = self.0.providers.get_or_init(|| ProviderList::of(&self.0.catalog, &self.0.clients));
        if *filter == ProviderFilter::default() { list.whole.clone() } else { list.select(filter) }
    }

    /// Returns a provider.
    pub fn provider(&self, name: &str) -> Result<&Provider, UnknownProvider> {
        find(&self.0.catalog, name)
    }

    /// Builds the error of a provider that the catalogue does not have.
    pub(in crate::broker) fn unknown_provider(&self, name: &str) -> Error {
        Error::ProviderUnknown { name: name.to_owned(), nearest: nearest(&self.0.catalog, name) }
    }
}

fn find<'c>(catalog: &'c Catalog, name: &str) -> Result<&'c Provider, UnknownProvider> {
    catalog.get(name).ok_or_else(|| match catalog.switched_off(name) {
        Some(by) => UnknownProvider::SwitchedOff { name: name.to_owned(), by },
        None => UnknownProvider::Absent { name: plain(name), nearest: nearest(catalog, name) },
    })
}

/// Returns the provider with the most similar name, if one is similar. A text that is much longer
/// than any name is similar to none.
pub(in crate::broker) fn nearest(catalog: &Catalog, name: &str) -> Option<ProviderName> {
    let names = || catalog.iter().map(|known| known.name.as_str());
    let near = (name.len() <= MAX_COMPARED).then(|| validation::nearest(&name.to_lowercase(), names()))?;
    near.and_then(|near| near.parse().ok())
}

pub(super) fn kinds(provider: &Provider) -> Vec<&'static str> {
    Kind::ALL.into_iter().filter(|kind| provider.entry.takes(*kind)).map(Kind::name).collect()
}

/// Returns true if each word occurs in the provider's name, display name or category, in any case.
fn is_about(provider: &Provider, words: &[String]) -> bool {
    let category = provider.entry.category.as_deref().unwrap_or("");
    let text = format!("{}\n{}\n{category}", provider.name, provider.entry.display_name).to_lowercase();
    words.iter().all(|word| text.contains(&word.to_lowercase()))
}

/// Returns what the settings lack to connect accounts at the provider.
pub(super) fn missing(config: &Config, provider: &Provider) -> Option<String> {
    let oauth = provider.entry.oauth.as_ref()?;
    let none = ProviderSettings::default();
    let settings = config.providers.get(&provider.name).unwrap_or(&none);
    let proof = Some("client_secret").filter(|_| oauth.token_auth.needs_secret() && !settings.has_client_secret());
    let id = Some("client_id").filter(|_| settings.client_id.is_none());
    let lacks: Vec<&str> = id.into_iter().chain(proof).collect();
    (!lacks.is_empty()).then(|| format!("set {} in [providers.{}]", lacks.join(" and "), provider.name))
}
