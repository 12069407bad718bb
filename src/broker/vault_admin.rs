//! Administration of the vault: the use cases that contact no provider.

use std::sync::Arc;

use crate::clock::Clock;
use crate::config::Config;
use crate::vault::{AuditContext, Vault};

/// An open vault, and the actor that administers it. Cheap to clone.
#[derive(Clone)]
pub struct VaultAdmin {
    pub(super) config: Arc<Config>,
    pub(super) vault: Vault,
    pub(super) clock: Clock,
    /// Identity for the audit log.
    pub(super) who: AuditContext,
}

impl VaultAdmin {
    /// Returns the settings.
    pub fn config(&self) -> &Config {
        &self.config
    }
}
