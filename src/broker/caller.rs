//! On whose behalf a use case runs.

use crate::id::{ApiKeyId, UserId};
use crate::vault::{Actor, AuditContext, KeyHolder};

/// An authenticated caller and the user that it acts for.
#[derive(Clone, Debug)]
pub struct Caller {
    /// User whose credentials are read or changed.
    pub user: UserId,
    /// Identity for the audit log.
    pub who: AuditContext,
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
    /// The local operator; may act for every user.
    pub fn command_line() -> Self {
        Self { holder: KeyHolder::Service { users: Vec::new() }, who: AuditContext::command_line() }
    }
}

impl Caller {
    /// Returns the API key of the request. A pending login records the key that started it.
    pub(super) fn api_key(&self) -> Option<ApiKeyId> {
        match &self.who.actor {
            Actor::ApiKey(id) => Some(*id),
            _ => None,
        }
    }
}
