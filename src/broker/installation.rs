//! The settings and the catalogue of this installation, before the vault is opened.

use std::sync::Arc;

use super::client_metadata::prepare_signing_key;
use super::parts::Broker;
use super::vault_admin::VaultAdmin;
use crate::catalog::Catalog;
use crate::config::{ClientSecrets, Config, ConfigErrors, Sources, provider_entries};
use crate::egress::{Egress, EgressSetupError};
use crate::random::Random;
use crate::vault::VaultError;

/// Settings and catalogue. Cheap to clone.
#[derive(Clone)]
pub struct Installation {
    pub(super) config: Arc<Config>,
    pub(super) catalog: Arc<Catalog>,
}

/// Reason why a broker could not be built.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The signing keys of the vault cannot be read.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// A file of certification authorities cannot be used.
    #[error(transparent)]
    Egress(#[from] EgressSetupError),
}

impl Installation {
    /// Loads settings and catalogue, and reports every fault of both at once.
    pub fn load(sources: &Sources, client_secrets: ClientSecrets, accept_rollback: bool) -> Result<Self, ConfigErrors> {
        match Config::load(sources, client_secrets) {
            Ok(mut config) => {
                config.vault.accept_rollback = accept_rollback;
                Self::new(config)
            }
            Err(ConfigErrors(mut faults)) => {
                if let Err(ConfigErrors(further)) = Catalog::build(&provider_entries(sources)) {
                    faults.extend(further);
                }
                faults.sort();
                faults.dedup();
                Err(ConfigErrors(faults))
            }
        }
    }

    /// Builds the catalogue, as these settings extend it.
    pub fn new(config: Config) -> Result<Self, ConfigErrors> {
        let catalog = Catalog::build(config.providers.iter().map(|(name, settings)| (name, &settings.entry)))?;
        let catalog = catalog.restricted_to(&config)?;
        Ok(Self { config: Arc::new(config), catalog: Arc::new(catalog) })
    }

    /// Returns the settings.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Builds the client for outgoing requests.
    pub fn egress(&self) -> Result<Egress, EgressSetupError> {
        let settings = &self.config.egress;
        let (timeout, proxy) = (self.config.proxy.connect_timeout, settings.proxy.clone());
        Egress::new(&settings.allow, &settings.ca_certificates, timeout, proxy)?
            .with_providers(self.config.provider_egress())?
            .with_unmatched(&self.config.proxy.allow_private)
    }

    /// Builds a broker around an open vault, for use cases that send requests.
    pub fn broker(&self, admin: &VaultAdmin) -> Result<Broker, StartError> {
        let (config, catalog) = (Arc::clone(&self.config), Arc::clone(&self.catalog));
        Ok(Broker::new(config, catalog, admin.vault.clone(), self.egress()?, admin.clock.clone(), Random)?)
    }

    /// Builds a server's broker, and generates a signing key if the settings need one. If the vault
    /// cannot store the key now, the providers that need it stay unconfigured and everything else
    /// works.
    pub async fn server_broker(&self, admin: &VaultAdmin) -> Result<Broker, StartError> {
        if let Err(error) = prepare_signing_key(&admin.vault, &self.config, &self.catalog).await {
            tracing::warn!(%error, "our own private key could not be made; the next start tries again");
        }
        self.broker(admin)
    }
}
