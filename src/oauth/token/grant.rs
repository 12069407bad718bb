//! What the user has granted, as the token endpoint answered it.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde_json::Value;

use crate::oauth::openid::userinfo::Identity;
use crate::secret::Secret;

/// A successful answer of the token endpoint (RFC 6749 §5.1), checked and brought into one form.
pub struct Grant {
    /// The access token: visible ASCII, at most 64 KiB.
    pub access_token: Secret,
    /// The refresh token, where there is one; the same holds.
    pub refresh_token: Option<Secret>,
    /// How the token is used: `Bearer`, or the entry's word, as the scheme of an `Authorization` header.
    pub token_type: String,
    /// How long the access token lives, as the answer or else the entry says; `None` where it does not end or nobody
    /// knows.
    pub expires_in: Option<Duration>,
    /// How long the refresh token lives when it is not used, as the answer or else the entry says.
    pub refresh_expires_in: Option<Duration>,
    /// What was granted: as the answer says, and as requested where it does not (RFC 6749 §5.1).
    pub scopes: Vec<String>,
    /// What was requested and not granted.
    pub missing_scopes: Vec<String>,
    /// The members that the entry keeps with the credential (`token_metadata`).
    pub metadata: BTreeMap<String, Value>,
    /// The ID token (OpenID Connect Core §3.1.3.3), where there is one; nothing of it was checked.
    pub id_token: Option<Secret>,
    /// Whose account it is, where the token answer itself says so (`identity.from_token_answer`).
    pub identity: Option<Identity>,
    /// The further grants that the answer brought, by the names that the entry has for them.
    pub further: BTreeMap<String, Grant>,
}

impl Grant {
    /// The tokens, for what must not have them in it.
    pub(in crate::oauth) fn tokens(&self) -> impl Iterator<Item = &Secret> {
        [Some(&self.access_token), self.refresh_token.as_ref()].into_iter().flatten()
    }
}

impl fmt::Debug for Grant {
    /// Shows nothing: the metadata is not ours to judge.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Grant").finish_non_exhaustive()
    }
}
