//! Maps each error of the broker and the vault to its problem. The cause of an internal failure is
//! logged here, once, and not sent.

use std::time::Duration;

use http::HeaderValue;
use http::header::ALLOW;
use serde_json::Value;

use super::problem::{self, Problem};
use crate::broker::{Error, InputFault, MemberFault, NoBaseUrl, StoreError, VaultError};
use crate::proxy::{InjectError, ProxyError};
use crate::validation::RequestFault;

const A_MINUTE: Duration = Duration::from_secs(60);
const A_SECOND: Duration = Duration::from_secs(1);

/// Methods that the proxy sends, of the registered ones.
const SENT_METHODS: &str = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";

impl From<ProxyError> for Problem {
    fn from(error: ProxyError) -> Self {
        let kind = match error {
            ProxyError::Broker(error) => return error.into(),
            ProxyError::ApprovalPending(id, wait) => {
                let problem = Self::new(&problem::APPROVAL_PENDING, error.to_string());
                return problem.with("approval_id", id.to_string()).retry_after(wait);
            }
            ProxyError::ApprovalDenied(id) => {
                return Self::new(&problem::APPROVAL_DENIED, error.to_string()).with("approval_id", id.to_string());
            }
            ProxyError::Rate(_, wait) => return Self::new(&problem::RATE_LIMITED, error.to_string()).retry_after(wait),
            ProxyError::TooMany | ProxyError::NoMemory => {
                return Self::new(&problem::RATE_LIMITED, error.to_string()).retry_after(A_SECOND);
            }
            ProxyError::Method(_) => {
                let problem = Self::new(&problem::METHOD_NOT_ALLOWED, error.to_string());
                return problem.header(ALLOW, HeaderValue::from_static(SENT_METHODS));
            }
            ProxyError::TooManyTunnels => {
                return Self::new(&problem::OVERLOADED, error.to_string()).retry_after(A_SECOND);
            }
            ProxyError::Path(_) | ProxyError::Destination(_) | ProxyError::Spelling | ProxyError::HostNeeded(_) => {
                &problem::PATH_NOT_CANONICAL
            }
            ProxyError::MethodOverride(_) => &problem::METHOD_OVERRIDDEN,
            ProxyError::NotBound(_) | ProxyError::NoCredential(_) | ProxyError::NoAddress(_) => {
                &problem::DESTINATION_NOT_ALLOWED
            }
            ProxyError::NoBase(NoBaseUrl::DestinationUnknown(_)) => &problem::DESTINATION_UNKNOWN,
            ProxyError::NoBase(_)
            | ProxyError::Proof(_)
            | ProxyError::Injection(InjectError::Unplaced | InjectError::Parts | InjectError::Value) => {
                &problem::NOT_PROXYABLE
            }
            ProxyError::Injection(_) => &problem::NO_PLACE_FOR_SECRET,
            ProxyError::Denied(_) => &problem::NOT_GRANTED,
            ProxyError::PlaceholderMisplaced => &problem::PLACEHOLDER_MISPLACED,
            ProxyError::BodyTooLarge => &problem::BODY_TOO_LARGE,
            ProxyError::Body => &problem::MALFORMED_REQUEST,
            ProxyError::BodyTooSlow => &problem::REQUEST_TIMEOUT,
            ProxyError::Egress(failed) if failed.timed_out() => &problem::PROVIDER_TIMEOUT,
            ProxyError::Egress(_) => &problem::PROVIDER_UNAVAILABLE,
        };
        // The log has nothing of the caller's text, such as a host.
        let is_callers = matches!(
            error,
            ProxyError::NotBound(_)
                | ProxyError::NoCredential(_)
                | ProxyError::Destination(_)
                | ProxyError::HostNeeded(_)
        );
        let detail = error.to_string();
        let problem = Self::new(kind, detail.clone());
        if is_callers { problem } else { problem.log_cause(detail) }
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let kind = match &error {
            Error::OriginNotAllowed { .. } => &problem::CALLBACK_ORIGIN_NOT_ALLOWED,
            Error::ProviderUnknown { .. } => &problem::PROVIDER_NOT_FOUND,
            Error::NoOAuth(_) => &problem::OAUTH_NOT_SUPPORTED,
            Error::NotConfigured(_) => &problem::NOT_CONFIGURED,
            Error::Inputs(faults) => return Self::faults(inputs_faults(faults)),
            Error::LoginUrlTooLong => return Self::faults(vec![fault_at(&["body"], &error)]),
            Error::StaysNotExportable => return Self::faults(vec![fault_at(&["body", "exportable"], &error)]),
            Error::Members(faults) => return Self::faults(faults.iter().map(member_fault).collect()),
            Error::GrantNotFound => &problem::GRANT_NOT_FOUND,
            Error::ApprovalNotFound => &problem::APPROVAL_NOT_FOUND,
            Error::ApprovalDecided(_) => &problem::APPROVAL_DECIDED,
            Error::CredentialMoved => &problem::CREDENTIAL_CHANGED,
            Error::ApprovalBodyTooLarge => &problem::APPROVAL_BODY_TOO_LARGE,
            Error::OwnClientIncomplete => return Self::faults(vec![own_client_fault(&error)]),
            Error::StateInvalid(_) => &problem::INVALID_STATE,
            Error::StateNotExternal => &problem::STATE_OF_CONNECT_FLOW,
            Error::AuthorizationDenied(_) => &problem::AUTHORIZATION_DENIED,
            Error::ExchangeRefused(_) => &problem::EXCHANGE_FAILED,
            Error::ProviderFailed(_)
            | Error::ServerUnusable(_)
            | Error::GrantFailed(_)
            | Error::NotRefreshed { too_slow: false, .. } => &problem::PROVIDER_UNAVAILABLE,
            Error::ProviderTooSlow(_)
            | Error::ServerTooSlow(_)
            | Error::GrantTooSlow(_)
            | Error::NotRefreshed { too_slow: true, .. } => &problem::PROVIDER_TIMEOUT,
            Error::NoDeviceFlow(_) => &problem::NO_DEVICE_FLOW,
            Error::GrantRefused(_) => &problem::GRANT_REFUSED,
            Error::KindNotTaken { .. }
            | Error::GrantNotOffered { .. }
            | Error::KindChanged(_)
            | Error::NothingToRefresh(_) => &problem::KIND_NOT_SUPPORTED,
            Error::ClientNotLent { .. } => &problem::CLIENT_NOT_LENT,
            Error::NotGranted(_) => &problem::NOT_GRANTED,
            Error::CredentialNotFound => &problem::CREDENTIAL_NOT_FOUND,
            Error::CredentialOfAnotherProvider => &problem::CREDENTIAL_OF_ANOTHER_PROVIDER,
            Error::SenderConstrained => &problem::SENDER_CONSTRAINED,
            Error::NotExportable => &problem::NOT_EXPORTABLE,
            Error::NeedsReauth { .. } => &problem::NEEDS_REAUTH,
            Error::NotRefreshable => &problem::NOT_REFRESHABLE,
            Error::OtherAccount(_) | Error::OtherServer => &problem::ACCOUNT_MISMATCH,
            Error::UserRemoved => &problem::USER_REMOVED,
            Error::QuotaExceeded(_) => &problem::QUOTA_EXCEEDED,
            Error::TooManyRegistrations(_) | Error::TooManyLists | Error::TooManyApprovals => return too_many(&error),
            Error::RefreshBroke | Error::ProxyCa => &problem::INTERNAL,
            Error::NotPromoted | Error::SharedVault(_) | Error::Vault(_) => &problem::VAULT_UNAVAILABLE,
        };
        let detail = error.to_string();
        let cause = logged_cause(&error);
        let problem = match error {
            Error::Vault(error) => return (&error).into(),
            Error::SharedVault(error) => return error.as_ref().into(),
            Error::NeedsReauth { provider, id, cause } => {
                let hint = format!(
                    "Send the user through POST /v1/integrations/{provider}/oauth/initiate with \"credential_id\": \"{id}\": \
                     the credential keeps its id."
                );
                Self::new(kind, detail).with("cause", cause).with("credential_id", id.to_string()).with("hint", hint)
            }
            Error::ProviderUnknown { nearest: Some(name), .. } => {
                Self::new(kind, detail).with("did_you_mean", name.as_str())
            }
            Error::NotRefreshable => Self::new(kind, detail).with("cause", "the provider gave no refresh token"),
            Error::NotRefreshed { retry_after: Some(wait), .. } => Self::new(kind, detail).retry_after(wait),
            Error::QuotaExceeded(limit) => Self::new(kind, detail).with("limit", limit.setting()),
            Error::OriginNotAllowed { reason, .. } => Self::new(kind, detail).with("reason", reason),
            Error::NotConfigured(provider) => Self::not_configured(detail, client_hint(&provider)),
            _ => Self::new(kind, detail),
        };
        cause.into_iter().fold(problem, Self::log_cause)
    }
}

fn own_client_fault(error: &Error) -> RequestFault {
    let loc = ["body", "client_credentials", "client_secret"].map(str::to_owned);
    RequestFault::new("missing", loc, format!("Field required: {error}"))
}

/// Says what to set for a provider without a client.
fn client_hint(provider: &str) -> String {
    format!(
        "Set providers.{provider}.client_id, and client_secret where the provider gives one, in the configuration of \
         Strongroom."
    )
}

/// Returns the cause for the request's log line, if the caller cannot find it out, or may not be the
/// one who can change it. Its text is sanitized.
fn logged_cause(error: &Error) -> Option<String> {
    match error {
        // The description in a callback is text of the caller, so that only its code is logged.
        Error::AuthorizationDenied(denied) => Some(denied.split(':').next().unwrap_or_default().to_owned()),
        Error::StateInvalid(fault) => Some(fault.to_string()),
        Error::StateNotExternal
        | Error::NotConfigured(_)
        | Error::ExchangeRefused(_)
        | Error::ProviderFailed(_)
        | Error::ProviderTooSlow(_)
        | Error::ServerUnusable(_)
        | Error::ServerTooSlow(_)
        | Error::GrantRefused(_)
        | Error::GrantFailed(_)
        | Error::GrantTooSlow(_)
        | Error::OtherAccount(_)
        | Error::OtherServer
        | Error::QuotaExceeded(_)
        | Error::UserRemoved
        | Error::NotRefreshed { .. } => Some(error.to_string()),
        _ => None,
    }
}

/// Returns a row of the 422 list about this place.
fn fault_at(place: &[&str], error: &Error) -> RequestFault {
    RequestFault::value(place.iter().map(|part| (*part).to_owned()), &error.to_string())
}

/// Says that the caller has too many of something, and when to try again.
fn too_many(error: &Error) -> Problem {
    let wait = match error {
        Error::TooManyRegistrations(wait) => *wait,
        Error::TooManyApprovals => A_MINUTE,
        _ => A_SECOND,
    };
    Problem::new(&problem::RATE_LIMITED, error.to_string()).retry_after(wait)
}

/// Returns a row of the 422 list at its member.
fn member_fault(fault: &MemberFault) -> RequestFault {
    let loc = ["body".into(), fault.member.into()].into_iter().chain(fault.index.map(Value::from));
    RequestFault::value(loc, &fault.reason)
}

/// Returns the rows of the 422 list, each at its input.
fn inputs_faults(faults: &[InputFault]) -> Vec<RequestFault> {
    let loc =
        |fault: &InputFault| ["body", "inputs"].map(str::to_owned).into_iter().chain(fault.name().map(str::to_owned));
    let fault = |fault: &InputFault| match fault {
        InputFault::Missing { .. } => RequestFault::new("missing", loc(fault), format!("Field required: {fault}")),
        _ => RequestFault::value(loc(fault), &fault.to_string()),
    };
    faults.iter().map(fault).collect()
}

impl From<VaultError> for Problem {
    fn from(error: VaultError) -> Self {
        (&error).into()
    }
}

impl From<&VaultError> for Problem {
    fn from(error: &VaultError) -> Self {
        match error {
            VaultError::TooLarge(what) => {
                Self::new(&problem::BODY_TOO_LARGE, format!("What was sent as {what} is too large to be stored."))
            }
            VaultError::DamagedRow { table: "credential" | "credential_secret", id, .. } if id != "*" => {
                tracing::error!(%error, "a credential is damaged: bring back a backup, or `strongroom vault repair` erases it");
                Self::new(
                    &problem::CREDENTIAL_DAMAGED,
                    "This credential cannot be read, and neither used, changed nor revoked. The operator can bring it back from a \
                     backup, or erase it.",
                )
            }
            VaultError::DamagedKeyring(_)
            | VaultError::DamagedRow { .. }
            | VaultError::Store(StoreError::NewerFormat { .. }) => {
                tracing::error!(%error, "the vault is damaged: keep the file as it is, and bring back a backup beside it");
                Self::new(&problem::INTERNAL, "Something in the vault cannot be read; the log has the cause.")
            }
            error => {
                tracing::error!(%error, "the vault cannot do this now");
                Self::new(
                    &problem::VAULT_UNAVAILABLE,
                    "The vault cannot do this now. Nothing is lost; try again later.",
                )
            }
        }
    }
}
