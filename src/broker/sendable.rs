//! List of the credentials that a caller can send requests with, for agents.

use std::collections::BTreeSet;

use serde::Serialize;

use super::caller::Caller;
use super::credentials::list::id_of;
use super::credentials::{CredentialBase, DEFAULT_LIMIT, NoBaseUrl};
use super::error::Error;
use super::parts::Broker;
use crate::clock::UnixTime;
use crate::id::{CredentialId, ProviderName};
use crate::policy::{Destination, KeyGrant};
use crate::vault::{CredentialMetadata, CredentialPage, KeyGrants};

/// A credential with the hosts to which it can be sent. Never a secret.
#[derive(Clone, Debug, Serialize)]
pub struct SendableCredential {
    /// The id.
    pub id: CredentialId,
    /// The provider.
    pub provider: ProviderName,
    /// The title.
    pub title: String,
    /// Base URL of the provider's API; `None` for a pattern of hosts, or if its values are missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub base_url: Option<String>,
    /// Patterns of the hosts.
    pub hosts: Vec<String>,
    /// `active`, `needs_reauth` or `expired`; `destination_unknown` if values of the URL are missing.
    pub status: &'static str,
}

/// A page of such credentials, oldest first.
#[derive(Debug)]
pub struct SendablePage {
    /// The credentials.
    pub credentials: Vec<SendableCredential>,
    /// Last id that was looked at, if more follow: the next value of `after`.
    pub next_after: Option<CredentialId>,
}

impl Broker {
    /// Lists the user's credentials that the caller can send requests with. Those without a known
    /// place in the request or without a host, and those that no grant allows, are left out, so that
    /// a page can have fewer entries than its limit.
    pub fn sendable(&self, caller: &Caller, page: CredentialPage) -> Result<SendablePage, Error> {
        let limit = page.limit.unwrap_or(DEFAULT_LIMIT);
        let (rules, now) = (self.key_rules(caller, None)?, self.0.clock.now());
        let one_more = CredentialPage { limit: Some(limit.saturating_add(1)), after: page.after };
        let mut rows = self.0.vault.credentials().list_each(&caller.user, &caller.limits, None, one_more)?;
        let more = rows.len() > limit as usize;
        rows.truncate(limit as usize);
        let next_after = rows.last().and_then(id_of).filter(|_| more);
        // A damaged credential is left out; the list of credentials names it in the log.
        let readable = rows.into_iter().filter_map(Result::ok);
        let allowed = readable.filter(|summary| may_allow(&rules, summary, now));
        let credentials = allowed.filter_map(|summary| self.shown_to_send(&summary, now)).collect();
        Ok(SendablePage { credentials, next_after })
    }

    fn shown_to_send(&self, summary: &CredentialMetadata, now: UnixTime) -> Option<SendableCredential> {
        let (base_url, host, status) = match self.base_to_send(summary) {
            Ok(Ok(CredentialBase::Url(url))) => {
                let host = Destination::of_url(&url)?.authority();
                (Some(url.to_string()), Some(host), summary.status_at(now))
            }
            Ok(Ok(CredentialBase::Hosts(pattern))) => (None, Some(pattern.to_string()), summary.status_at(now)),
            Ok(Err(NoBaseUrl::DestinationUnknown(_))) => (None, None, "destination_unknown"),
            Ok(Err(_)) | Err(_) => return None,
        };
        let listed = self.entry(summary.provider.as_str()).map(|entry| &entry.hosts[..]).unwrap_or_default();
        let further = listed.iter().map(|listed| listed.host.to_string()).filter(|_| base_url.is_some());
        let mut hosts: Vec<String> = host.into_iter().chain(further).collect();
        let mut seen = BTreeSet::new();
        hosts.retain(|host| seen.insert(host.clone()));
        let (id, provider, title) = (summary.id, summary.provider.clone(), summary.title.clone());
        Some(SendableCredential { id, provider, title, base_url, hosts, status })
    }
}

/// Returns true if the grants may allow some request with the credential.
pub(super) fn may_allow(rules: &KeyGrants, summary: &CredentialMetadata, now: UnixTime) -> bool {
    let names_it = |grant: &KeyGrant| {
        (grant.providers.is_empty() || grant.providers.contains(&summary.provider))
            && (grant.credentials.is_empty() || grant.credentials.contains(&summary.id))
    };
    let is_whole = |grant: &KeyGrant| grant.hosts.is_empty() && grant.methods.is_empty() && grant.paths.is_empty();
    let is_live =
        |grant: &KeyGrant| grant.allowance().is_some_and(|terms| terms.expires.is_none_or(|expires| now < expires));
    let mut grants = rules.grants.iter().filter(|grant| names_it(grant));
    if grants.clone().any(|grant| grant.is_deny() && is_whole(grant)) {
        return false;
    }
    !rules.grants_only || grants.any(is_live)
}
