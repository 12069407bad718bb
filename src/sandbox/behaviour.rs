//! Settings of a sandbox that tests vary.

use std::time::Duration;

use crate::catalog::entry::RevocationEnds;

/// Properties of the grants and tokens that the sandbox issues.
#[derive(Clone, Debug)]
pub struct Behaviour {
    /// Grants only these of the requested scopes; all if `None`.
    pub granted_scopes: Option<Vec<String>>,
    /// Lifetime of an access token.
    pub access_token_lifetime: Duration,
    /// Handling of refresh tokens.
    pub refresh_tokens: RefreshTokens,
    /// Lifetime of an unused refresh token.
    pub refresh_token_lifetime: Duration,
    /// Minimum pause between two polls for a login on another device (RFC 8628 §3.2); a client that
    /// polls sooner gets `slow_down`.
    pub device_interval: Duration,
    /// Extent of a revocation. `Grant`: everything that this user has granted, as at many
    /// providers. `Token`: only an access token, or all tokens of a refresh token's code (the
    /// minimum of RFC 7009 §2.1).
    pub revocation_ends: RevocationEnds,
}

impl Default for Behaviour {
    /// Every scope is granted, refresh tokens rotate, and a revocation ends the whole grant.
    fn default() -> Self {
        Self {
            granted_scopes: None,
            access_token_lifetime: Duration::from_secs(3600),
            refresh_tokens: RefreshTokens::Rotating,
            refresh_token_lifetime: Duration::from_secs(30 * 86_400),
            device_interval: Duration::from_secs(5),
            revocation_ends: RevocationEnds::Grant,
        }
    }
}

/// Handling of refresh tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefreshTokens {
    /// There are no refresh tokens.
    Absent,
    /// A refresh token can be used many times.
    Reusable,
    /// Every refresh issues a new one; reuse of a replaced one ends the grant (RFC 9700 §4.14.2).
    Rotating,
}
