//! Quotas of a user. They bind callers of the API; the operator may exceed them.

use std::fmt;

/// Limits of the credentials of one user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// Number of credentials.
    pub credentials: u64,
    /// Sealed bytes of all credentials.
    pub bytes: u64,
}

/// A limit that would be exceeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QuotaLimit {
    /// Number of credentials.
    Credentials(u64),
    /// Sealed bytes of all credentials.
    Bytes(u64),
}

impl QuotaLimit {
    /// Returns the name of the setting in `[limits]`.
    pub fn setting(self) -> &'static str {
        match self {
            Self::Credentials(_) => "credentials_per_user",
            Self::Bytes(_) => "bytes_per_user",
        }
    }
}

impl fmt::Display for QuotaLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Credentials(most) => write!(f, "{most} credentials (limits.{})", self.setting()),
            Self::Bytes(most) => write!(f, "{} MiB of credentials (limits.{})", most >> 20, self.setting()),
        }
    }
}
