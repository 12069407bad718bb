//! On whose behalf a use case runs.

use crate::id::{ApiKeyId, UserId};
use crate::permission::Permissions;
use crate::vault::{Actor, AuditContext, CheckedState, KeyHolder};

/// The holder of a valid API key or access token, and the permissions of that key or token.
#[derive(Clone, Debug)]
pub struct Authenticated {
    /// Users that it may act for.
    pub holder: KeyHolder,
    /// Permissions that it has.
    pub permissions: Permissions,
    /// Identity for the audit log.
    pub actor: Actor,
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
}

impl Administrator {
    /// The local operator, for one user or for all.
    pub fn command_line(user: Option<UserId>) -> Self {
        let holder = user.map_or(KeyHolder::Service { users: Vec::new() }, KeyHolder::User);
        Self { holder, who: AuditContext::command_line() }
    }
}

impl Caller {
    /// The local operator, for this user.
    pub fn command_line(user: UserId) -> Self {
        Self { user, who: AuditContext::command_line(), state: CheckedState::default() }
    }

    /// Returns the API key of the request. A pending login records the key that started it.
    pub(super) fn api_key(&self) -> Option<ApiKeyId> {
        match &self.who.actor {
            Actor::ApiKey(id) => Some(*id),
            _ => None,
        }
    }
}
