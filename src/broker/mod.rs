//! What Strongroom does, one file a use case: each reads like the paragraph of ARCHITECTURE.md that describes it.
//!
//! Both doors come through here. A [`Caller`] has been authenticated and may do what it asks; what the use cases
//! check themselves is whose things they are.

mod access_token;
mod arrival;
mod background;
mod backups;
mod clients;
mod complete;
mod connect;
mod create;
mod delete;
mod detail;
mod device;
mod error;
mod export;
mod flights;
mod further;
mod housekeeping;
mod import;
mod initiate;
mod issuers;
mod list;
mod mcp;
mod providers;
mod refresh;
mod revocations;
mod schedule;
mod service;
mod token;
mod verification;

use std::borrow::Cow;
use std::sync::{Arc, OnceLock};

pub use access_token::TokenHolder;
use access_token::TrustedIssuers;
pub use backups::{BackupStatus, backup_name, backup_status};
use clients::Clients;
pub use clients::{ClientMetadata, PublishedKeys, prepare_signing_key};
pub use complete::{CompleteRequest, CompleteResponse};
pub use connect::{ConnectRequest, callback_path};
pub use create::{CreateRequest, CreateResponse, NewSecret};
pub use delete::DeleteResponse;
pub use detail::{CredentialDetail, ShownBeside, ShownError};
pub use device::{DeviceInitiateRequest, DeviceInitiateResponse, DevicePoll, DevicePollRequest, DeviceWaiting};
pub use error::Error;
pub use export::{ExportError, ExportedCredential};
pub use further::FurtherCredential;
pub use import::{ImportOptions, ImportReport, ImportedItem};
pub use initiate::{InitiateRequest, InitiateResponse};
use issuers::Issuers;
pub use list::{CredentialList, CredentialSummary};
use mcp::McpServers;
pub use providers::ProviderInfo;
pub use revocations::{RevocationList, WaitingRevocation};
pub use service::{ServiceFault, ServiceRequest, service_account};
pub use token::{DEFAULT_MIN_TTL, LiveSecret};

use bytes::Bytes;
use flights::Flights;

use crate::catalog::{Catalog, Provider, entry};
use crate::clock::Clock;
use crate::config::Config;
use crate::egress::Egress;
use crate::id::{ApiKeyId, UserId};
use crate::oauth::Client;
use crate::random::Random;
use crate::vault::{Actor, Holder, Vault, VaultError, Who};

/// Everything that the use cases work with. Cheap to share, immutable but for the vault and the refreshes under way.
#[derive(Clone)]
pub struct Broker(Arc<Parts>);

struct Parts {
    config: Arc<Config>,
    catalog: Arc<Catalog>,
    vault: Vault,
    egress: Egress,
    clock: Clock,
    random: Random,
    clients: Clients,
    providers: OnceLock<Bytes>,
    issuers: Issuers,
    mcp_servers: McpServers,
    trusted_issuers: TrustedIssuers,
    flights: Flights<refresh::Outcome>,
}

/// Who asks, and for whose credentials.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The user whose credentials are meant.
    pub user: UserId,
    /// Who it is, for the audit log.
    pub who: Who,
}

/// Who administers, and whose things it may see.
#[derive(Clone, Debug)]
pub struct Administrator {
    /// The users that it may act for.
    pub holder: Holder,
    /// Who it is, for the audit log.
    pub who: Who,
}

impl Administrator {
    /// The operator at the command line, whose everything is.
    pub fn command_line() -> Self {
        Self { holder: Holder::Service { users: Vec::new() }, who: Who::command_line() }
    }
}

impl Caller {
    /// The API key that the request came with; a state remembers which key began it.
    fn api_key(&self) -> Option<ApiKeyId> {
        match &self.who.actor {
            Actor::ApiKey(id) => Some(*id),
            _ => None,
        }
    }
}

impl Broker {
    /// Puts the parts together.
    ///
    /// # Errors
    /// Where the vault's own private keys cannot be read.
    pub fn new(
        config: Arc<Config>,
        catalog: Arc<Catalog>,
        vault: Vault,
        egress: Egress,
        clock: Clock,
        random: Random,
    ) -> Result<Self, VaultError> {
        let clients = Clients::new(&config, vault.signing_keys()?, &clock, random);
        let trusted_issuers = TrustedIssuers::new(&config, &egress, &clock);
        let issuers = Issuers::new(&egress, &clock);
        let parts = Parts {
            config,
            catalog,
            vault,
            egress,
            clock,
            random,
            clients,
            providers: OnceLock::new(),
            issuers,
            mcp_servers: McpServers::default(),
            trusted_issuers,
            flights: Flights::default(),
        };
        Ok(Self(Arc::new(parts)))
    }

    /// The vault that the credentials are in.
    pub fn vault(&self) -> &Vault {
        &self.0.vault
    }

    /// The catalogue as this configuration has it.
    pub fn catalog(&self) -> &Catalog {
        &self.0.catalog
    }

    /// The settings.
    pub fn config(&self) -> &Config {
        &self.0.config
    }
}

/// A provider that accounts can be connected at.
struct Connectable<'b> {
    provider: &'b Provider,
    oauth: Cow<'b, entry::OAuth>,
    client: Client,
    /// What a credential is called whose account has no name.
    title: String,
}
