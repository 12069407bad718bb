//! Grants of API keys: add, list, get and remove; and the rules of a caller's key.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::broker::caller::{Administrator, Caller};
use crate::broker::credentials::DEFAULT_LIMIT;
use crate::broker::error::{Error, MemberFault};
use crate::broker::parts::Broker;
use crate::clock::UnixTime;
use crate::id::{ApiKeyId, CredentialId, GrantId, ProviderName};
use crate::permission::Permission;
use crate::policy::{AllowTerms, Approval, Effect, KeyGrant};
use crate::vault::{ApiKey, CredentialMetadata, GrantRefused, KeyGrants, NewGrant};

/// Maximum size of a page.
const MAX_PAGE_BYTES: usize = 4 << 20;

/// The effect of a grant on the requests that it matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
#[schema(as = GrantEffect)]
pub enum EffectName {
    /// Allows them.
    Allow,
    /// Refuses them, whatever other grants allow.
    Deny,
}

impl EffectName {
    /// Builds the effect of a grant; a deny takes no terms.
    pub fn with(self, terms: AllowTerms) -> Result<Effect, Error> {
        if self == Self::Allow {
            return Ok(Effect::Allow(terms));
        }
        let given = [
            ("rate", terms.rate.is_some()),
            ("expires", terms.expires.is_some()),
            ("approval", terms.approval != Approval::Never),
        ];
        let fault = |member| MemberFault::new(member, format!("a deny has no {member}: it holds until it is removed"));
        let faults = given.into_iter().filter(|(_, is_given)| *is_given).map(|(member, _)| fault(member));
        Error::members(faults.collect()).map(|()| Effect::Deny)
    }
}

/// A grant: requests that an API key may, or must not, send. An empty list matches everything that
/// the key may use.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Grant)]
pub struct GrantView {
    /// Id of the grant.
    #[schema(value_type = String)]
    pub id: GrantId,
    /// Id of the API key.
    #[schema(value_type = String)]
    pub key: ApiKeyId,
    /// `allow`, or `deny`, which wins.
    pub effect: EffectName,
    /// Providers of the credential.
    #[schema(value_type = Vec<String>)]
    pub providers: Vec<ProviderName>,
    /// Ids of credentials.
    #[schema(value_type = Vec<String>)]
    pub credentials: Vec<CredentialId>,
    /// Hosts: `name`, `name:port`, `*.name` or a URL.
    pub hosts: Vec<String>,
    /// Methods. `GET` covers `HEAD`.
    pub methods: Vec<String>,
    /// Patterns of the path: `*` within a segment, `**` for any number of segments.
    pub paths: Vec<String>,
    /// The most requests in a period, such as `60/m`; `null` for any number.
    #[schema(required = true)]
    pub rate: Option<String>,
    /// Time from which on the grant allows nothing, in Unix seconds; `null`: never.
    #[schema(required = true, value_type = Option<i64>)]
    pub expires: Option<UnixTime>,
    /// `always` if a person approves each request.
    pub approval: Approval,
}

impl From<&KeyGrant> for GrantView {
    fn from(grant: &KeyGrant) -> Self {
        let terms = grant.allowance().copied().unwrap_or_default();
        Self {
            id: grant.id,
            key: grant.key,
            effect: if grant.is_deny() { EffectName::Deny } else { EffectName::Allow },
            providers: grant.providers.clone(),
            credentials: grant.credentials.clone(),
            hosts: texts(&grant.hosts),
            methods: texts(&grant.methods),
            paths: texts(&grant.paths),
            rate: terms.rate.map(|rate| rate.to_string()),
            expires: terms.expires,
            approval: terms.approval,
        }
    }
}

fn texts(list: &[impl ToString]) -> Vec<String> {
    list.iter().map(ToString::to_string).collect()
}

/// The grants of a list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GrantFilter {
    /// Only grants of this API key.
    pub key: Option<ApiKeyId>,
    /// Maximum number of grants.
    pub limit: Option<u32>,
    /// Only grants after this id, even if that grant no longer exists.
    pub after: Option<GrantId>,
}

/// One page of grants.
#[derive(Debug)]
pub struct GrantList {
    /// The grants in the order of their creation.
    pub grants: Vec<GrantView>,
    /// Last id of this page if more follow: the next value of `after`.
    pub next_after: Option<GrantId>,
}

impl GrantRefused {
    /// Returns the member of the request that is refused.
    fn member(&self) -> &'static str {
        match self {
            Self::LongList(list) => list,
            Self::Absent(_) | Self::Revoked(_) | Self::HoldsUse(_) | Self::TooMany | Self::TooLarge => "key",
        }
    }
}

impl Broker {
    /// Adds a grant. The first one limits the key to its grants.
    pub async fn add_grant(&self, by: &Administrator, new: NewGrant) -> Result<GrantView, Error> {
        by.require_unlimited()?;
        by.require_other(new.key)?;
        let (key, mut faults) = match self.administered_key(by, new.key) {
            Ok(key) => (Some(key), Vec::new()),
            Err(Error::Members(faults)) => (None, faults),
            Err(error) => return Err(error),
        };
        faults.extend(self.name_faults(by, key.as_deref(), &new)?);
        let now = self.0.clock.now();
        if matches!(&new.effect, Effect::Allow(terms) if terms.expires.is_some_and(|expires| expires <= now)) {
            faults.push(MemberFault::new("expires", "this time is in the past, and the grant would allow nothing"));
        }
        Error::members(faults)?;
        match self.0.vault.api_keys().add_grant(new, &by.who).await? {
            Ok(grant) => Ok((&grant).into()),
            Err(refused) => Err(MemberFault::new(refused.member(), refused.to_string()).into()),
        }
    }

    /// Lists the grants of the API keys that the administrator covers.
    pub fn grants(&self, by: &Administrator, filter: &GrantFilter) -> Result<GrantList, Error> {
        by.require_unlimited()?;
        if let Some(key) = filter.key {
            self.administered_key(by, key)?;
        }
        let mut list: Vec<GrantView> = Vec::new();
        for key in self.0.vault.api_keys().current()? {
            if by.covers(&key) && filter.key.is_none_or(|only| only == key.id) {
                list.extend(key.grants.grants.iter().map(GrantView::from));
            }
        }
        list.sort_unstable_by_key(|grant| grant.id);
        list.retain(|grant| filter.after.is_none_or(|after| grant.id > after));
        let limit = usize::try_from(filter.limit.unwrap_or(DEFAULT_LIMIT)).unwrap_or(usize::MAX);
        let mut bytes = 0;
        let fits = |grant: &&GrantView| {
            bytes += serde_json::to_vec(grant).map_or(0, |json| json.len());
            bytes <= MAX_PAGE_BYTES
        };
        let shown = list.iter().take(limit).take_while(fits).count();
        let next_after = list.get(shown).and(list[..shown].last()).map(|last| last.id);
        list.truncate(shown);
        Ok(GrantList { grants: list, next_after })
    }

    /// Returns one grant.
    pub fn grant(&self, by: &Administrator, id: &str) -> Result<GrantView, Error> {
        by.require_unlimited()?;
        let (_, grant) = self.administered_grant(by, id)?;
        Ok((&grant).into())
    }

    /// Removes a grant, and returns it. The key stays limited to its grants.
    pub async fn remove_grant(&self, by: &Administrator, id: &str) -> Result<GrantView, Error> {
        by.require_unlimited()?;
        let (key, grant) = self.administered_grant(by, id)?;
        by.require_other(key)?;
        if self.0.vault.api_keys().remove_grant(key, grant.id, &by.who).await? {
            Ok((&grant).into())
        } else {
            Err(Error::GrantNotFound)
        }
    }

    /// Returns the rules for the caller's API key as they are now. A caller without an API key has
    /// none. A key that has ended since the caller was authenticated, or may not send requests any
    /// more, or not with this credential, may do nothing.
    pub fn key_rules(&self, caller: &Caller, credential: Option<&CredentialMetadata>) -> Result<Arc<KeyGrants>, Error> {
        let Some(id) = caller.api_key() else { return Ok(Arc::default()) };
        let now = self.0.clock.now();
        let may_send = |key: &Arc<ApiKey>| {
            key.is_live(now)
                && key.permissions.contains(Permission::ProxyIntegrations)
                && credential.is_none_or(|summary| key.limits.allow(&summary.provider, &summary.id))
        };
        let key = self.0.vault.api_keys().get(id)?.filter(may_send);
        Ok(key.map_or_else(|| Arc::new(KeyGrants { grants_only: true, grants: Vec::new() }), |key| key.grants.clone()))
    }

    /// Returns an API key that the administrator covers.
    pub(super) fn administered_key(&self, by: &Administrator, id: ApiKeyId) -> Result<Arc<ApiKey>, Error> {
        let key = self.0.vault.api_keys().get(id)?.filter(|key| by.covers(key));
        key.ok_or_else(|| MemberFault::new("key", GrantRefused::Absent(id).to_string()).into())
    }

    fn administered_grant(&self, by: &Administrator, id: &str) -> Result<(ApiKeyId, KeyGrant), Error> {
        let id: GrantId = id.parse().map_err(|_| Error::GrantNotFound)?;
        let keys = self.0.vault.api_keys().current()?;
        let mut all = keys.iter().filter(|key| by.covers(key)).flat_map(|key| &key.grants.grants);
        all.find(|grant| grant.id == id).map(|grant| (grant.key, grant.clone())).ok_or(Error::GrantNotFound)
    }

    /// Returns the providers and credentials of a grant that do not exist, so that a mistyped one is
    /// found now and not when a request is refused or let through. Without a key, nothing says whose
    /// the credentials are.
    fn name_faults(&self, by: &Administrator, key: Option<&ApiKey>, new: &NewGrant) -> Result<Vec<MemberFault>, Error> {
        let mut faults = Vec::new();
        for (index, provider) in new.providers.iter().enumerate() {
            faults.extend(
                self.provider(provider.as_str())
                    .err()
                    .map(|error| MemberFault::item("providers", index, error.to_string())),
            );
        }
        let Some(key) = key else { return Ok(faults) };
        let admin = self.admin(by.who.clone());
        let users = if new.credentials.is_empty() { Vec::new() } else { admin.users_of(&key.holder)? };
        for (index, id) in new.credentials.iter().enumerate() {
            let reason = match admin.credential_of(&users, id)? {
                None => format!("there is no credential {id} of a user that the API key acts for"),
                Some(found) if !(new.providers.is_empty() || new.providers.contains(&found.provider)) => {
                    format!("credential {id} belongs to provider '{}', which is not in the grant", found.provider)
                }
                Some(found) if !key.limits.allow(&found.provider, id) => {
                    format!("the limits of the API key do not include credential {id}")
                }
                Some(_) => continue,
            };
            faults.push(MemberFault::item("credentials", index, reason));
        }
        Ok(faults)
    }
}
