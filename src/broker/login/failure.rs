//! Failed logins in the audit log, and the cause of a state that completes none.

use crate::broker::caller::Caller;
use crate::broker::error::{Error, StateFault};
use crate::broker::parts::Broker;
use crate::id::{CredentialId, ProviderName};
use crate::secret::Secret;
use crate::vault::{LoginFlow, MissedLogin};

/// Reason in the audit log for a state that completes no login.
const INVALID_STATE: &str = "invalid-state";

impl Broker {
    /// Returns the error of a state that took no login. If the user has a login with this state, it
    /// failed, and that is recorded.
    pub(super) async fn missed_login(
        &self,
        caller: &Caller,
        provider: &ProviderName,
        (flow, state): (LoginFlow, &Secret),
    ) -> Error {
        let logins = self.0.vault.logins();
        let failed = (INVALID_STATE, &caller.who);
        let missed = logins.record_missed(flow, state.expose(), &caller.user, provider, failed).await;
        Error::StateInvalid(match missed {
            Ok(Some(MissedLogin::Expired)) => StateFault::Expired,
            Ok(Some(MissedLogin::OtherProvider)) => StateFault::OtherProvider,
            Ok(None) => StateFault::Unknown,
            Err(error) => {
                tracing::warn!(%provider, %error, "a failed login could not be recorded in the audit log");
                StateFault::Unknown
            }
        })
    }

    /// Records that a login whose state was consumed gave no credential. The caller gets the error
    /// even if the vault cannot take the row.
    pub(super) async fn record_failed_login(
        &self,
        caller: &Caller,
        provider: &ProviderName,
        reconnect: Option<CredentialId>,
        error: &Error,
    ) {
        let logins = self.0.vault.logins();
        let recorded = logins.record_failure(&caller.user, provider, reconnect, reason(error), &caller.who).await;
        if let Err(error) = recorded {
            tracing::warn!(%provider, %error, "a failed login could not be recorded in the audit log");
        }
    }
}

/// Returns the reason in one word. The provider's own text stays out of the audit log.
fn reason(error: &Error) -> &'static str {
    match error {
        Error::AuthorizationDenied(_) => "authorization-denied",
        Error::ExchangeRefused(_) | Error::GrantRefused(_) => "exchange-failed",
        Error::ProviderFailed(_) | Error::GrantFailed(_) | Error::ServerUnusable(_) => "provider-unavailable",
        Error::ProviderTooSlow(_) | Error::GrantTooSlow(_) | Error::ServerTooSlow(_) => "provider-timeout",
        Error::OtherAccount(_) | Error::OtherServer => "account-mismatch",
        Error::NotGranted(_) => "not-granted",
        Error::QuotaExceeded(_) => "quota-exceeded",
        Error::UserRemoved => "user-removed",
        Error::NotConfigured(_) => "not-configured",
        Error::Vault(_) | Error::SharedVault(_) => "vault-unavailable",
        Error::StateInvalid(_) | Error::StateNotExternal => INVALID_STATE,
        _ => "internal",
    }
}
