//! Our OAuth clients at the providers, built once from the settings. A client remembers which of
//! its secrets works.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value};

use crate::catalog::Provider;
use crate::catalog::entry::OAuth;
use crate::clock::Clock;
use crate::config::{Config, ProviderSettings};
use crate::id::ProviderName;
use crate::jose::SigningKey;
use crate::oauth::Client;
use crate::random::Random;

/// OAuth clients by provider.
pub(super) struct Clients {
    by_provider: BTreeMap<ProviderName, Client>,
    /// Public keys to publish: those of the vault, newest first, then those of the configuration.
    pub(super) published: Vec<Map<String, Value>>,
    /// Newest signing key of the vault, which the metadata document names.
    pub(super) own: Option<Arc<SigningKey>>,
}

impl Clients {
    /// Builds the clients. The first key in `own` signs for each client that has no configured key.
    pub(super) fn new(config: &Config, own: Vec<SigningKey>, clock: &Clock, random: Random) -> Self {
        let own: Vec<Arc<SigningKey>> = own.into_iter().map(Arc::new).collect();
        let client = |(name, settings): (&ProviderName, &ProviderSettings)| {
            let client =
                Client::new(settings.client_id.clone()?, settings.client_secrets.clone(), clock.clone(), random);
            let key = if settings.client_key_source.is_some() { settings.client_key.as_ref() } else { own.first() };
            Some((name.clone(), client.with_key(key.cloned())))
        };
        let given = config.providers.values().filter_map(|settings| settings.client_key.as_ref());
        let mut published: Vec<Map<String, Value>> = Vec::new();
        for jwk in own.iter().chain(given).map(|key| key.public_jwk()) {
            if !published.contains(&jwk) {
                published.push(jwk);
            }
        }
        let by_provider = config.providers.iter().filter_map(client).collect();
        Self { by_provider, published, own: own.first().cloned() }
    }

    /// Returns the configured client at the provider.
    pub(super) fn at(&self, provider: &ProviderName) -> Option<Client> {
        self.by_provider.get(provider).cloned()
    }

    /// Returns true if the configuration has everything that the provider's client authentication
    /// needs, as far as the entry says.
    pub(super) fn is_configured(&self, provider: &Provider, oauth: &OAuth) -> bool {
        self.by_provider.get(&provider.name).is_some_and(|client| oauth.discovers() || client.can(oauth.token_auth))
    }
}
