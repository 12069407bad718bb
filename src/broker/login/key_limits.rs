//! Limits of API keys at logins: a key for some providers logs in at these only, and a key for some
//! credentials can only reconnect them.

use crate::broker::caller::Caller;
use crate::broker::error::{Error, NotGranted, StateFault};
use crate::broker::parts::Broker;
use crate::id::ProviderName;
use crate::secret::Secret;
use crate::vault::LoginFlow;

impl Broker {
    /// Checks that the caller's API key may create a credential of this provider.
    pub(in crate::broker) fn require_creation(&self, caller: &Caller, provider: &str) -> Result<(), Error> {
        if self.0.catalog.get(provider).is_none() {
            return Ok(());
        }
        caller.require_provider(provider)?;
        if caller.limits.credentials().is_empty() { Ok(()) } else { Err(Error::NotGranted(NotGranted::NewCredential)) }
    }

    /// Checks that the caller's API key may start a login which creates a credential, or reconnects
    /// the one with this id. An unknown provider passes, because it has an error of its own.
    pub(super) async fn require_login(
        &self,
        caller: &Caller,
        provider: &str,
        reconnect: Option<&str>,
    ) -> Result<(), Error> {
        let (Some(known), Some(id)) = (self.0.catalog.get(provider), reconnect) else {
            return self.require_creation(caller, provider);
        };
        caller.require_provider(provider)?;
        if caller.limits.credentials().is_empty() {
            return Ok(());
        }
        self.require_all_reconnected(caller, &known.name, id).await
    }

    /// Checks that the caller's API key may complete a login, without consuming its state. An unknown
    /// state passes, because it has an error of its own.
    pub(super) async fn require_completion(
        &self,
        caller: &Caller,
        provider: &str,
        (flow, state): (LoginFlow, &Secret),
    ) -> Result<(), Error> {
        caller.require_provider(provider)?;
        if caller.limits.credentials().is_empty() {
            return Ok(());
        }
        let name: ProviderName = provider.parse().map_err(|_| Error::StateInvalid(StateFault::Unknown))?;
        let Some(pending) = self.0.vault.logins().peek(flow, state.expose(), &caller.user, &name)? else {
            return Ok(());
        };
        let id = pending.reconnect.ok_or(Error::NotGranted(NotGranted::NewCredential))?;
        self.require_all_reconnected(caller, &name, &id.to_string()).await
    }

    /// Checks that a login which reconnects this credential changes no other credential than those
    /// that the caller's API key is limited to, and creates none.
    async fn require_all_reconnected(&self, caller: &Caller, provider: &ProviderName, id: &str) -> Result<(), Error> {
        let named = self.owned(caller, id)?;
        let oauth = self.0.catalog.get(provider.as_str()).and_then(|known| known.entry.oauth.as_ref());
        let tokens = oauth.map_or(1, |oauth| 1 + oauth.further_tokens.len());
        if named.beside.is_none() && tokens == 1 {
            return Ok(());
        }
        // The credentials of one login are reconnected together; a missing one would be created.
        let first = named.beside.as_ref().map_or(named.id, |beside| beside.of);
        let there = self.of_one_login(&caller.user, provider, first).await?;
        for one in &there {
            caller.require_credential(one)?;
        }
        if there.iter().any(|one| one.id == first) && there.len() >= tokens {
            Ok(())
        } else {
            Err(Error::NotGranted(NotGranted::NewCredential))
        }
    }
}
