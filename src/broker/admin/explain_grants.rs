//! Explains the decision about a request: the rule that decides, and why the others do not.

use http::Method;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::broker::caller::Administrator;
use crate::broker::error::{Error, MemberFault};
use crate::broker::parts::Broker;
use crate::id::{ApiKeyId, CredentialId, GrantId};
use crate::permission::Permission;
use crate::policy::{CanonicalPath, Destination, PathError, PolicyDecision, RequestFacts, RequestTarget};
use crate::vault::ApiKey;

/// A request that an API key might send.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ExplainGrantsRequest)]
pub struct ExplainRequest {
    /// Id of the API key.
    #[schema(value_type = String)]
    pub key: ApiKeyId,
    /// Id of the credential.
    #[schema(value_type = String)]
    pub credential: CredentialId,
    /// Method of the request.
    #[schema(value_type = String)]
    pub method: ExplainedMethod,
    /// URL of the request: `https://api.example.com/v1/items`.
    #[schema(value_type = String)]
    pub url: ExplainedUrl,
}

/// The method of a request that is explained.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "String")]
pub struct ExplainedMethod(Method);

impl TryFrom<String> for ExplainedMethod {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse().map(Self).map_err(|_| "this is not a method, such as GET or POST")
    }
}

/// The URL of a request that is explained.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "String")]
pub struct ExplainedUrl {
    destination: Destination,
    path: CanonicalPath,
}

impl TryFrom<String> for ExplainedUrl {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let (destination, target) = Destination::parse_absolute(&text).map_err(|error| error.to_string())?;
        let path = RequestTarget::parse(&target).map_err(|error| error.to_string())?.path;
        Ok(Self { destination, path })
    }
}

/// The decision about a request, and its reason.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct GrantExplanation {
    /// `allowed`, `needs_approval` or `denied`.
    pub decision: &'static str,
    /// Id of the grant that decides; `null` if no grant does.
    #[schema(required = true, value_type = Option<String>)]
    pub grant: Option<GrantId>,
    /// The reason, in words.
    pub reason: String,
    /// The grants of the key that do not match.
    pub missed: Vec<MissedGrant>,
}

/// A grant that does not match a request.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct MissedGrant {
    /// Id of the grant.
    #[schema(value_type = String)]
    pub grant: GrantId,
    /// Its first condition that the request does not meet.
    pub reason: String,
}

impl GrantExplanation {
    fn denied(reason: impl Into<String>) -> Self {
        Self { decision: "denied", grant: None, reason: reason.into(), missed: Vec::new() }
    }
}

impl Broker {
    /// Explains the decision about a request with an API key of the administrator. Nothing is sent or
    /// counted.
    pub fn explain_grants(&self, by: &Administrator, request: &ExplainRequest) -> Result<GrantExplanation, Error> {
        by.require_unlimited()?;
        let key = self.administered_key(by, request.key)?;
        let ExplainedUrl { destination, path } = &request.url;
        let admin = self.admin(by.who.clone());
        let found = admin.credential_of(&admin.users_of(&key.holder)?, &request.credential)?;
        let found = found.ok_or_else(|| {
            let reason = format!("there is no credential {} of a user that the API key acts for", request.credential);
            MemberFault::new("credential", reason)
        })?;
        if let Some(reason) = self.inactive(&key) {
            return Ok(GrantExplanation::denied(reason));
        }
        if !key.limits.allow(&found.provider, &found.id) {
            return Ok(GrantExplanation::denied("denied: the limits of the API key do not include this credential"));
        }
        let rules = key.grants.rules();
        let facts = RequestFacts {
            provider: &found.provider,
            credential: found.id,
            destination,
            method: &request.method.0,
            path,
        };
        let explained = rules.explain(&facts, self.0.clock.now());
        if !explained.decision.is_denied() && rules.have_paths() && path.is_rewritten() {
            return Ok(GrantExplanation::denied(format!("denied: {}", PathError::Spelling)));
        }
        let decision = match &explained.decision {
            PolicyDecision::Allowed(_) => "allowed",
            PolicyDecision::NeedsApproval { .. } => "needs_approval",
            PolicyDecision::DeniedByGrant(_) | PolicyDecision::DeniedByDefault => "denied",
        };
        let missed =
            explained.missed.iter().map(|(grant, reason)| MissedGrant { grant: grant.id, reason: reason.to_string() });
        Ok(GrantExplanation {
            decision,
            grant: explained.decision.rule().map(|rule| rule.id),
            reason: explained.decision.to_string(),
            missed: missed.collect(),
        })
    }

    /// Returns the reason why the API key sends no requests.
    fn inactive(&self, key: &ApiKey) -> Option<&'static str> {
        if key.revoked_at.is_some() {
            Some("denied: the API key is revoked")
        } else if !key.is_live(self.0.clock.now()) {
            Some("denied: the API key has expired")
        } else {
            let sends = key.permissions.contains(Permission::ProxyIntegrations);
            (!sends).then_some("denied: the API key does not have the permission PROXY_INTEGRATIONS")
        }
    }
}
