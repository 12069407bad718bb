//! Get: one credential with its times and refresh state. Never a secret.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;

use super::list::{CredentialSummary, owned_among};
use crate::broker::caller::Caller;
use crate::broker::error::Error;
use crate::broker::parts::Broker;
use crate::clock::UnixTime;
use crate::id::CredentialId;
use crate::vault::{CredentialMetadata, CredentialUpdate, SecretUpdate, UpdateOutcome};

/// One credential as callers with `READ_INTEGRATIONS` see it.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct CredentialDetail {
    /// Fields of the list.
    #[serde(flatten)]
    pub summary: CredentialSummary,
    /// Creation time.
    #[schema(value_type = i64)]
    pub created_at: UnixTime,
    /// Time of the last change of its title or secret.
    #[schema(value_type = i64)]
    pub updated_at: UnixTime,
    /// Expiry of the access token or key, if known.
    #[schema(value_type = Option<i64>, required = true)]
    pub expires_at: Option<UnixTime>,
    /// Time at which its secret was last returned.
    #[schema(value_type = Option<i64>, required = true)]
    pub last_used_at: Option<UnixTime>,
    /// Error of the last refresh; `null` if the last refresh succeeded.
    #[schema(required = true)]
    pub last_error: Option<ShownError>,
    /// Time since which the provider refuses every refresh for a reason that is not understood.
    #[schema(value_type = Option<i64>, required = true)]
    pub refused_since: Option<UnixTime>,
    /// Start time of a refresh that was sent and not fully answered; its outcome is unknown.
    /// Strongroom retries it.
    #[schema(value_type = Option<i64>, required = true)]
    pub in_doubt_since: Option<UnixTime>,
    /// Time before which Strongroom does not retry.
    #[schema(value_type = Option<i64>, required = true)]
    pub next_try_at: Option<UnixTime>,
    /// Time before which it must be refreshed or reconnected, because an unused refresh token
    /// expires then.
    #[schema(value_type = Option<i64>, required = true)]
    pub reauth_before: Option<UnixTime>,
    /// True if the vault was restored from a backup after these tokens were stored. The refresh
    /// token may have been used since. Strongroom tries it at the next request for this credential.
    pub may_be_stale: bool,
    /// For an additional token of a login: the credential that it came with. `null` for all others.
    #[schema(required = true)]
    pub beside: Option<ShownBeside>,
    /// Values that the provider's base URL depends on, for api_key and user_password; else `null`.
    #[schema(required = true)]
    pub inputs: Option<BTreeMap<String, String>>,
    /// False if the secret is never given out: requests can be sent with it through the proxy only.
    pub exportable: bool,
}

/// Credential that an additional token came with.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Beside)]
pub struct ShownBeside {
    /// Credential of the first token; it may be deleted.
    #[schema(value_type = String)]
    pub credentials_id: CredentialId,
    /// Name of this token in the provider's entry.
    pub name: String,
}

/// An error and its time.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = LastError)]
pub struct ShownError {
    /// Time of the error.
    #[schema(value_type = i64)]
    pub at: UnixTime,
    /// Error text, with the provider's own description if it sent one.
    pub message: String,
}

impl CredentialDetail {
    pub(super) fn of(summary: &CredentialMetadata, now: UnixTime, refreshes_now: bool, may_be_stale: bool) -> Self {
        let refreshing = summary.refreshing.clone();
        let mut shown = CredentialSummary::of(summary, now);
        if refreshes_now {
            shown.status = "refreshing";
        }
        Self {
            created_at: summary.created_at,
            updated_at: summary.updated_at,
            expires_at: summary.expires_at,
            last_used_at: summary.last_used_at,
            last_error: refreshing.last_error.map(|error| ShownError { at: error.at, message: error.what }),
            refused_since: refreshing.refused_since,
            in_doubt_since: refreshing.in_doubt_since.filter(|_| !refreshes_now),
            next_try_at: refreshing.next_try,
            reauth_before: refreshing.lapses_at,
            may_be_stale,
            beside: summary.beside.clone().map(|beside| ShownBeside { credentials_id: beside.of, name: beside.name }),
            inputs: summary.inputs.clone(),
            exportable: summary.exportable.0,
            summary: shown,
        }
    }
}

/// Returns the credential if it belongs to this provider.
fn of_provider(summary: CredentialMetadata, provider: &str) -> Result<CredentialMetadata, Error> {
    if summary.provider.as_str() == provider { Ok(summary) } else { Err(Error::CredentialOfAnotherProvider) }
}

impl Broker {
    /// Returns the user's credential with this id and provider, as it was when the caller was
    /// authenticated. After a write, use `Self::owned_at`.
    pub fn credential(&self, caller: &Caller, provider: &str, id: &str) -> Result<CredentialDetail, Error> {
        caller.require_provider(provider)?;
        let credentials = self.0.vault.credentials().at(&caller.state);
        Ok(self.detail(&of_provider(owned_among(credentials, caller, id)?, provider)?))
    }

    /// Changes the title, or replaces the secret with one of the same kind. The id stays.
    pub async fn amend(
        &self,
        caller: &Caller,
        provider: &str,
        id: &str,
        mut amendment: CredentialUpdate,
    ) -> Result<CredentialDetail, Error> {
        let summary = self.owned_at(caller, provider, id)?;
        if amendment.exportable == Some(true) && !self.is_exportable(&summary) {
            return Err(Error::StaysNotExportable);
        }
        if let Some(inputs) = amendment.secret.as_mut().and_then(SecretUpdate::inputs_mut) {
            let known = self.0.catalog.get(provider).ok_or_else(|| self.unknown_provider(provider))?;
            *inputs = known.entry.accepted_inputs(summary.kind, inputs).map_err(Error::Inputs)?;
        }
        let credentials = self.0.vault.credentials().within(self.quota(caller));
        match credentials.update(&caller.user, &summary.id, amendment, &caller.who).await? {
            UpdateOutcome::Done(summary) => Ok(self.detail(&summary)),
            UpdateOutcome::Absent => Err(Error::CredentialNotFound),
            UpdateOutcome::OtherKind(kind) => Err(Error::KindChanged(kind)),
            UpdateOutcome::NotExportable => Err(Error::StaysNotExportable),
        }
    }

    pub(in crate::broker) fn detail(&self, summary: &CredentialMetadata) -> CredentialDetail {
        let refreshes_now = self.0.single_flight.are_under_way(&summary.id);
        let may_be_stale = self.0.vault.standby().may_be_stale(summary);
        let detail = CredentialDetail::of(summary, self.0.clock.now(), refreshes_now, may_be_stale);
        CredentialDetail { exportable: self.is_exportable(summary), ..detail }
    }

    /// Returns the user's credential with this id, if it belongs to this provider and the caller's
    /// API key is allowed for it.
    pub(in crate::broker) fn owned_at(
        &self,
        caller: &Caller,
        provider: &str,
        id: &str,
    ) -> Result<CredentialMetadata, Error> {
        caller.require_provider(provider)?;
        of_provider(self.owned(caller, id)?, provider)
    }
}
