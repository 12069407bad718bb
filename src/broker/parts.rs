//! The broker: settings, catalogue, vault, egress client and caches, shared by all use cases.

use std::num::NonZeroU32;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use governor::Quota;

use super::access_token::TrustedIssuers;
use super::clients::Clients;
use super::login::issuer_cache::IssuerCache;
use super::login::rejected_clients::RejectedClients;
use super::providers::ProviderList;
use super::token::outcome::RefreshOutcome;
use super::token::single_flight::SingleFlight;
use super::vault_admin::VaultAdmin;
use crate::catalog::Catalog;
use crate::clock::Clock;
use crate::config::Config;
use crate::egress::Egress;
use crate::id::{CredentialId, UserId};
use crate::oauth::DpopProver;
use crate::permits::KeyedQueue;
use crate::random::Random;
use crate::rate_limit::RateLimit;
use crate::vault::{AuditContext, Vault, VaultError};

/// Requests of one credential that may wait for a new token.
const MAX_WAITING_RENEWALS: usize = 1_000;

/// Long lists of one user that may wait.
const MAX_WAITING_LISTS: usize = 16;

/// The parts that the use cases work with. Cheap to clone.
#[derive(Clone)]
pub struct Broker(pub(super) Arc<Parts>);

pub(super) struct Parts {
    pub(super) config: Arc<Config>,
    pub(super) catalog: Arc<Catalog>,
    pub(super) vault: Vault,
    pub(super) egress: Egress,
    pub(super) clock: Clock,
    pub(super) random: Random,
    pub(super) clients: Clients,
    pub(super) providers: OnceLock<ProviderList>,
    pub(super) issuers: IssuerCache,
    pub(super) rejected_clients: RejectedClients,
    pub(super) trusted_issuers: TrustedIssuers,
    /// New registrations of each user's logins: callers choose the servers, and each one adds a row.
    pub(super) registrations: RateLimit,
    /// Renewals of tokens that a provider rejected, one at a time for each credential.
    pub(super) renewals: KeyedQueue<CredentialId>,
    /// One renewal a minute of each credential.
    pub(super) rejected_tokens: RateLimit,
    /// Proofs for the requests of the proxy.
    pub(super) dpop_prover: DpopProver,
    pub(super) single_flight: SingleFlight<RefreshOutcome>,
    /// Long lists of one user are read one after the other, so that they never occupy more than one
    /// thread.
    pub(super) long_lists: KeyedQueue<UserId>,
}

/// Returns an allowance of this number at once, which fills again within a day.
fn per_day(number: usize) -> Quota {
    let number = u32::try_from(number).ok().and_then(NonZeroU32::new).unwrap_or(NonZeroU32::MIN);
    let one = Duration::from_secs(86_400) / number.get();
    Quota::with_period(one).map_or_else(|| Quota::per_hour(number), |quota| quota.allow_burst(number))
}

impl Broker {
    /// Builds a broker.
    ///
    /// # Errors
    /// Fails if the signing keys of the vault cannot be read.
    pub fn new(
        config: Arc<Config>,
        catalog: Arc<Catalog>,
        vault: Vault,
        egress: Egress,
        clock: Clock,
        random: Random,
    ) -> Result<Self, VaultError> {
        let clients = Clients::new(&config, vault.signing_keys().list()?, &clock, random);
        let trusted_issuers = TrustedIssuers::new(&config, &egress, &clock);
        let issuers = IssuerCache::new(&egress, &clock);
        let registrations = RateLimit::new(per_day(config.limits.registrations_per_day), clock.clone());
        let parts = Parts {
            config,
            catalog,
            vault,
            egress,
            clients,
            providers: OnceLock::new(),
            issuers,
            rejected_clients: RejectedClients::default(),
            trusted_issuers,
            registrations,
            renewals: KeyedQueue::new(1, MAX_WAITING_RENEWALS),
            rejected_tokens: RateLimit::new(Quota::per_minute(NonZeroU32::MIN), clock.clone()),
            dpop_prover: DpopProver::new(clock.clone(), random),
            clock,
            random,
            single_flight: SingleFlight::default(),
            long_lists: KeyedQueue::new(1, MAX_WAITING_LISTS),
        };
        Ok(Self(Arc::new(parts)))
    }

    /// Returns the administration of the vault by `who`.
    pub fn admin(&self, who: AuditContext) -> VaultAdmin {
        let Parts { config, vault, clock, .. } = &*self.0;
        VaultAdmin { config: Arc::clone(config), vault: vault.clone(), clock: clock.clone(), who }
    }

    /// Resolves when the vault takes no more writes, because a commit failed with an unknown
    /// outcome. The server has to stop.
    pub async fn fatal(&self) -> VaultError {
        self.0.vault.fatal().await
    }

    /// Checks that the vault is open and writable.
    pub async fn ready(&self) -> Result<(), VaultError> {
        self.0.vault.writable().await
    }

    /// Returns the settings.
    pub fn config(&self) -> &Config {
        &self.0.config
    }
}
