//! Create: a key, a user name and password, or headers for a host, sealed as they come.

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
use crate::secret::Secret;
use crate::vault::{CredentialSecret, HostPattern, NewCredential, Renewal};

/// A secret to keep, and what to call it.
#[derive(Debug)]
pub struct CreateRequest {
    /// What it is called; may be empty.
    pub title: String,
    /// The secret.
    pub secret: NewSecret,
}

/// The kinds of secret that a client can hand in.
pub enum NewSecret {
    /// One API key, and when it ends if that is known.
    ApiKey {
        /// The key.
        api_key: Secret,
        /// When it ends.
        expires_at: Option<UnixTime>,
    },
    /// A user name and a password; the name is a secret too.
    UserPassword {
        /// The user name.
        username: Secret,
        /// The password.
        password: Secret,
    },
    /// Headers for requests to one host.
    HostScoped {
        /// Which host.
        host: HostPattern,
        /// The headers by name.
        headers: BTreeMap<String, Secret>,
    },
    /// What asks for access tokens without a user's login; the result is an `oauth2` credential.
    Service(ServiceRequest),
}

impl fmt::Debug for NewSecret {
    /// Shows the kind alone.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NewSecret({})", self.kind())
    }
}

impl NewSecret {
    fn kind(&self) -> Kind {
        match self {
            Self::ApiKey { .. } => Kind::ApiKey,
            Self::UserPassword { .. } => Kind::UserPassword,
            Self::HostScoped { .. } => Kind::HostScoped,
            Self::Service(_) => Kind::OAuth2,
        }
    }
}

/// What a credential without a user's login is made of.
pub struct ServiceRequest {
    /// Who asks.
    pub renewal: Renewal,
    /// The scopes to ask for; none: whatever the provider gives.
    pub scopes: Vec<String>,
    /// What the provider's URLs need to know.
    pub inputs: BTreeMap<String, String>,
}

impl fmt::Debug for ServiceRequest {
    /// Shows nothing: there are keys in it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServiceRequest").finish_non_exhaustive()
    }
}

/// What was stored.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = CreateCredentialResponse)]
pub struct CreateResponse {
    /// The new credential's id.
    #[schema(value_type = String)]
    pub id: CredentialId,
    /// The provider's name.
    #[schema(value_type = String)]
    pub provider: ProviderName,
    /// `api_key`, `user_password`, `host_scoped`, or `oauth2` for what was made without a login.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// What it is called.
    pub title: String,
}

impl Broker {
    /// Stores a secret of the caller's user; it is on disk when this returns.
    pub async fn create(
        &self,
        caller: &Caller,
        provider: &str,
        request: CreateRequest,
    ) -> Result<CreateResponse, Error> {
        let known = self.0.catalog.get(provider).ok_or_else(|| Error::ProviderUnknown(provider.to_owned()))?;
        let kind = request.secret.kind();
        if !known.entry.takes(kind) {
            let takes: Vec<&str> =
                Kind::ALL.into_iter().filter(|kind| known.entry.takes(*kind)).map(Kind::name).collect();
            return Err(Error::KindNotTaken { kind, provider: provider.to_owned(), takes: takes.join(", ") });
        }
        let (material, expires_at) = match request.secret {
            NewSecret::ApiKey { api_key, expires_at } => (CredentialSecret::ApiKey(api_key), expires_at),
            NewSecret::UserPassword { username, password } => {
                (CredentialSecret::UserPassword { username, password }, None)
            }
            NewSecret::HostScoped { host, headers } => (CredentialSecret::HostScoped { host, headers }, None),
            NewSecret::Service(service) => {
                return Box::pin(self.create_service(caller, provider, request.title, service)).await;
            }
        };
        let plain = NewCredential::plain(caller.user.clone(), known.name.clone(), request.title, material);
        let new = NewCredential { expires_at, ..plain };
        let stored = self.0.vault.insert_credential(new, &caller.who).await?;
        Ok(CreateResponse { id: stored.id, provider: stored.provider, kind: stored.kind.name(), title: stored.title })
    }
}
