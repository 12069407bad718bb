//! Approvals: asking for one, taking it, and the decision of a person.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use utoipa::ToSchema;

use crate::broker::caller::{Administrator, ApprovalReader, Caller};
use crate::broker::credentials::DEFAULT_LIMIT;
use crate::broker::error::{Error, NotGranted};
use crate::broker::parts::Broker;
use crate::clock::UnixTime;
use crate::id::{ApiKeyId, ApprovalId, CredentialId, GrantId, ProviderName, UserId};
use crate::policy::{ApprovalFacts, MAX_APPROVAL_BODY};
use crate::vault::{
    Actor, ApprovalAnswer, ApprovalDecision, ApprovalRequest, ApprovalStatus, RequestToApprove, VaultError,
};

/// The part of a body that is kept for the person.
const MAX_SHOWN_BODY: usize = 64 * 1024;

/// Time after which a caller asks again.
const RETRY_AFTER: Duration = Duration::from_secs(10);

/// The answer to a request that needs approval.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ApprovalState {
    /// The request may be sent once, now. The approval is used up.
    Approved(ApprovalId),
    /// A person has to decide first.
    Pending {
        /// The approval.
        id: ApprovalId,
        /// Time after which the caller sends the request again.
        retry_after: Duration,
    },
    /// A person denied the request.
    Denied(ApprovalId),
}

impl ApprovalState {
    /// Returns the id of the approval.
    pub fn id(&self) -> ApprovalId {
        match self {
            Self::Approved(id) | Self::Pending { id, .. } | Self::Denied(id) => *id,
        }
    }
}

/// One header of a request.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct HeaderLine {
    /// Name in lower case.
    pub name: String,
    /// Value.
    pub value: String,
}

/// A request that a person approves before it is sent.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Approval)]
pub struct ApprovalView {
    /// Id of the approval.
    #[schema(value_type = String)]
    pub id: ApprovalId,
    /// `pending`, `approved` or `denied`.
    pub status: &'static str,
    /// Id of the API key that sent the request.
    #[schema(value_type = String)]
    pub key: ApiKeyId,
    /// User for whom it was sent.
    #[schema(value_type = String)]
    pub user: UserId,
    /// Provider.
    #[schema(value_type = String)]
    pub provider: ProviderName,
    /// Id of the credential.
    #[schema(value_type = String)]
    pub credential: CredentialId,
    /// Id of the grant that asks for approval.
    #[schema(value_type = String)]
    pub grant: GrantId,
    /// Method.
    pub method: String,
    /// URL.
    pub url: String,
    /// Headers that the approval covers.
    pub headers: Vec<HeaderLine>,
    /// First 64 KiB of the body; `null` in a list, and when a person has decided.
    #[schema(required = true)]
    pub body: Option<String>,
    /// True if `body` is base64, because it is not text.
    pub body_is_base64: bool,
    /// Length of the whole body in bytes.
    pub body_length: u64,
    /// Bytes of the body that `body` does not show. They are approved with the request.
    pub body_not_shown: u64,
    /// Time of the first attempt, in Unix seconds.
    #[schema(value_type = i64)]
    pub created_at: UnixTime,
    /// Time from which on the request, or the decision, counts no more, in Unix seconds.
    #[schema(value_type = i64)]
    pub expires_at: UnixTime,
}

impl From<ApprovalRequest> for ApprovalView {
    fn from(approval: ApprovalRequest) -> Self {
        let ApprovalRequest { id, request, status, created_at, expires_at } = approval;
        let kept = request.body;
        let (body, body_is_base64, shown) = match std::str::from_utf8(&kept) {
            Ok(text) => (text.to_owned(), false, kept.len()),
            // A person must not take a cut character for the reason of base64.
            Err(error) if error.error_len().is_none() => {
                let shown = error.valid_up_to();
                (String::from_utf8_lossy(&kept[..shown]).into_owned(), false, shown)
            }
            Err(_) => (STANDARD.encode(&kept), true, kept.len()),
        };
        Self {
            id,
            status: status.name(),
            key: request.key,
            user: request.user,
            provider: request.provider,
            credential: request.credential,
            grant: request.grant,
            method: request.method,
            url: request.url,
            headers: request.headers.into_iter().map(|(name, value)| HeaderLine { name, value }).collect(),
            body: Some(body).filter(|body| !body.is_empty()),
            body_is_base64,
            body_length: request.body_length,
            body_not_shown: request.body_length.saturating_sub(shown as u64),
            created_at,
            expires_at,
        }
    }
}

/// One page of approvals.
#[derive(Debug)]
pub struct ApprovalList {
    /// The approvals, oldest first.
    pub approvals: Vec<ApprovalView>,
    /// Last id of this page if more follow: the next value of `after`.
    pub next_after: Option<ApprovalId>,
    /// Errors of approvals that cannot be read; they are missing from `approvals`.
    pub damaged: Vec<VaultError>,
}

impl Broker {
    /// Takes the approval of a request, or asks for it. Call it before the secret is read. A caller
    /// that is not the API key of the facts is refused.
    pub async fn approval_for(
        &self,
        caller: &Caller,
        provider: &ProviderName,
        grant: GrantId,
        facts: &ApprovalFacts<'_>,
    ) -> Result<ApprovalState, Error> {
        if caller.who.actor != Actor::ApiKey(facts.key) {
            return Err(Error::NotGranted(NotGranted::Credential));
        }
        if facts.body.len() > MAX_APPROVAL_BODY {
            return Err(Error::ApprovalBodyTooLarge);
        }
        let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
        let headers = facts.covered_headers().into_iter().map(|(name, value)| (name.to_owned(), text(value)));
        let request = RequestToApprove {
            key: facts.key,
            user: caller.user.clone(),
            provider: provider.clone(),
            credential: facts.credential,
            grant,
            digest: facts.digest(),
            method: facts.method.to_string(),
            url: facts.url.to_owned(),
            headers: headers.collect(),
            body: facts.body[..facts.body.len().min(MAX_SHOWN_BODY)].to_vec(),
            body_length: facts.body.len() as u64,
        };
        match self.0.vault.approvals().ask(request, &caller.who).await? {
            ApprovalAnswer::Approved(id) => Ok(ApprovalState::Approved(id)),
            ApprovalAnswer::Pending(id) => Ok(ApprovalState::Pending { id, retry_after: RETRY_AFTER }),
            ApprovalAnswer::Denied(id) => Ok(ApprovalState::Denied(id)),
            ApprovalAnswer::TooMany => Err(Error::TooManyApprovals),
        }
    }

    /// Returns true if the request waits for a person.
    pub fn is_pending(&self, id: ApprovalId) -> bool {
        matches!(self.0.vault.approvals().get(id), Ok(Some(found)) if found.status == ApprovalStatus::Pending)
    }

    /// Lists the requests of the API keys that the administrator covers, without their bodies.
    pub fn approvals(
        &self,
        by: &Administrator,
        after: Option<ApprovalId>,
        limit: Option<u32>,
    ) -> Result<ApprovalList, Error> {
        by.require_unlimited()?;
        let keys = self.0.vault.api_keys().current()?;
        let covers = |id: ApiKeyId| keys.iter().any(|key| key.id == id && by.covers(key));
        let limit = usize::try_from(limit.unwrap_or(DEFAULT_LIMIT)).unwrap_or(usize::MAX);
        let page = self.0.vault.approvals().list(covers, after, limit)?;
        let next_after = page.approvals.last().filter(|_| page.more).map(|last| last.id);
        let approvals = page.approvals.into_iter().map(ApprovalView::from).collect();
        Ok(ApprovalList { approvals, next_after, damaged: page.damaged })
    }

    /// Returns one request: to the API key that sent it, or to an administrator that covers this key.
    pub fn approval(&self, by: &ApprovalReader, id: &str) -> Result<ApprovalView, Error> {
        let found = match id.parse() {
            Ok(id) => self.0.vault.approvals().get(id)?,
            Err(_) => None,
        };
        let is_own = found.as_ref().is_some_and(|found| by.key == Some(found.request.key));
        match (found, &by.administrator) {
            (Some(found), _) if is_own => Ok(found.into()),
            (_, None) => Err(Error::NotGranted(NotGranted::Approval)),
            (Some(found), Some(administrator)) if self.administers(administrator, found.request.key)? => {
                Ok(found.into())
            }
            (_, Some(_)) => Err(Error::ApprovalNotFound),
        }
    }

    /// Approves or denies a request. The API key that sent it cannot.
    pub async fn decide_approval(&self, by: &Administrator, id: &str, approve: bool) -> Result<ApprovalView, Error> {
        let id: ApprovalId = id.parse().map_err(|_| Error::ApprovalNotFound)?;
        let found = self.0.vault.approvals().get(id)?.ok_or(Error::ApprovalNotFound)?;
        if !self.administers(by, found.request.key)? {
            return Err(Error::ApprovalNotFound);
        }
        by.require_other(found.request.key)?;
        match self.0.vault.approvals().decide(id, approve, &by.who).await? {
            ApprovalDecision::Done(decided) => Ok((*decided).into()),
            ApprovalDecision::Absent => Err(Error::ApprovalNotFound),
            ApprovalDecision::Decided(status) => Err(Error::ApprovalDecided(status.name())),
        }
    }

    fn administers(&self, by: &Administrator, key: ApiKeyId) -> Result<bool, Error> {
        by.require_unlimited()?;
        Ok(self.0.vault.api_keys().get(key)?.is_some_and(|key| by.covers(&key)))
    }
}
