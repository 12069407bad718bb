//! Lookup of a provider by name, and of what its configuration lacks.

use crate::catalog::{Catalog, Provider};
use crate::cli::failure::Failure;
use crate::cli::output::plain;
use crate::config::{Config, ProviderSettings};
use crate::kind::Kind;

pub(in crate::cli) fn kinds(provider: &Provider) -> Vec<&'static str> {
    Kind::ALL.into_iter().filter(|kind| provider.entry.takes(*kind)).map(Kind::name).collect()
}

pub(in crate::cli) fn found<'c>(catalog: &'c Catalog, name: &str) -> Result<&'c Provider, Failure> {
    catalog.get(name).ok_or_else(|| {
        let distance = |known: &&Provider| strsim::damerau_levenshtein(name, known.name.as_str());
        let nearest = catalog.iter().filter(|known| distance(known) <= 3).min_by_key(distance);
        let nearest = nearest.map(|known| format!("; did you mean '{}'?", known.name));
        Failure::new(format!("there is no provider '{}'{}", plain(name), nearest.unwrap_or_default()))
            .advise("`strongroom provider list` lists all providers")
    })
}

/// Returns what the configuration lacks to connect accounts at the provider.
pub(in crate::cli) fn missing(config: &Config, provider: &Provider) -> Option<String> {
    let oauth = provider.entry.oauth.as_ref()?;
    let none = ProviderSettings::default();
    let settings = config.providers.get(&provider.name).unwrap_or(&none);
    let proof = Some("client_secret").filter(|_| oauth.token_auth.needs_secret() && !settings.has_client_secret());
    let id = Some("client_id").filter(|_| settings.client_id.is_none());
    let lacks: Vec<&str> = id.into_iter().chain(proof).collect();
    (!lacks.is_empty()).then(|| format!("set {} in [providers.{}]", lacks.join(" and "), provider.name))
}
