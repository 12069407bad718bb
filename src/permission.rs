//! Permissions of API keys. No permission implies another.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A permission, named as in the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[clap(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Permission {
    /// See providers and credentials, but no secrets.
    ReadIntegrations,
    /// Connect accounts, store and change credentials.
    ManageIntegrations,
    /// Delete credentials, and revoke them at the provider.
    DeleteIntegrations,
    /// Obtain a live secret.
    UseIntegrations,
    /// Send requests with a credential, without seeing its secret.
    ProxyIntegrations,
    /// Manage grants and approvals of the keys of its users, and list queued revocations.
    Admin,
}

impl Permission {
    /// All permissions, in the order of lists.
    pub const ALL: [Self; 6] = [
        Self::ReadIntegrations,
        Self::ManageIntegrations,
        Self::DeleteIntegrations,
        Self::UseIntegrations,
        Self::ProxyIntegrations,
        Self::Admin,
    ];

    /// Returns the name in the API, on the command line and in the vault.
    pub fn name(self) -> &'static str {
        match self {
            Self::ReadIntegrations => "READ_INTEGRATIONS",
            Self::ManageIntegrations => "MANAGE_INTEGRATIONS",
            Self::DeleteIntegrations => "DELETE_INTEGRATIONS",
            Self::UseIntegrations => "USE_INTEGRATIONS",
            Self::ProxyIntegrations => "PROXY_INTEGRATIONS",
            Self::Admin => "ADMIN",
        }
    }

    fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// The text names no permission.
#[derive(Debug, thiserror::Error)]
#[error(
    "unknown permission '{0}'; use READ_INTEGRATIONS, MANAGE_INTEGRATIONS, DELETE_INTEGRATIONS, USE_INTEGRATIONS, PROXY_INTEGRATIONS or ADMIN"
)]
pub struct UnknownPermission(String);

impl FromStr for Permission {
    type Err = UnknownPermission;

    fn from_str(text: &str) -> Result<Self, UnknownPermission> {
        Self::ALL.into_iter().find(|p| p.name() == text).ok_or_else(|| UnknownPermission(text.to_owned()))
    }
}

/// A set of permissions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Permissions(u8);

impl Permissions {
    /// Returns true if `permission` is in the set.
    pub fn contains(self, permission: Permission) -> bool {
        self.0 & permission.bit() != 0
    }

    /// Iterates over the set in the order of [`Permission::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Permission> {
        Permission::ALL.into_iter().filter(move |p| self.contains(*p))
    }

    /// Returns true if the set is empty.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl FromIterator<Permission> for Permissions {
    fn from_iter<I: IntoIterator<Item = Permission>>(permissions: I) -> Self {
        Self(permissions.into_iter().fold(0, |set, p| set | p.bit()))
    }
}

impl fmt::Display for Permissions {
    /// Writes the names, separated by commas.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, permission) in self.iter().enumerate() {
            write!(f, "{}{}", if i == 0 { "" } else { ", " }, permission.name())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_contains_its_members_only() {
        for permission in Permission::ALL {
            let set = Permissions::from_iter([permission]);
            assert_eq!(set.iter().collect::<Vec<_>>(), [permission]);
            assert_eq!(permission.name().parse::<Permission>().unwrap(), permission);
        }
        assert!("admin".parse::<Permission>().is_err());
    }
}
