//! Secrets for requests that the proxy sends: the caller does not see them.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use url::Url;

use super::caller::Caller;
use super::credentials::list::{CHUNK, id_of};
use super::credentials::{CredentialBase, NoBaseUrl};
use super::error::Error;
use super::parts::Broker;
use super::sendable::may_allow;
use super::token::DEFAULT_MIN_TTL;
use super::token::outcome::{Demand, RefreshOutcome};
use crate::catalog::Entry;
use crate::clock::Clock;
use crate::egress::Egress;
use crate::id::{CredentialId, ProviderName, UserId};
use crate::jose::SigningKey;
use crate::kind::Kind;
use crate::oauth::{BuildError, DpopProver};
use crate::policy::Destination;
use crate::secret::Secret;
use crate::vault::{
    CredentialMetadata, CredentialPage, CredentialSecret, CredentialStatus, KeyLimits, ProxiedRequest, SecretUse,
    Tokens, VaultError,
};

/// The secret for one request. It has no `Debug`, because it is the secret.
pub struct SecretToSend {
    /// The secret.
    pub material: CredentialSecret,
    prover: DpopProver,
}

impl SecretToSend {
    /// Returns the proof that a token which is bound to a key needs in this request (RFC 9449).
    ///
    /// # Errors
    /// If the key cannot sign.
    pub fn proof(&self, method: &Method, url: &Url) -> Result<Option<(HeaderName, HeaderValue)>, BuildError> {
        let Some((key, token)) = self.bound_token() else { return Ok(None) };
        self.prover.prove(key, token, method, url).map(Some)
    }

    /// Keeps the nonce of a response. Returns true if the provider asks for a proof with it.
    pub fn keep_nonce(&self, url: &Url, status: StatusCode, headers: &HeaderMap) -> bool {
        self.bound_token().is_some() && self.prover.keep_nonce(url, status, headers)
    }

    fn bound_token(&self) -> Option<(&Arc<SigningKey>, &Secret)> {
        match &self.material {
            CredentialSecret::OAuth2(tokens) => tokens.dpop_key.as_ref().map(|key| (key, &tokens.access_token)),
            _ => None,
        }
    }
}

/// A credential that is bound to a destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BoundCredential {
    /// The credential.
    pub id: CredentialId,
    /// Path of its base URL at this destination, without a slash at its end.
    pub base_path: String,
    /// The text that stands for its secret in requests of a command, if its entry has variables.
    pub placeholder: Option<String>,
}

/// The hosts to which a caller can send requests.
#[derive(Debug, Default)]
pub struct SendableHosts {
    /// The ids of the credentials for each host or pattern of hosts.
    pub hosts: BTreeMap<String, BTreeSet<CredentialId>>,
    /// The provider of each credential.
    pub providers: BTreeMap<CredentialId, ProviderName>,
}

impl Broker {
    /// Returns the metadata of a credential that the caller may use.
    pub fn credential_to_send(&self, caller: &Caller, id: &CredentialId) -> Result<CredentialMetadata, Error> {
        self.owned(caller, &id.to_string())
    }

    /// Tells the client for requests to providers where this server listens: it sends nothing
    /// there.
    pub fn set_own_listeners(&self, addresses: Vec<SocketAddr>) {
        self.0.egress.set_own_listeners(addresses);
    }

    /// Returns the credentials of the caller that are bound to each of these destinations, whatever
    /// their state is.
    pub async fn credentials_for<const N: usize>(
        &self,
        caller: &Caller,
        destinations: [&Destination; N],
    ) -> Result<[Vec<BoundCredential>; N], Error> {
        let all = self.credentials_to_send(caller).await?;
        Ok(destinations.map(|destination| all.iter().filter_map(|one| self.bound_to(one, destination)).collect()))
    }

    /// Returns the credential with the base path of its requests, if it is bound to the destination.
    fn bound_to(&self, summary: &CredentialMetadata, destination: &Destination) -> Option<BoundCredential> {
        let entry = self.entry(summary.provider.as_str());
        let is_listed = entry.is_some_and(|entry| entry.hosts.iter().any(|host| destination.fits(&host.host)));
        // One whose tokens do not open is not bound by them.
        let base_path = match self.base_to_send(summary) {
            Ok(Ok(CredentialBase::Hosts(pattern))) if destination.fits(&pattern) => String::new(),
            Ok(Ok(CredentialBase::Url(url))) if Destination::of_url(&url).as_ref() == Some(destination) => {
                url.path().trim_end_matches('/').to_owned()
            }
            _ if is_listed => String::new(),
            _ => return None,
        };
        let placeholder = entry.and_then(|entry| entry.placeholder_of(&summary.id));
        Some(BoundCredential { id: summary.id, base_path, placeholder })
    }

    /// Returns the hosts to which the caller can send requests, and the providers of the credentials
    /// for them.
    pub async fn destinations(&self, caller: &Caller) -> Result<SendableHosts, Error> {
        let mut found = SendableHosts::default();
        for summary in self.credentials_to_send(caller).await? {
            let base = match self.base_to_send(&summary) {
                Ok(Ok(CredentialBase::Hosts(pattern))) => Some(pattern.to_string()),
                Ok(Ok(CredentialBase::Url(url))) => Destination::of_url(&url).map(|own| own.to_string()),
                _ => None,
            };
            let listed = self.entry(summary.provider.as_str()).into_iter().flat_map(|entry| &entry.hosts);
            for host in base.into_iter().chain(listed.map(|host| host.host.to_string())) {
                found.hosts.entry(host).or_default().insert(summary.id);
            }
            found.providers.insert(summary.id, summary.provider);
        }
        Ok(found)
    }

    /// Returns all credentials that the caller may use, as a long list is read: one at a time for each
    /// user, in chunks. Those that are damaged, and those that no grant allows, are left out.
    async fn credentials_to_send(&self, caller: &Caller) -> Result<Vec<CredentialMetadata>, Error> {
        let _turn = self.0.long_lists.take(caller.user.clone()).await.ok_or(Error::TooManyLists)?;
        let (rules, now) = (self.key_rules(caller, None)?, self.0.clock.now());
        let all = self.credentials_within(&caller.user, &caller.limits).await?;
        Ok(all.into_iter().filter_map(Result::ok).filter(|summary| may_allow(&rules, summary, now)).collect())
    }

    /// Returns all credentials of a user within these limits. A damaged one is an error in its place.
    pub(super) async fn credentials_within(
        &self,
        user: &UserId,
        limits: &KeyLimits,
    ) -> Result<Vec<Result<CredentialMetadata, VaultError>>, Error> {
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let page = CredentialPage { limit: Some(CHUNK), after };
            let rows = self.0.vault.credentials().list_each(user, limits, None, page)?;
            let read = rows.len();
            after = rows.last().and_then(id_of);
            found.extend(rows);
            if read < CHUNK as usize || after.is_none() {
                return Ok(found);
            }
            // Other requests of this thread go on between the chunks.
            tokio::task::yield_now().await;
        }
    }

    /// Returns the catalogue's entry of a provider.
    pub fn entry(&self, provider: &str) -> Option<&Entry> {
        self.0.catalog.get(provider).map(|known| &known.entry)
    }

    /// Returns the clock.
    pub fn clock(&self) -> Clock {
        self.0.clock.clone()
    }

    /// Returns the place to which a credential's secret is sent. The tokens are opened for it only
    /// if the place is sealed with them.
    pub fn base_to_send(&self, summary: &CredentialMetadata) -> Result<Result<CredentialBase, NoBaseUrl>, Error> {
        match self.base_url(summary, None) {
            Err(NoBaseUrl::NeedsTokens) => {
                let metadata = |tokens: &Tokens| tokens.metadata.clone();
                let kept = self.0.vault.credentials().inspect_tokens(&summary.user, &summary.id, metadata)?;
                Ok(self.base_url(summary, Some(&kept.unwrap_or_default())))
            }
            known => Ok(known),
        }
    }

    /// Returns the client for requests with this credential, and true if a user chose their host.
    pub fn egress_of(&self, summary: &CredentialMetadata) -> (Egress, bool) {
        let entry = self.entry(summary.provider.as_str());
        let is_chosen = summary.host.is_some()
            || summary.server.is_some()
            || entry.and_then(|entry| entry.base_url(summary.kind)).is_some_and(|base| base.template.host_is_chosen());
        (self.0.egress.of_provider(summary.provider.as_str()), is_chosen)
    }

    /// Refuses a credential that has to be connected again, before its secret is read.
    pub fn require_connected(&self, summary: &CredentialMetadata) -> Result<(), Error> {
        if summary.kind == Kind::OAuth2 && summary.status == CredentialStatus::NeedsReauth {
            return Err(self.not_refreshed(summary, RefreshOutcome::NeedsReauth));
        }
        Ok(())
    }

    /// Returns the secret for one request, refreshed first if it is about to expire. The audit row of
    /// the request is on disk before this returns. Fails if the credential as it is now is not for
    /// `base`, to which the request was bound: the host, the inputs and the secret change together.
    pub async fn secret_to_send(
        &self,
        caller: &Caller,
        summary: &CredentialMetadata,
        base: &CredentialBase,
        request: ProxiedRequest,
    ) -> Result<SecretToSend, Error> {
        let (provider, id) = (summary.provider.as_str(), summary.id.to_string());
        let purpose = SecretUse::Sent(request);
        let (now, material) = self.live_secret(caller, provider, &id, DEFAULT_MIN_TTL, purpose).await?;
        let tokens = match &material {
            CredentialSecret::OAuth2(tokens) => Some(&tokens.metadata),
            _ => None,
        };
        if self.base_url(&now, tokens).ok().as_ref() != Some(base) {
            return Err(Error::CredentialMoved);
        }
        Ok(SecretToSend { material, prover: self.0.dpop_prover.clone() })
    }

    /// Refreshes a token that the provider rejected, unless another one is stored already. Returns
    /// true if a request may be sent again. A credential is refreshed for this once a minute at most.
    pub async fn renew_rejected(&self, caller: &Caller, summary: &CredentialMetadata, rejected: &SecretToSend) -> bool {
        let Some(token) = rejected.material.single().filter(|_| summary.kind == Kind::OAuth2) else { return false };
        // One after the other: the second one finds the token of the first.
        let Some(_turn) = self.0.renewals.take(summary.id).await else { return false };
        let is_other = |tokens: &Tokens| tokens.access_token.expose() != token.expose();
        match self.0.vault.credentials().inspect_tokens(&summary.user, &summary.id, is_other) {
            Ok(Some(true)) => return true,
            Ok(Some(false)) => {}
            Ok(None) | Err(_) => return false,
        }
        if self.0.rejected_tokens.check(&summary.id.to_string()).is_err() {
            return false;
        }
        matches!(self.refresh_for(summary, Demand::Forced, &caller.who).await, Ok(RefreshOutcome::Refreshed))
    }
}
