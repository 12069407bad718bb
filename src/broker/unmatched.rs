//! Hosts to which no credential of an API key is bound: the forward proxy passes requests to them
//! on without a credential, if the key says so.

use std::sync::Arc;

use url::Url;

use super::caller::Caller;
use super::credentials::CredentialBase;
use super::error::Error;
use super::parts::Broker;
use crate::catalog::Entry;
use crate::egress::Egress;
use crate::kind::Kind;
use crate::permission::Permission;
use crate::policy::{BoundHosts, Destination, KeyGrant};
use crate::vault::{ApiKey, CredentialMetadata, ProxiedRequest, SealedRows, Unmatched};

/// The hosts that an API key must not reach without a credential, as of one state of the vault.
#[derive(Debug, PartialEq, Eq)]
pub struct KeyHosts {
    bound: BoundHosts,
    rows: SealedRows,
}

impl KeyHosts {
    /// Returns true if the destination may be reached without a credential.
    pub fn are_without(&self, destination: &Destination) -> bool {
        !self.bound.contains(destination)
    }
}

impl Broker {
    /// Returns the hosts to which credentials or grants of the caller's API key are bound, whatever
    /// their state is; `None` if the key, as it is now, reaches no host without a credential. `known`
    /// is returned again if nothing has changed.
    pub async fn key_hosts(
        &self,
        caller: &Caller,
        known: Option<Arc<KeyHosts>>,
    ) -> Result<Option<Arc<KeyHosts>>, Error> {
        let Some(key) = self.tunnelling_key(caller)? else { return Ok(None) };
        let rows = self.0.vault.sealed_rows()?;
        if let Some(known) = known.filter(|known| known.rows == rows) {
            return Ok(Some(known));
        }
        let mut bound = BoundHosts::default();
        for grant in &key.grants.grants {
            self.add_hosts_of_grant(&mut bound, grant);
        }
        for summary in self.credentials_within(&caller.user, &key.limits).await? {
            let added = summary.map_err(Error::from).and_then(|one| self.add_hosts_of_credential(&mut bound, &one));
            if let Err(error) = added {
                tracing::warn!(%error, "no host is reached without a credential: the hosts of a credential cannot be read");
                return Ok(None);
            }
        }
        Ok(Some(Arc::new(KeyHosts { bound, rows })))
    }

    /// Returns the API key of the caller as it is now, if it may reach other hosts than those of its
    /// credentials.
    fn tunnelling_key(&self, caller: &Caller) -> Result<Option<Arc<ApiKey>>, Error> {
        let Some(id) = caller.api_key() else { return Ok(None) };
        let now = self.0.clock.now();
        let may_tunnel = |key: &Arc<ApiKey>| {
            key.is_live(now)
                && key.permissions.contains(Permission::ProxyIntegrations)
                && key.unmatched == Unmatched::Tunnel
                && key.holder.acts_for(&caller.user)
        };
        Ok(self.0.vault.api_keys().get(id)?.filter(may_tunnel))
    }

    /// A grant that names no host is about those of its providers and credentials.
    fn add_hosts_of_grant(&self, bound: &mut BoundHosts, grant: &KeyGrant) {
        for pattern in &grant.hosts {
            bound.add(pattern);
        }
        if grant.hosts.is_empty() {
            for entry in grant.providers.iter().filter_map(|provider| self.entry(provider.as_str())) {
                for kind in [Kind::OAuth2, Kind::ApiKey, Kind::UserPassword] {
                    add_base(bound, entry, kind);
                }
                add_listed(bound, entry);
            }
        }
    }

    fn add_hosts_of_credential(&self, bound: &mut BoundHosts, summary: &CredentialMetadata) -> Result<(), Error> {
        let (base, entry) = (self.base_to_send(summary)?, self.entry(summary.provider.as_str()));
        match (base, entry) {
            (Ok(CredentialBase::Hosts(pattern)), _) => bound.add(&pattern),
            (Ok(CredentialBase::Url(url)), _) => bound.add_url(&url),
            // Values are missing.
            (Err(_), Some(entry)) => add_base(bound, entry, summary.kind),
            (Err(_), None) => {}
        }
        if let Some(entry) = entry {
            add_listed(bound, entry);
        }
        Ok(())
    }

    /// Writes the audit row of a request without a credential. It is on disk when this returns.
    pub async fn record_unmatched(&self, caller: &Caller, request: ProxiedRequest) -> Result<(), Error> {
        Ok(self.0.vault.audit().record_sent(caller.user.clone(), request, &caller.who).await?)
    }

    /// Returns the outbound client.
    pub fn egress(&self) -> &Egress {
        &self.0.egress
    }
}

/// Adds the hosts that an entry lists beside its base URL.
fn add_listed(bound: &mut BoundHosts, entry: &Entry) {
    for host in &entry.hosts {
        bound.add(&host.host);
    }
}

/// Adds the host of an entry's base URL. If its first labels depend on values that are not known, it
/// adds all names that they could give.
fn add_base(bound: &mut BoundHosts, entry: &Entry, kind: Kind) {
    let Some(base) = entry.base_url(kind) else { return };
    if let Some(url) = base.fixed() {
        return bound.add_url(url);
    }
    let Some((scheme, rest)) = base.template.as_str().split_once("://") else { return };
    let host = rest.split(['/', '?', '#', ':']).next().unwrap_or_default();
    if let Some((_, end)) = host.rsplit_once('}') {
        if let Some(name) = end.strip_prefix('.') {
            bound.add_below(name);
        }
    } else if let Ok(url) = Url::parse(&format!("{scheme}://{host}")) {
        bound.add_url(&url);
    }
}
