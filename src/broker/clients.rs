//! Our registrations at the providers, made once from the settings: a client remembers which of its secrets works. And what
//! we publish about ourselves: our public keys, and our client-id metadata document.

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

/// Our client at each provider for which the configuration has an id.
pub(super) struct Clients {
    by_provider: BTreeMap<ProviderName, Client>,
    /// Every public key of ours: the vault's, the newest first, and the configuration's.
    pub(super) published: Vec<Map<String, Value>>,
    /// The newest key of the vault.
    own: Option<Arc<SigningKey>>,
}

impl Clients {
    /// `own` are the vault's keys; the first of them signs where the configuration gives a client none.
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

    /// The key that our metadata document names, where the vault has one.
    pub(super) fn own_key(&self) -> Option<Arc<SigningKey>> {
        self.own.clone()
    }

    /// Our client at the provider, where the configuration has one.
    pub(super) fn at(&self, provider: &ProviderName) -> Option<Client> {
        self.by_provider.get(provider).cloned()
    }

    /// Whether the configuration has all that the provider's way of authenticating needs, as far as the entry says which.
    pub(super) fn is_configured(&self, provider: &Provider, oauth: &OAuth) -> bool {
        self.by_provider.get(&provider.name).is_some_and(|client| oauth.discovers() || client.can(oauth.token_auth))
    }
}
