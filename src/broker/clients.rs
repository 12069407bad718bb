//! Our registrations at the providers: made once from the settings, for a client remembers which of its secrets works.

use std::collections::BTreeMap;

use crate::catalog::Provider;
use crate::catalog::entry::OAuth;
use crate::clock::Clock;
use crate::config::Config;
use crate::id::ProviderName;
use crate::oauth::Client;
use crate::random::Random;

/// Our client at each provider for which the configuration has an id.
pub(super) struct Clients(BTreeMap<ProviderName, Client>);

impl Clients {
    pub(super) fn new(config: &Config, clock: &Clock, random: Random) -> Self {
        let client = |(name, settings): (&ProviderName, &crate::config::ProviderSettings)| {
            let client =
                Client::new(settings.client_id.clone()?, settings.client_secrets.clone(), clock.clone(), random);
            Some((name.clone(), client.with_key(settings.client_key.clone())))
        };
        Self(config.providers.iter().filter_map(client).collect())
    }

    /// Our client at the provider, where the configuration has all that its way of authenticating needs.
    pub(super) fn of(&self, provider: &Provider, oauth: &OAuth) -> Option<Client> {
        self.0.get(&provider.name).filter(|client| client.can(oauth.token_auth)).cloned()
    }
}
