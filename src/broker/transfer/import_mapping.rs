//! Mapping of another program's item to a credential.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::broker::parts::Broker;
use crate::broker::providers::{UnknownProvider, nearest};
use crate::broker::token::schedule;
use crate::catalog::Provider;
use crate::catalog::entry::{GrantType, OAuth};
use crate::catalog::input::InputFault;
use crate::id::{IdError, ProviderName, UserId};
use crate::import::{Item, ItemSecret, ItemTokens};
use crate::kind::Kind;
use crate::policy::{HostPattern, HostPatternError};
use crate::secret::Secret;
use crate::validation::did_you_mean;
use crate::vault::{CredentialMetadata, CredentialSecret, NewCredential, OwnClient, Renewal, Tokens};

/// Options of an import.
#[derive(Clone, Debug, Default)]
pub struct ImportOptions {
    /// Owner of all imported credentials; `None` takes the owner from the file.
    pub user: Option<UserId>,
    /// Provider by name in the other program.
    pub providers: BTreeMap<String, ProviderName>,
    /// Host by item id in the file, for items with headers.
    pub hosts: BTreeMap<String, HostPattern>,
    /// True to import again what exists already.
    pub duplicates: bool,
    /// True to write nothing and only report.
    pub dry_run: bool,
    /// Called after each item, with the number of items so far and of all.
    pub on_progress: Option<fn(usize, usize)>,
}

/// Reason why an item cannot be imported. It contains names and ids, never a secret.
pub(in crate::broker) type Refusal = String;

/// Reason for a record of an export that cannot be read.
pub(super) const UNKNOWN_FORMAT: &str =
    "the record has an unknown format: use the version of Strongroom that exported it, or a newer one";

impl Broker {
    /// Maps an item to a new credential, with advice about it.
    pub(in crate::broker) fn new_credential(
        &self,
        item: Item,
        options: &ImportOptions,
    ) -> Result<(NewCredential, Option<String>), Refusal> {
        let found = item.found.map_err(|error| error.to_string())?;
        let user = whose(item.user.as_deref(), options.user.as_ref())?;
        let provider = self.provider_called(&item.names, &item.own_name, options)?;
        let title = if item.title.is_empty() { provider.entry.display_name.clone() } else { item.title };
        let mut new =
            NewCredential::plain(user, provider.name.clone(), title, CredentialSecret::ApiKey(Secret::new("")));
        new.exportable = self.exportable_at(&provider.name, None);
        takes(provider, found.kind())?;
        match found {
            ItemSecret::ApiKey { parts, expires_at } => {
                new.material = CredentialSecret::ApiKey(whole_key(provider, &parts)?);
                new.expires_at = expires_at;
            }
            ItemSecret::UserPassword { username, password } => {
                new.material = CredentialSecret::UserPassword { username, password };
            }
            ItemSecret::HostScoped { host, headers } => {
                let host = match (options.hosts.get(&item.id), host) {
                    (Some(host), _) => host.clone(),
                    (None, Some(host)) => host
                        .parse()
                        .map_err(|error: HostPatternError| format!("the host of the headers is invalid: {error}"))?,
                    (None, None) => {
                        return Err(format!(
                            "the file names no host for the headers: give it with --host {}=HOST",
                            item.id
                        ));
                    }
                };
                new.material = headers_for(host, headers)?;
            }
            ItemSecret::OAuth2(tokens) => self.with_tokens(&mut new, provider, &tokens)?,
        }
        let note = self.refresh_note(&new.provider, new.client_id.as_deref(), &new.material);
        Ok((new, note))
    }

    /// Returns the provider of an item: the operator's mapping of any of its names, else the first
    /// name that is in the catalogue.
    fn provider_called(&self, names: &[String], own: &str, options: &ImportOptions) -> Result<&Provider, Refusal> {
        let told = names.iter().map(String::as_str).chain([own]).find_map(|name| options.providers.get(name));
        let known = match told {
            Some(provider) => self.0.catalog.get(provider.as_str()),
            None => names.iter().find_map(|name| self.0.catalog.get(name)),
        };
        known.ok_or_else(|| self.no_provider(names, own))
    }

    /// Returns the refusal of a name that the catalogue does not have, with the most similar one.
    fn no_provider(&self, names: &[String], own: &str) -> Refusal {
        if let Err(off @ UnknownProvider::SwitchedOff { .. }) = self.provider(own) {
            return off.to_string();
        }
        let near = names.iter().map(String::as_str).chain([own]).find_map(|name| nearest(&self.0.catalog, name));
        match near {
            _ if own.is_empty() => "it names no provider".to_owned(),
            Some(near) => {
                let near = near.as_str();
                format!("there is no provider '{own}'{} Map it with --map {own}={near}", did_you_mean(Some(near)))
            }
            None => format!("there is no provider '{own}': map it with --map {own}=PROVIDER"),
        }
    }

    fn with_tokens(&self, new: &mut NewCredential, provider: &Provider, found: &ItemTokens) -> Result<(), Refusal> {
        let name = &provider.name;
        let Some(oauth) = &provider.entry.oauth else {
            return Err(format!("an account at an MCP server must be connected again: `strongroom connect {name}`"));
        };
        let token_type = oauth.token_type.clone().or_else(|| found.token_type.clone());
        let token_type = token_type.unwrap_or_else(|| "Bearer".to_owned());
        if token_type.eq_ignore_ascii_case("dpop") {
            return Err("its tokens are bound to a key that is not in the file: connect the account again".to_owned());
        }
        let renewal = match (&found.own_client, &found.client_id) {
            (Some(_), _) if !oauth.grants.contains(&GrantType::ClientCredentials) => {
                return Err(format!("{name} does not offer the client-credentials grant"));
            }
            (Some(secret), Some(id)) => {
                let own = Some(OwnClient { id: id.clone(), secret: Some(secret.clone()) });
                Some(Box::new(Renewal::ClientCredentials { own }))
            }
            _ => None,
        };
        let now = self.0.clock.now();
        let left = found.expires_at.map_or(0, |ends| now.seconds_until(ends));
        let tokens = Tokens {
            metadata: metadata_of(oauth, found)?,
            access_token: found.access_token.clone(),
            refresh_token: found.refresh_token.clone(),
            token_type,
            lifetime: u64::try_from(left).ok().filter(|left| *left > 0).map(Duration::from_secs),
            refresh_expires_at: found.refresh_expires_at,
            renewal,
            dpop_key: None,
            redirect_uri: None,
            discovery: None,
            issued_by: None,
            replaced: None,
        };
        let has_ended = found.expires_at.is_some_and(|ends| ends <= now) && tokens.can_be_renewed();
        new.refresh_at = if has_ended { Some(now) } else { schedule::refresh_at(&tokens, now, self.0.random) };
        new.material = CredentialSecret::OAuth2(tokens);
        new.scopes = Some(found.scopes.clone());
        new.username.clone_from(&found.username);
        new.client_id.clone_from(&found.client_id);
        new.expires_at = found.expires_at;
        Ok(())
    }

    /// Checks that the catalogue here accepts a credential of another vault.
    pub(in crate::broker) fn may_have(&self, summary: &CredentialMetadata) -> Result<(), Refusal> {
        let name = summary.provider.as_str();
        let known = self.0.catalog.get(name).ok_or_else(|| self.no_provider(&[], name))?;
        takes(known, summary.kind)
    }

    /// Returns advice about refreshing imported tokens.
    pub(in crate::broker) fn refresh_note(
        &self,
        provider: &ProviderName,
        client_id: Option<&str>,
        material: &CredentialSecret,
    ) -> Option<String> {
        let CredentialSecret::OAuth2(tokens) = material else { return None };
        // A client that comes with the tokens, or was registered for them, can refresh them.
        let by_our_client = tokens.refresh_token.is_some() && tokens.renewal.is_none();
        let entry = &self.0.catalog.get(provider.as_str())?.entry;
        if !by_our_client || entry.mcp.is_some() {
            return None;
        }
        match (self.0.clients.at(provider), client_id) {
            (None, _) => Some(format!(
                "it cannot be refreshed until providers.{provider}.client_id is the client that issued it"
            )),
            (Some(ours), Some(theirs)) if ours.id != theirs => Some(format!(
                "it cannot be refreshed: it was issued to another client than providers.{provider}.client_id"
            )),
            (Some(_), _) => None,
        }
    }
}

impl ItemSecret {
    fn kind(&self) -> Kind {
        match self {
            Self::OAuth2(_) => Kind::OAuth2,
            Self::ApiKey { .. } => Kind::ApiKey,
            Self::UserPassword { .. } => Kind::UserPassword,
            Self::HostScoped { .. } => Kind::HostScoped,
        }
    }
}

fn whose(said: Option<&str>, told: Option<&UserId>) -> Result<UserId, Refusal> {
    match (told, said) {
        (Some(user), _) => Ok(user.clone()),
        (None, Some(text)) => text.parse().map_err(|error: IdError| {
            format!("the user in the file is not a valid user id ({error}): give one with --user")
        }),
        (None, None) => Err("the file names no user: give one with --user".to_owned()),
    }
}

fn takes(provider: &Provider, kind: Kind) -> Result<(), Refusal> {
    if provider.entry.takes(kind) {
        Ok(())
    } else {
        Err(format!("{} does not accept credentials of kind {kind}", provider.name))
    }
}

/// Joins the secrets of a key with colons.
fn whole_key(provider: &Provider, parts: &[Secret]) -> Result<Secret, Refusal> {
    let wanted = provider.entry.api_key.as_ref().map_or(&[][..], |key| &key.secrets);
    let joined = zeroize::Zeroizing::new(parts.iter().map(Secret::expose).collect::<Vec<_>>().join(":"));
    let has = joined.split(':').count();
    let is_whole = if parts.len() > 1 { parts.len() == wanted.len() } else { has >= wanted.len() };
    if is_whole {
        Ok(Secret::new(joined.as_str()))
    } else {
        Err(format!("a key of {} consists of {}, joined by colons", provider.name, wanted.join(" and ")))
    }
}

fn headers_for(host: HostPattern, headers: BTreeMap<String, Secret>) -> Result<CredentialSecret, Refusal> {
    let carried = |(name, value): (&String, &Secret)| {
        name.parse::<http::HeaderName>().is_ok()
            && !value.is_empty()
            && http::HeaderValue::from_str(value.expose()).is_ok()
    };
    if headers.is_empty() || !headers.iter().all(carried) {
        return Err("a header has an invalid name or value".to_owned());
    }
    Ok(CredentialSecret::HostScoped { host, headers })
}

/// Returns the metadata to keep with tokens: the members that the entry names, and the values of
/// its URLs, checked as at a login.
fn metadata_of(oauth: &OAuth, found: &ItemTokens) -> Result<BTreeMap<String, serde_json::Value>, Refusal> {
    let mut metadata: BTreeMap<String, serde_json::Value> = (oauth.token_metadata.iter())
        .filter_map(|name| Some((name.clone(), found.members.0.get(name)?.clone())))
        .collect();
    let mut given = found.values.clone();
    // A program with a single value for an account's location calls it a subdomain, whatever the
    // entry calls it.
    if let ([name], Some(only)) = (&oauth.inputs.keys().collect::<Vec<_>>()[..], found.values.get("subdomain")) {
        given.entry((*name).clone()).or_insert_with(|| only.clone());
    }
    let refused = |fault: InputFault| format!("{fault}; connect the account again");
    let mut values = oauth.callers_values(&given).map_err(|mut faults| refused(faults.remove(0)))?;
    values.extend(oauth.callbacks_values(&given).map_err(refused)?);
    values.extend(oauth.token_values(&metadata).map_err(refused)?);
    oauth.with_values(&values).map_err(refused)?;
    oauth.keep_values(&mut metadata, values, None);
    Ok(metadata)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::Catalog;
    use crate::import::{Made, known_names, n8n_table};

    #[test]
    fn mapped_names_are_providers_of_the_right_kind() {
        let catalog = Catalog::build([]).unwrap();
        for name in known_names() {
            assert!(catalog.get(&name).is_some(), "{name}");
        }
        for (name, how) in n8n_table().types {
            let kind = match how.made {
                Made::OAuth2 => Kind::OAuth2,
                Made::ApiKey => Kind::ApiKey,
                Made::UserPassword => Kind::UserPassword,
                Made::Header | Made::Bearer | Made::Basic => Kind::HostScoped,
            };
            let provider = catalog.get(&how.provider).unwrap();
            assert!(provider.entry.takes(kind), "{name}: {} takes no {kind}", how.provider);
            if how.made == Made::ApiKey {
                let parts: Vec<Secret> = how.members.iter().map(|name| Secret::new(name.as_str())).collect();
                assert!(whole_key(provider, &parts).is_ok(), "{name}");
            }
        }
    }

    #[test]
    fn key_with_missing_parts_is_rejected() {
        let catalog = Catalog::build([]).unwrap();
        let key = |provider: &str, parts: &[&str]| {
            let parts: Vec<Secret> = parts.iter().map(|part| Secret::new(*part)).collect();
            whole_key(catalog.get(provider).unwrap(), &parts).map(|key| key.expose().to_owned()).ok()
        };
        assert_eq!(key("zendesk", &["a@example.com", "t"]).as_deref(), Some("a@example.com:t"));
        assert_eq!(key("zendesk", &["a@example.com:t"]).as_deref(), Some("a@example.com:t"));
        assert_eq!(key("zendesk", &["t"]), None);
        assert_eq!(key("openai", &["a", "b"]), None);
        assert_eq!(key("openai", &["a:b"]).as_deref(), Some("a:b"));
    }
}
