//! Cache of issuers: their metadata, and the keys that verify their ID tokens.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::catalog::Provider;
use crate::clock::Clock;
use crate::egress::Egress;
use crate::id::ProviderName;
use crate::oauth::{IssuerKeys, IssuerMetadata};

/// Issuers by provider.
pub(in crate::broker) struct IssuerCache {
    known: Mutex<BTreeMap<ProviderName, Arc<Issuer>>>,
    egress: Egress,
    clock: Clock,
}

pub(in crate::broker) struct Issuer {
    pub(in crate::broker) metadata: IssuerMetadata,
    pub(in crate::broker) keys: IssuerKeys,
}

impl IssuerCache {
    /// Creates an empty cache; nothing is fetched yet.
    pub(in crate::broker) fn new(egress: &Egress, clock: &Clock) -> Self {
        Self { known: Mutex::default(), egress: egress.clone(), clock: clock.clone() }
    }

    /// Returns the issuer of the provider, if its entry names one.
    pub(in crate::broker) fn of(&self, provider: &Provider) -> Option<Arc<Issuer>> {
        let issuer = provider.entry.oauth.as_ref()?.issuer.as_ref()?;
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let known = known.entry(provider.name.clone()).or_insert_with(|| {
            let egress = self.egress.of_provider(provider.name.as_str());
            let metadata = IssuerMetadata::new(issuer, egress.clone(), self.clock.clone());
            let keys = IssuerKeys::new(issuer, egress, self.clock.clone());
            Arc::new(Issuer { metadata, keys })
        });
        Some(Arc::clone(known))
    }
}
