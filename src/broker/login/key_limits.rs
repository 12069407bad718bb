//! Limits of API keys at logins: a key for some providers logs in at these only, and a key for some
//! credentials can only reconnect them.

use std::collections::BTreeSet;

use crate::broker::caller::Caller;
use crate::broker::error::{Error, NotGranted};
use crate::broker::parts::Broker;
use crate::id::{CredentialId, ProviderName};
use crate::secret::Secret;
use crate::vault::{CredentialPage, LoginFlow};

impl Broker {
    /// Checks that the caller's API key may create a credential of this provider.
    pub(in crate::broker) fn require_creation(&self, caller: &Caller, provider: &str) -> Result<(), Error> {
        self.require_login(caller, provider, None)
    }

    /// Checks that the caller's API key may start a login which creates a credential, or reconnects
    /// the one with this id. An unknown provider passes, because it has an error of its own.
    pub(super) fn require_login(&self, caller: &Caller, provider: &str, reconnect: Option<&str>) -> Result<(), Error> {
        let Some(known) = self.0.catalog.get(provider) else { return Ok(()) };
        caller.require_provider(provider)?;
        if caller.limits.credentials().is_empty() {
            return Ok(());
        }
        let id = reconnect.ok_or(Error::NotGranted(NotGranted::NewCredential))?;
        self.require_all_reconnected(caller, &known.name, id)
    }

    /// Checks that the caller's API key may complete a login, without consuming its state. An unknown
    /// state passes, because it has an error of its own.
    pub(super) fn require_completion(
        &self,
        caller: &Caller,
        provider: &str,
        (flow, state): (LoginFlow, &Secret),
    ) -> Result<(), Error> {
        caller.require_provider(provider)?;
        if caller.limits.credentials().is_empty() {
            return Ok(());
        }
        let name: ProviderName = provider.parse().map_err(|_| Error::StateInvalid)?;
        let Some(pending) = self.0.vault.logins().peek(flow, state.expose(), &caller.user, &name)? else {
            return Ok(());
        };
        let id = pending.reconnect.ok_or(Error::NotGranted(NotGranted::NewCredential))?;
        self.require_all_reconnected(caller, &name, &id.to_string())
    }

    /// Checks that a login which reconnects this credential changes no other credential than those
    /// that the caller's API key is limited to, and creates none.
    fn require_all_reconnected(&self, caller: &Caller, provider: &ProviderName, id: &str) -> Result<(), Error> {
        let named = self.owned(caller, id)?;
        let oauth = self.0.catalog.get(provider.as_str()).and_then(|known| known.entry.oauth.as_ref());
        let tokens = oauth.map_or(1, |oauth| 1 + oauth.further_tokens.len());
        if named.beside.is_none() && tokens == 1 {
            return Ok(());
        }
        // The credentials of one login are reconnected together; a missing one would be created.
        let first = named.beside.as_ref().map_or(named.id, |beside| beside.of);
        let of_login = |beside: Option<CredentialId>, id| id == first || beside == Some(first);
        let mut there = BTreeSet::new();
        for one in self.0.vault.credentials().list(&caller.user, Some(provider), CredentialPage::default())? {
            if of_login(one.beside.as_ref().map(|beside| beside.of), one.id) {
                caller.require_credential(&one)?;
                there.insert(one.id);
            }
        }
        if there.contains(&first) && there.len() >= tokens {
            Ok(())
        } else {
            Err(Error::NotGranted(NotGranted::NewCredential))
        }
    }
}
