//! The grant: a checked response of the token endpoint.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde_json::Value;

use crate::oauth::account::Account;
use crate::secret::Secret;

/// A successful response of the token endpoint (RFC 6749 §5.1), checked and in one form.
pub struct Grant {
    /// The access token: visible ASCII, at most 64 KiB.
    pub access_token: Secret,
    /// The refresh token, with the same limits.
    pub refresh_token: Option<Secret>,
    /// Scheme of the `Authorization` header that carries the token: `Bearer`, or the entry's word.
    pub token_type: String,
    /// Lifetime of the access token, from the response or else the entry; `None` if it does not end
    /// or is unknown.
    pub expires_in: Option<Duration>,
    /// Lifetime of an unused refresh token, from the response or else the entry.
    pub refresh_expires_in: Option<Duration>,
    /// Granted scopes, from the response or else as requested (RFC 6749 §5.1).
    pub scopes: Vec<String>,
    /// Requested scopes that were not granted.
    pub missing_scopes: Vec<String>,
    /// Members that the entry keeps with the credential (`token_metadata`).
    pub metadata: BTreeMap<String, Value>,
    /// The ID token (OpenID Connect Core §3.1.3.3), unchecked.
    pub id_token: Option<Secret>,
    /// The account, if the token response itself names it (`identity.from_token_answer`).
    pub identity: Option<Account>,
    /// Further grants of the same response, by the entry's names for them.
    pub further: BTreeMap<String, Grant>,
}

impl Grant {
    /// Iterates over the grant's own tokens, to keep them out of texts that are shown.
    pub fn tokens(&self) -> impl Iterator<Item = &Secret> {
        [Some(&self.access_token), self.refresh_token.as_ref()].into_iter().flatten()
    }

    /// Takes out the further grants. Each gets this one's metadata too, because the values for the
    /// provider's URLs are there.
    pub fn take_further(&mut self) -> BTreeMap<String, Self> {
        let mut further = std::mem::take(&mut self.further);
        for grant in further.values_mut() {
            let own = std::mem::replace(&mut grant.metadata, self.metadata.clone());
            grant.metadata.extend(own);
        }
        further
    }
}

impl fmt::Debug for Grant {
    /// Shows no member: the metadata may hold secrets that only the provider knows of.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Grant").finish_non_exhaustive()
    }
}
