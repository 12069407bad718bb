//! The treatment of hosts to which no credential of an API key is bound.

use clap::ValueEnum;

use crate::permission::{Permission, Permissions};

/// The forward proxy's answer for hosts to which no credential and no grant of an API key is bound.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Unmatched {
    /// The request is refused.
    #[default]
    Refuse,
    /// The request is passed on without a credential.
    Tunnel,
}

/// The key may not send requests at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("--unmatched tunnel is for API keys with PROXY_INTEGRATIONS: only they may use the forward proxy")]
pub struct NeedsProxyPermission;

impl Unmatched {
    /// Returns `refuse` or `tunnel`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Refuse => "refuse",
            Self::Tunnel => "tunnel",
        }
    }

    /// Refuses tunnels for a key that may not use the forward proxy.
    pub fn check(self, permissions: Permissions) -> Result<(), NeedsProxyPermission> {
        if self == Self::Refuse || permissions.contains(Permission::ProxyIntegrations) {
            Ok(())
        } else {
            Err(NeedsProxyPermission)
        }
    }
}
