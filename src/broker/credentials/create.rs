//! Create: stores an API key, a user name and password, or headers for a host.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;
use utoipa::ToSchema;

use crate::broker::caller::Caller;
use crate::broker::error::Error;
use crate::broker::parts::Broker;
use crate::clock::UnixTime;
use crate::id::{CredentialId, ProviderName};
use crate::kind::Kind;
use crate::vault::{Actor, CredentialMetadata, CredentialSecret, NewCredential, Quota, Renewal};

/// Secret to store, and its title.
#[derive(Debug)]
pub struct CreateRequest {
    /// Title; may be empty.
    pub title: String,
    /// Secret.
    pub secret: NewSecret,
    /// `Some(false)` if the secret may never be given out.
    pub exportable: Option<bool>,
}

/// Secret that a client can submit.
pub enum NewSecret {
    /// API key, user name and password, or headers for a host.
    Given(GivenSecret),
    /// Client or service account that requests access tokens without a user's login. The result is
    /// an `oauth2` credential.
    Service(ServiceRequest),
}

impl fmt::Debug for NewSecret {
    /// Shows only the kind.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NewSecret({})", self.kind())
    }
}

impl NewSecret {
    fn kind(&self) -> Kind {
        match self {
            Self::Given(given) => given.secret.kind(),
            Self::Service(_) => Kind::OAuth2,
        }
    }
}

/// Secret that is stored as it was given.
pub struct GivenSecret {
    /// API key, user name and password, or headers for a host.
    pub secret: CredentialSecret,
    /// Expiry of an API key, if known.
    pub expires_at: Option<UnixTime>,
    /// Values that the provider's base URL depends on.
    pub inputs: BTreeMap<String, String>,
}

/// Grant that needs no user login.
pub struct ServiceRequest {
    /// Client or service account that requests the tokens.
    pub renewal: Renewal,
    /// Scopes to request; empty for the provider's default.
    pub scopes: Vec<String>,
    /// Values for the provider's URLs.
    pub inputs: BTreeMap<String, String>,
}

impl fmt::Debug for ServiceRequest {
    /// Hides everything: the value contains keys.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServiceRequest").finish_non_exhaustive()
    }
}

/// Stored credential.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = CreateCredentialResponse)]
pub struct CreateResponse {
    /// Id of the new credential.
    #[schema(value_type = String)]
    pub id: CredentialId,
    /// Provider.
    #[schema(value_type = String)]
    pub provider: ProviderName,
    /// `api_key`, `user_password`, `host_scoped`, or `oauth2` for a grant without a login.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// Title.
    pub title: String,
}

impl CreateResponse {
    pub(in crate::broker) fn of(stored: &CredentialMetadata) -> Self {
        let (provider, title) = (stored.provider.clone(), stored.title.clone());
        Self { id: stored.id, provider, kind: stored.kind.name(), title }
    }
}

impl Broker {
    /// Returns the quota of the caller's user. The local operator has none.
    pub(in crate::broker) fn quota(&self, caller: &Caller) -> Option<Quota> {
        (caller.who.actor != Actor::CommandLine).then(|| self.user_quota())
    }

    /// Returns the quota of each user.
    pub(in crate::broker) fn user_quota(&self) -> Quota {
        let limits = &self.0.config.limits;
        Quota { credentials: limits.credentials_per_user as u64, bytes: limits.bytes_per_user }
    }

    /// Stores a secret for the caller's user. It is on disk when this returns.
    pub async fn create(
        &self,
        caller: &Caller,
        provider: &str,
        request: CreateRequest,
    ) -> Result<CreateResponse, Error> {
        let known = self.0.catalog.get(provider).ok_or_else(|| self.unknown_provider(provider))?;
        self.require_creation(caller, provider)?;
        let kind = request.secret.kind();
        if !known.entry.takes(kind) {
            let takes: Vec<&str> =
                Kind::ALL.into_iter().filter(|kind| known.entry.takes(*kind)).map(Kind::name).collect();
            return Err(Error::KindNotTaken { kind, provider: provider.to_owned(), takes: takes.join(", ") });
        }
        let exportable = self.exportable_at(&known.name, request.exportable);
        let GivenSecret { secret, expires_at, inputs } = match request.secret {
            NewSecret::Given(given) => given,
            NewSecret::Service(service) => {
                return Box::pin(self.create_service(caller, provider, (request.title, exportable), service)).await;
            }
        };
        let inputs = known.entry.accepted_inputs(kind, &inputs).map_err(Error::Inputs)?;
        let inputs = Some(inputs).filter(|given| !given.is_empty());
        let plain = NewCredential::plain(caller.user.clone(), known.name.clone(), request.title, secret);
        let new = NewCredential { inputs, expires_at, exportable, ..plain };
        let stored = self.0.vault.credentials().within(self.quota(caller)).insert(new, &caller.who).await?;
        Ok(CreateResponse::of(&stored))
    }
}
