//! Settings of the catalogue and of each provider.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ipnet::IpNet;
use serde::Deserialize;

use super::document;
use super::fields;
use super::finding::{Finding, Location};
use super::secret_source::SecretSource;
use crate::id::ProviderName;
use crate::jose::SigningKey;
use crate::secret::Secret;

/// The providers of the catalogue.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CatalogSettings {
    /// The built-in providers that exist; `None`: all.
    #[serde(default)]
    pub only: Option<Vec<ProviderName>>,
}

/// Our client at one provider, and the changes of the provider's entry.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProviderSettings {
    /// The client's id.
    #[serde(default, deserialize_with = "fields::client_id")]
    pub client_id: Option<String>,
    /// The source of the client's secret.
    #[serde(default, rename = "client_secret")]
    pub client_secret_source: Option<SecretSource>,
    /// The sources of further secrets, tried in this order if the provider rejects the one before.
    #[serde(default, rename = "client_secrets")]
    pub further_secret_sources: Vec<SecretSource>,
    /// The client's secrets in the order in which they are tried; empty also if they were not read.
    #[serde(skip)]
    pub client_secrets: Vec<Secret>,
    /// The client's private key (RFC 7523); `None` also if it was not read.
    #[serde(skip)]
    pub client_key: Option<Arc<SigningKey>>,
    /// The source of the private key.
    #[serde(default, rename = "client_key")]
    pub client_key_source: Option<SecretSource>,
    /// The provider's id for the private key (`kid`); its thumbprint if absent.
    #[serde(default, deserialize_with = "fields::client_id")]
    pub client_key_id: Option<String>,
    /// `Some(false)`: the provider does not exist for callers.
    #[serde(default)]
    pub enabled: Option<bool>,
    /// `Some(false)`: the secrets of this provider's credentials are never given out.
    #[serde(default)]
    pub exportable: Option<bool>,
    /// True if callers may obtain tokens of the configured client itself (RFC 6749 §4.4).
    #[serde(default)]
    pub lend_client: bool,
    /// The scopes that such tokens may have; required with `lend_client`.
    #[serde(default)]
    pub lend_scopes: Option<Vec<String>>,
    /// True if an authorization server that announces no PKCE methods supports S256 (MCP servers).
    #[serde(default)]
    pub assume_s256: bool,
    /// True if an MCP server may have no protected resource metadata (revision 2025-03-26).
    #[serde(default)]
    pub legacy: bool,
    /// Networks that are not public, in which servers that callers choose may be.
    #[serde(default, deserialize_with = "fields::each")]
    pub allow_private: Vec<IpNet>,
    /// PEM file with certification authorities that are trusted for this provider alone.
    #[serde(default, deserialize_with = "fields::some_path")]
    pub ca: Option<PathBuf>,
    /// The changes of the catalogue's entry, or a whole entry.
    #[serde(skip)]
    pub entry: EntryPatch,
}

impl ProviderSettings {
    /// Returns the scopes for which callers may use the configured client; `None` if it is not lent.
    pub fn lent_scopes(&self) -> Option<&[String]> {
        self.lend_scopes.as_deref().filter(|_| self.lend_client)
    }

    /// Returns true if the operator gave a secret, readable now or not.
    pub fn has_client_secret(&self) -> bool {
        self.client_secret_sources().next().is_some()
    }

    /// The sources of the client's secrets in the order in which they are tried, with their keys
    /// below `[providers.NAME]`.
    pub fn client_secret_sources(&self) -> impl Iterator<Item = (String, &SecretSource)> {
        let one = self.client_secret_source.iter().map(|source| ("client_secret".to_owned(), source));
        let further = self.further_secret_sources.iter().enumerate();
        one.chain(further.map(|(at, source)| (format!("client_secrets[{at}]"), source)))
    }

    /// The sources of all secrets of the client, with their keys below `[providers.NAME]`.
    pub fn secret_sources(&self) -> impl Iterator<Item = (String, &SecretSource)> {
        let key = self.client_key_source.iter().map(|source| ("client_key".to_owned(), source));
        self.client_secret_sources().chain(key)
    }
}

/// The part of `[providers.NAME]` that belongs to the catalogue, unread, with where each key was
/// written.
#[derive(Clone, Debug, Default)]
pub struct EntryPatch {
    /// The keys below `[providers.NAME]`, without those of the client.
    pub values: serde_json::Map<String, serde_json::Value>,
    /// The location of each key: `oauth.token_url` → the file and line, or the environment
    /// variable.
    pub locations: BTreeMap<String, Location>,
}

impl EntryPatch {
    /// Reads the text of an entry, for example of a provider that is described at run time. `path`
    /// is shown in messages. The keys are checked when the catalogue is built.
    ///
    /// # Errors
    /// The first syntax error of the text, with its line.
    pub fn parse(path: &Path, text: &str) -> Result<Self, Finding> {
        let (document, faults) = document::parse(text, path);
        let Some(fault) = faults.into_iter().next() else {
            let mut locations = document.locations;
            locations.insert(String::new(), Location::File { path: path.to_owned(), line: 1 });
            return Ok(Self { values: document.values, locations });
        };
        Err(fault)
    }

    /// Returns where `key` (`oauth.scopes[1]`) was written, else the nearest key above it.
    pub fn location(&self, key: &str) -> Location {
        document::nearest(&self.locations, key).cloned().unwrap_or(Location::Default)
    }
}
