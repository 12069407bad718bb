//! On whose behalf a use case runs, and the providers and credentials that it may use.

use std::sync::Arc;

use super::error::{Error, NotGranted};
use crate::clock::UnixTime;
use crate::id::{ApiKeyId, UserId};
use crate::permission::Permissions;
use crate::vault::{Actor, ApiKey, AuditContext, CheckedState, CredentialMetadata, KeyHolder, KeyLimits};

/// The holder of a valid API key or access token, and the permissions of that key or token.
#[derive(Clone, Debug)]
pub struct Authenticated {
    /// Users that it may act for.
    pub holder: KeyHolder,
    /// Permissions that it has.
    pub permissions: Permissions,
    /// Providers and credentials to which the permissions are limited.
    pub limits: Arc<KeyLimits>,
    /// Identity for the audit log.
    pub actor: Actor,
    /// End of an access token.
    pub expires_at: Option<UnixTime>,
    /// State of the vault in which the key was found; unknown for an access token.
    pub(crate) state: CheckedState,
}

/// An authenticated caller and the user that it acts for.
#[derive(Clone, Debug)]
pub struct Caller {
    /// User whose credentials are read or changed.
    pub user: UserId,
    /// Identity for the audit log.
    pub who: AuditContext,
    /// Providers and credentials that it may use.
    pub limits: Arc<KeyLimits>,
    /// End of the access token, if it was authenticated by one.
    pub expires_at: Option<UnixTime>,
    /// State of the vault in which the caller was authenticated.
    pub(crate) state: CheckedState,
}

/// An authenticated administrator and the users that it may act for.
#[derive(Clone, Debug)]
pub struct Administrator {
    /// Users that it may act for.
    pub holder: KeyHolder,
    /// Identity for the audit log.
    pub who: AuditContext,
    /// Providers and credentials that it may use.
    pub limits: Arc<KeyLimits>,
}

/// A party that may read a request that needs approval.
#[derive(Clone, Debug)]
pub struct ApprovalReader {
    /// The administrator, if it is one.
    pub administrator: Option<Administrator>,
    /// The API key, which may read its own requests.
    pub key: Option<ApiKeyId>,
}

impl Administrator {
    /// The local operator, for one user or for all.
    pub fn command_line(user: Option<UserId>) -> Self {
        let holder = user.map_or(KeyHolder::Service { users: Vec::new() }, KeyHolder::User);
        Self { holder, who: AuditContext::command_line(), limits: Arc::default() }
    }

    /// Checks that the administrator may decide what other keys may do.
    pub(super) fn require_unlimited(&self) -> Result<(), Error> {
        if self.limits.are_none() { Ok(()) } else { Err(Error::NotGranted(NotGranted::Administration)) }
    }

    /// Checks that the administrator is not the API key that the request is about.
    pub(super) fn require_other(&self, key: ApiKeyId) -> Result<(), Error> {
        if self.who.actor == Actor::ApiKey(key) { Err(Error::NotGranted(NotGranted::OwnKey)) } else { Ok(()) }
    }

    /// Returns true if the API key acts for no other users than the administrator.
    pub(super) fn covers(&self, key: &ApiKey) -> bool {
        match (&self.holder, &key.holder) {
            (own, KeyHolder::User(user)) => own.acts_for(user),
            (KeyHolder::User(_), KeyHolder::Service { .. }) => false,
            (KeyHolder::Service { users: own }, KeyHolder::Service { users }) => {
                own.is_empty() || !users.is_empty() && users.iter().all(|pattern| own.contains(pattern))
            }
        }
    }
}

impl Caller {
    /// The local operator, for this user.
    pub fn command_line(user: UserId) -> Self {
        let (who, limits, state) = (AuditContext::command_line(), Arc::default(), CheckedState::default());
        Self { user, who, limits, expires_at: None, state }
    }

    /// Checks the limits of the API key against the provider of a request, before anything is looked
    /// up: the answer is the same for ids that exist and for others.
    pub(super) fn require_provider(&self, provider: &str) -> Result<(), Error> {
        if self.limits.allow_provider(provider) { Ok(()) } else { Err(Error::NotGranted(NotGranted::Provider)) }
    }

    /// Checks the limits of the API key against a credential of its user. A credential of a provider
    /// that the key is not for counts as absent.
    pub(super) fn require_credential(&self, found: &CredentialMetadata) -> Result<(), Error> {
        if self.limits.allow(&found.provider, &found.id) {
            Ok(())
        } else if self.limits.allow_provider(found.provider.as_str()) {
            Err(Error::NotGranted(NotGranted::Credential))
        } else {
            Err(Error::CredentialNotFound)
        }
    }

    /// Returns true if its access token has expired.
    pub fn has_ended(&self, now: UnixTime) -> bool {
        self.expires_at.is_some_and(|end| end <= now)
    }

    /// Returns the API key of the request. A pending login records the key that started it.
    pub(super) fn api_key(&self) -> Option<ApiKeyId> {
        match &self.who.actor {
            Actor::ApiKey(id) => Some(*id),
            _ => None,
        }
    }
}
