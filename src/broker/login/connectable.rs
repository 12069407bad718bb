//! Preparation of every OAuth request: the provider's entry, completed by discovery, and our
//! client.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::Value;

use crate::broker::error::Error;
use crate::broker::parts::Broker;
use crate::catalog::Provider;
use crate::catalog::entry::OAuth;
use crate::egress::Egress;
use crate::jose::Claims;
use crate::oauth::{self, Account, Client, DiscoveryError, ExpectedIdToken, Grant, IdTokenError, Nonce};

/// A provider with its OAuth entry and our client.
pub(in crate::broker) struct Connectable<'b> {
    pub(in crate::broker) provider: &'b Provider,
    pub(in crate::broker) oauth: Cow<'b, OAuth>,
    pub(in crate::broker) client: Client,
    /// Sends the requests to this provider.
    pub(in crate::broker) egress: Egress,
    /// Title of a credential whose account has no name.
    pub(in crate::broker) title: String,
    /// URL of the MCP server, if it is one.
    pub(in crate::broker) server: Option<String>,
}

impl Connectable<'_> {
    /// Returns true if a caller chose the authorization server.
    pub(in crate::broker) fn is_chosen(&self) -> bool {
        let oauth = &self.oauth;
        self.egress.is_chosen(oauth.authorize_url.host_is_chosen() || oauth.token_url.host_is_chosen())
    }

    /// Returns the name of the server that issued a grant, if a caller can choose it: issuer and
    /// resource of an MCP server, or else the token endpoint.
    pub(in crate::broker) fn issued_by(&self, metadata: &BTreeMap<String, Value>) -> Option<String> {
        if self.provider.entry.mcp.is_some() {
            let resource = self.oauth.token_params.get("resource").map_or("", String::as_str);
            return Some(format!("{} {resource}", self.oauth.issuer.as_deref().unwrap_or_default()));
        }
        let entry = self.oauth.for_credential(metadata).ok().filter(|_| self.oauth.token_url.host_is_chosen())?;
        Some(entry.token_url.as_str().to_owned())
    }

    /// Returns the title of a credential of this account.
    pub(in crate::broker) fn title_for(&self, account: &Account) -> String {
        account.title.as_ref().or(account.username.as_ref()).unwrap_or(&self.title).clone()
    }
}

impl Broker {
    /// Returns the OAuth entry of the provider, as the catalogue has it.
    pub(in crate::broker) fn oauth_of(&self, name: &str) -> Result<(&Provider, &OAuth), Error> {
        let provider = self.0.catalog.get(name).ok_or_else(|| self.unknown_provider(name))?;
        let oauth = provider.entry.oauth.as_ref().ok_or_else(|| Error::NoOAuth(name.to_owned()))?;
        Ok((provider, oauth))
    }

    /// Returns the provider with its complete OAuth entry and the configured client.
    pub(in crate::broker) async fn connectable(&self, name: &str) -> Result<Connectable<'_>, Error> {
        let (provider, _) = self.oauth_of(name)?;
        let client = self.0.clients.at(&provider.name).ok_or_else(|| Error::NotConfigured(name.to_owned()))?;
        self.connectable_by(name, client).await
    }

    /// Returns the provider with its complete OAuth entry and another client than the configured
    /// one.
    pub(in crate::broker) async fn connectable_by(&self, name: &str, client: Client) -> Result<Connectable<'_>, Error> {
        let (provider, oauth) = self.oauth_of(name)?;
        let oauth = match self.0.issuers.of(provider).filter(|_| oauth.discovers()) {
            Some(issuer) => {
                let metadata = Box::pin(issuer.metadata.get()).await.map_err(|error| undiscovered(&error))?;
                Cow::Owned(oauth::resolve(oauth, &metadata, &client).map_err(|error| undiscovered(&error))?)
            }
            None => Cow::Borrowed(oauth),
        };
        if !client.can(oauth.token_auth) {
            return Err(Error::NotConfigured(provider.name.to_string()));
        }
        let egress = self.0.egress.of_provider(provider.name.as_str());
        let title = provider.entry.display_name.clone();
        Ok(Connectable { provider, oauth, client, egress, title, server: None })
    }

    /// Returns the provider for a login or a credential. For an MCP server, `found` is the sealed
    /// result of the discovery at that time.
    pub(in crate::broker) async fn connectable_as(
        &self,
        name: &str,
        found: Option<&str>,
    ) -> Result<Connectable<'_>, Error> {
        match self.0.catalog.get(name).zip(found) {
            Some((provider, _)) if provider.entry.mcp.is_none() => Err(Error::NotConfigured(name.to_owned())),
            Some((provider, found)) => self.found_mcp(provider, found),
            None => self.connectable(name).await,
        }
    }

    /// Runs discovery for the configured providers in advance, so that no request waits for it.
    pub(in crate::broker) async fn discover_ahead(&self) {
        let configured = self.0.config.providers.keys().filter_map(|name| self.0.catalog.get(name.as_str()));
        for provider in configured.filter(|provider| self.0.clients.at(&provider.name).is_some()) {
            let discovers = provider.entry.oauth.as_ref().is_some_and(OAuth::discovers);
            let Some(issuer) = self.0.issuers.of(provider).filter(|_| discovers) else { continue };
            if let Err(error) = issuer.metadata.get().await {
                tracing::warn!(provider = %provider.name, %error, "discovery failed at the provider");
            }
        }
    }

    /// Returns the validated claims of the grant's ID token; `None` if there is none or the entry
    /// does not use it.
    pub(in crate::broker) async fn id_token(
        &self,
        connectable: &Connectable<'_>,
        grant: &Grant,
        nonce: &Nonce,
    ) -> Result<Option<Claims>, Error> {
        let (Some(token), true) = (&grant.id_token, connectable.oauth.identifies_by_id_token()) else {
            return Ok(None);
        };
        let issuer = self.0.issuers.of(connectable.provider);
        let (Some(issuer), Some(name)) = (issuer, &connectable.oauth.issuer) else { return Ok(None) };
        let awaited = ExpectedIdToken {
            issuer: name,
            client_id: &connectable.client.id,
            nonce,
            access_token: &grant.access_token,
            now: self.0.clock.now(),
        };
        let checked = oauth::check_id_token(&issuer.keys, token, &awaited).await;
        checked.map(Some).map_err(|error: IdTokenError| Error::ProviderFailed(error.to_string()))
    }
}

/// Maps a failed discovery to 504 if the server was too slow, else to 502.
pub(in crate::broker) fn undiscovered(error: &DiscoveryError) -> Error {
    match error {
        DiscoveryError::Unreachable(failed) if failed.timed_out() => Error::ServerTooSlow(error.to_string()),
        _ => Error::ServerUnusable(error.to_string()),
    }
}
