//! On whose behalf a use case runs.

use crate::id::{ApiKeyId, UserId};
use crate::vault::{Actor, AuditContext, KeyHolder};

/// Who asks, and for whose credentials.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The user whose credentials are meant.
    pub user: UserId,
    /// Who it is, for the audit log.
    pub who: AuditContext,
}

/// Who administers, and whose things it may see.
#[derive(Clone, Debug)]
pub struct Administrator {
    /// The users that it may act for.
    pub holder: KeyHolder,
    /// Who it is, for the audit log.
    pub who: AuditContext,
}

impl Administrator {
    /// The operator at the command line, whose everything is.
    pub fn command_line() -> Self {
        Self { holder: KeyHolder::Service { users: Vec::new() }, who: AuditContext::command_line() }
    }
}

impl Caller {
    /// The API key that the request came with; a state remembers which key began it.
    pub(super) fn api_key(&self) -> Option<ApiKeyId> {
        match &self.who.actor {
            Actor::ApiKey(id) => Some(*id),
            _ => None,
        }
    }
}
