//! The grants of an API key, as its row holds them.

use std::sync::Arc;

use crate::id::{ApiKeyId, CredentialId, GrantId, ProviderName};
use crate::policy::{AllowTerms, Approval, Effect, HostPattern, KeyGrant, KeyRules, MethodRule, PathPattern};
use crate::vault::crypto::fields::{Field as _, FieldWriter, Fields, Value, as_json, encode, fields};

/// The grants of one API key. They are part of its row, so that one MAC covers the permissions and
/// what limits them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyGrants {
    /// True if the key may only do what a grant allows.
    pub grants_only: bool,
    /// The grants in the order of their creation.
    pub grants: Vec<KeyGrant>,
}

/// A new grant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewGrant {
    /// The key.
    pub key: ApiKeyId,
    /// Allows or denies.
    pub effect: Effect,
    /// Providers of the credential.
    pub providers: Vec<ProviderName>,
    /// Credentials.
    pub credentials: Vec<CredentialId>,
    /// Hosts to which the request goes.
    pub hosts: Vec<HostPattern>,
    /// Methods.
    pub methods: Vec<MethodRule>,
    /// Patterns of the path.
    pub paths: Vec<PathPattern>,
}

/// Reason why an API key does not get a grant.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GrantRefused {
    /// There is no such API key.
    #[error("there is no API key {0}")]
    Absent(ApiKeyId),
    /// A revoked key stays as it was.
    #[error("API key {0} is revoked and gets no grants")]
    Revoked(ApiKeyId),
    /// The key could obtain secrets past its grants.
    #[error(
        "API key {0} holds USE_INTEGRATIONS, which hands out secrets whatever the grants are: take that permission from \
         it first (`strongroom key update {0} --permission PROXY_INTEGRATIONS`)"
    )]
    HoldsUse(ApiKeyId),
    /// The key has as many grants as it can have.
    #[error("an API key can have at most {MAX_GRANTS} grants")]
    TooMany,
    /// A list is too long.
    #[error("at most {MAX_ITEMS} {0} with at most {MAX_LIST_BYTES} bytes in all; add another grant for more")]
    LongList(&'static str),
    /// The grants of the key are too large.
    #[error("the grants of an API key can have at most {MAX_BYTES} bytes in all")]
    TooLarge,
}

/// Grants that a key can have. Every request with the key is compared with all of them.
const MAX_GRANTS: usize = 200;

/// Items of one list of a grant.
const MAX_ITEMS: usize = 100;

/// Bytes of one list of a grant.
const MAX_LIST_BYTES: usize = 16 * 1024;

/// Bytes of all grants of a key: they are kept in memory.
const MAX_BYTES: usize = 1 << 20;

impl KeyGrants {
    /// Returns the rules, for a decision.
    pub fn rules(&self) -> KeyRules<'_> {
        KeyRules { grants_only: self.grants_only, grants: &self.grants }
    }

    /// Returns the grants with another limit to them; `None` keeps it.
    pub(super) fn with_only(self: &Arc<Self>, grants_only: Option<bool>) -> Arc<Self> {
        match grants_only {
            Some(grants_only) if grants_only != self.grants_only => {
                Arc::new(Self { grants_only, grants: self.grants.clone() })
            }
            _ => self.clone(),
        }
    }

    /// Returns the grants with a new one. The first grant limits the key to its grants.
    pub(super) fn with(&self, new: KeyGrant) -> Result<Self, GrantRefused> {
        check_lists(&new)?;
        let grants_only = self.grants_only || self.grants.is_empty();
        let grants: Vec<KeyGrant> = self.grants.iter().cloned().chain([new]).collect();
        if grants.len() > MAX_GRANTS {
            return Err(GrantRefused::TooMany);
        }
        if encode(&grants).len() > MAX_BYTES { Err(GrantRefused::TooLarge) } else { Ok(Self { grants_only, grants }) }
    }

    /// Returns the grants without this one. The key stays limited to its grants.
    pub(super) fn without(&self, id: GrantId) -> Self {
        let grants = self.grants.iter().filter(|grant| grant.id != id).cloned().collect();
        Self { grants_only: self.grants_only, grants }
    }
}

impl NewGrant {
    /// Returns the grant under its id.
    pub(super) fn with_id(self, id: GrantId) -> KeyGrant {
        let Self { key, effect, providers, credentials, hosts, methods, paths } = self;
        KeyGrant { id, key, effect, providers, credentials, hosts, methods, paths }
    }
}

fn check_lists(grant: &KeyGrant) -> Result<(), GrantRefused> {
    check_list("providers", &grant.providers)?;
    check_list("credentials", &grant.credentials)?;
    check_list("hosts", &grant.hosts)?;
    check_list("methods", &grant.methods)?;
    check_list("paths", &grant.paths)
}

fn check_list(name: &'static str, list: &[impl ToString]) -> Result<(), GrantRefused> {
    let bytes: usize = list.iter().map(|item| item.to_string().len()).sum();
    if list.len() > MAX_ITEMS || bytes > MAX_LIST_BYTES { Err(GrantRefused::LongList(name)) } else { Ok(()) }
}

as_json!(Approval);

fields! {
    AllowTerms {
        1 rate,
        2 expires,
        3 approval,
    }
}

fields! {
    KeyGrant {
        1 id,
        2 key,
        3 effect,
        4 providers,
        5 credentials,
        6 hosts,
        7 methods,
        8 paths,
    }
}

/// The terms of an allow; a deny has none.
impl Value for Effect {
    fn write(&self, to: &mut FieldWriter) {
        if let Self::Allow(terms) = self {
            terms.put(1, to);
        }
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let terms: Option<AllowTerms> = Fields::read(bytes)?.get(1)?;
        Some(terms.map_or(Self::Deny, Self::Allow))
    }
}
