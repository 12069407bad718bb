//! What an item of another program's file would be as a credential here, or why it cannot be one.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::broker::parts::Broker;
use crate::broker::token::schedule;
use crate::catalog::Provider;
use crate::catalog::entry::{GrantType, OAuth};
use crate::catalog::input::InputFault;
use crate::id::{IdError, ProviderName, UserId};
use crate::import::{Found, FoundTokens, Item, NotTaken};
use crate::kind::Kind;
use crate::secret::Secret;
use crate::vault::{
    CredentialMetadata, CredentialSecret, HostPattern, HostPatternError, NewCredential, OwnClient, Renewal, Tokens,
};

/// How a file is to be taken in.
#[derive(Clone, Debug, Default)]
pub struct ImportOptions {
    /// Whose all of it is to be; as the file says where there is nobody.
    pub user: Option<UserId>,
    /// Which provider is meant by a name of the other program's.
    pub providers: BTreeMap<String, ProviderName>,
    /// For which host the headers of an item are, by its id in the file.
    pub hosts: BTreeMap<String, HostPattern>,
    /// Whether to take in what is here already, once more.
    pub duplicates: bool,
    /// Whether to say only what would happen.
    pub dry_run: bool,
}

/// Why an item cannot come. Its text has names and ids in it, and no secret.
#[derive(Debug, thiserror::Error)]
pub(in crate::broker) enum Refusal {
    #[error(transparent)]
    Found(#[from] NotTaken),
    #[error("this version of Strongroom does not understand the record: use the one that exported it, or a newer one")]
    NotUnderstood,
    #[error("the file does not say whose it is: say so with --user")]
    NoUser,
    #[error("whose it is in the file cannot be said here ({0}): say whose it is with --user")]
    User(IdError),
    #[error("Strongroom knows no provider of that name: say which it is with --map {0}=PROVIDER")]
    ProviderUnknown(String),
    #[error("{provider} takes no credentials of the kind {kind}")]
    KindNotTaken { provider: String, kind: Kind },
    #[error("{0} gives no tokens to a client that asks for itself")]
    GrantNotOffered(String),
    #[error("an account at an MCP server is connected anew: strongroom connect {0}")]
    Mcp(String),
    #[error("a key of {provider} consists of {}, joined by colons", .parts.join(" and "))]
    Parts { provider: String, parts: Vec<String> },
    #[error("the file does not say for which host the headers are: say so with --host {0}=HOST")]
    NoHost(String),
    #[error("the host is none that headers can be kept for: {0}")]
    Host(#[from] HostPatternError),
    #[error("HTTP cannot carry one of its headers")]
    Header,
    #[error("{0}; connect the account anew")]
    Input(InputFault),
    #[error("its tokens are bound to a key that is not in the file: connect the account anew")]
    Bound,
}

impl Broker {
    /// The credential that an item would be, and what is to be known of it.
    pub(in crate::broker) fn new_credential(
        &self,
        item: Item,
        options: &ImportOptions,
    ) -> Result<(NewCredential, Option<String>), Refusal> {
        let found = item.found?;
        let user = whose(item.user.as_deref(), options.user.as_ref())?;
        let provider = self.provider_called(&item.names, &item.own_name, options)?;
        let title = if item.title.is_empty() { provider.entry.display_name.clone() } else { item.title };
        let mut new =
            NewCredential::plain(user, provider.name.clone(), title, CredentialSecret::ApiKey(Secret::new("")));
        takes(provider, found.kind())?;
        match found {
            Found::ApiKey { parts, expires_at } => {
                new.material = CredentialSecret::ApiKey(whole_key(provider, &parts)?);
                new.expires_at = expires_at;
            }
            Found::UserPassword { username, password } => {
                new.material = CredentialSecret::UserPassword { username, password };
            }
            Found::HostScoped { host, headers } => {
                let host = match (options.hosts.get(&item.id), host) {
                    (Some(host), _) => host.clone(),
                    (None, Some(host)) => host.parse()?,
                    (None, None) => return Err(Refusal::NoHost(item.id)),
                };
                new.material = headers_for(host, headers)?;
            }
            Found::OAuth2(tokens) => self.with_tokens(&mut new, provider, &tokens)?,
        }
        let note = self.refresh_note(&new.provider, new.client_id.as_deref(), &new.material);
        Ok((new, note))
    }

    /// The provider that an item is for: what the operator says of any of its names, else the first that is one.
    fn provider_called(&self, names: &[String], own: &str, options: &ImportOptions) -> Result<&Provider, Refusal> {
        let told = names.iter().map(String::as_str).chain([own]).find_map(|name| options.providers.get(name));
        let known = match told {
            Some(provider) => self.0.catalog.get(provider.as_str()),
            None => names.iter().find_map(|name| self.0.catalog.get(name)),
        };
        known.ok_or_else(|| Refusal::ProviderUnknown(own.to_owned()))
    }

    fn with_tokens(&self, new: &mut NewCredential, provider: &Provider, found: &FoundTokens) -> Result<(), Refusal> {
        let Some(oauth) = &provider.entry.oauth else { return Err(Refusal::Mcp(provider.name.to_string())) };
        let token_type = oauth.token_type.clone().or_else(|| found.token_type.clone());
        let token_type = token_type.unwrap_or_else(|| "Bearer".to_owned());
        if token_type.eq_ignore_ascii_case("dpop") {
            return Err(Refusal::Bound);
        }
        let renewal = match (&found.own_client, &found.client_id) {
            (Some(_), _) if !oauth.grants.contains(&GrantType::ClientCredentials) => {
                return Err(Refusal::GrantNotOffered(provider.name.to_string()));
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

    /// Whether what another vault had can be had here: the catalogue may be another.
    pub(in crate::broker) fn may_have(&self, summary: &CredentialMetadata) -> Result<(), Refusal> {
        let name = summary.provider.as_str();
        let known = self.0.catalog.get(name).ok_or_else(|| Refusal::ProviderUnknown(name.to_owned()))?;
        takes(known, summary.kind)
    }

    /// What is to be known of the refreshing of tokens that come from elsewhere.
    pub(in crate::broker) fn refresh_note(
        &self,
        provider: &ProviderName,
        client_id: Option<&str>,
        material: &CredentialSecret,
    ) -> Option<String> {
        let CredentialSecret::OAuth2(tokens) = material else { return None };
        // A client of its own comes with the tokens, and so does one that registered itself.
        let by_our_client = tokens.refresh_token.is_some() && tokens.renewal.is_none();
        let entry = &self.0.catalog.get(provider.as_str())?.entry;
        if !by_our_client || entry.mcp.is_some() {
            return None;
        }
        let how = entry.oauth.as_ref().and_then(|oauth| oauth.refresh.as_ref());
        if tokens.redirect_uri.is_none() && how.is_some_and(|how| how.redirect_uri) {
            return Some(
                "it may not be refreshed: the provider wants the login's redirect URI, which is not in the file".into(),
            );
        }
        self.client_note(provider, client_id)
    }

    /// Tokens are refreshed by the client that they were given to, and by no other.
    fn client_note(&self, provider: &ProviderName, client_id: Option<&str>) -> Option<String> {
        let ours = self.0.clients.at(provider);
        match (ours, client_id) {
            (None, _) => Some(format!(
                "it cannot be refreshed until providers.{provider}.client_id is the client that it was connected through"
            )),
            (Some(ours), Some(theirs)) if ours.id != theirs => Some(format!(
                "it cannot be refreshed: it was connected through another client than providers.{provider}.client_id"
            )),
            (Some(_), _) => None,
        }
    }
}

impl Found {
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
        (None, Some(text)) => text.parse().map_err(Refusal::User),
        (None, None) => Err(Refusal::NoUser),
    }
}

fn takes(provider: &Provider, kind: Kind) -> Result<(), Refusal> {
    if provider.entry.takes(kind) {
        Ok(())
    } else {
        Err(Refusal::KindNotTaken { provider: provider.name.to_string(), kind })
    }
}

/// A key in one text: where it consists of several secrets, they are joined by colons.
fn whole_key(provider: &Provider, parts: &[Secret]) -> Result<Secret, Refusal> {
    let wanted = provider.entry.api_key.as_ref().map_or(&[][..], |key| &key.secrets);
    let joined = zeroize::Zeroizing::new(parts.iter().map(Secret::expose).collect::<Vec<_>>().join(":"));
    let has = joined.split(':').count();
    let is_whole = if parts.len() > 1 { parts.len() == wanted.len() } else { has >= wanted.len() };
    if is_whole {
        Ok(Secret::new(joined.as_str()))
    } else {
        Err(Refusal::Parts { provider: provider.name.to_string(), parts: wanted.to_vec() })
    }
}

fn headers_for(host: HostPattern, headers: BTreeMap<String, Secret>) -> Result<CredentialSecret, Refusal> {
    let carried = |(name, value): (&String, &Secret)| {
        name.parse::<http::HeaderName>().is_ok()
            && !value.is_empty()
            && http::HeaderValue::from_str(value.expose()).is_ok()
    };
    if headers.is_empty() || !headers.iter().all(carried) {
        return Err(Refusal::Header);
    }
    Ok(CredentialSecret::HostScoped { host, headers })
}

/// What is kept beside tokens: the members of their answer that the entry keeps, and the values of its URLs, checked as those of a
/// login.
fn metadata_of(oauth: &OAuth, found: &FoundTokens) -> Result<BTreeMap<String, serde_json::Value>, Refusal> {
    let mut metadata: BTreeMap<String, serde_json::Value> = (oauth.token_metadata.iter())
        .filter_map(|name| Some((name.clone(), found.members.0.get(name)?.clone())))
        .collect();
    let mut given = found.values.clone();
    // Who has but one thing to say about where an account is calls it a subdomain, whatever it is here.
    if let ([name], Some(only)) = (&oauth.inputs.keys().collect::<Vec<_>>()[..], found.values.get("subdomain")) {
        given.entry((*name).clone()).or_insert_with(|| only.clone());
    }
    let first = |mut faults: Vec<InputFault>| Refusal::Input(faults.remove(0));
    let mut values = oauth.callers_values(&given).map_err(first)?;
    values.extend(oauth.callbacks_values(&given).map_err(Refusal::Input)?);
    values.extend(oauth.token_values(&metadata).map_err(Refusal::Input)?);
    oauth.with_values(&values).map_err(Refusal::Input)?;
    oauth.keep_values(&mut metadata, values, None);
    Ok(metadata)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::Catalog;
    use crate::import::{Made, known_names, n8n_table};

    #[test]
    fn every_name_that_other_programs_have_for_a_provider_is_one_here_and_takes_what_comes() {
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
    fn a_key_of_several_secrets_is_whole_or_refused() {
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
