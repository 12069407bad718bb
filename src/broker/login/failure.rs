//! Failed logins in the audit log.

use crate::broker::caller::Caller;
use crate::broker::error::Error;
use crate::broker::parts::Broker;
use crate::id::{CredentialId, ProviderName};

impl Broker {
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
        Error::OtherAccount(_) => "account-mismatch",
        Error::NotConfigured(_) => "not-configured",
        Error::Vault(_) | Error::SharedVault(_) => "vault-unavailable",
        // The state was good, so this is the issuer of the callback, or a login that was deleted.
        Error::StateInvalid => "invalid-state",
        _ => "internal",
    }
}
