//! One credential, with what a list leaves out: when it was what, and how it stands. Never a secret.

use serde::Serialize;
use utoipa::ToSchema;

use super::list::CredentialSummary;
use crate::broker::caller::Caller;
use crate::broker::error::Error;
use crate::broker::parts::Broker;
use crate::clock::UnixTime;
use crate::id::CredentialId;
use crate::vault::{CredentialMetadata, CredentialUpdate, UpdateOutcome};

/// One credential as everybody with `READ_INTEGRATIONS` may see it.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct CredentialDetail {
    /// What a list shows of it.
    #[serde(flatten)]
    pub summary: CredentialSummary,
    /// When it was stored.
    #[schema(value_type = i64)]
    pub created_at: UnixTime,
    /// When its title or its secret last changed.
    #[schema(value_type = i64)]
    pub updated_at: UnixTime,
    /// When the access token or the key ends, where that is known.
    #[schema(value_type = Option<i64>, required = true)]
    pub expires_at: Option<UnixTime>,
    /// When its secret was last handed out.
    #[schema(value_type = Option<i64>, required = true)]
    pub last_used_at: Option<UnixTime>,
    /// `active`, `refreshing` or `needs_reauth`.
    pub status: &'static str,
    /// What went wrong when it was last to be refreshed; `null` where nothing did since it last went well.
    #[schema(required = true)]
    pub last_error: Option<ShownError>,
    /// Since when a refresh may have happened of which Strongroom does not know: one was sent, and its answer never came
    /// whole. It is tried again.
    #[schema(value_type = Option<i64>, required = true)]
    pub in_doubt_since: Option<UnixTime>,
    /// Before when it is not tried again.
    #[schema(value_type = Option<i64>, required = true)]
    pub next_try_at: Option<UnixTime>,
    /// By when it has to be refreshed or connected again: a refresh token that is not used until then lapses.
    #[schema(value_type = Option<i64>, required = true)]
    pub reauth_before: Option<UnixTime>,
    /// Whether the vault was restored from a backup after these tokens came: the refresh token may be used up since. It is
    /// tried when somebody asks for this credential.
    pub may_be_stale: bool,
    /// Of a further token of a login: with which credential it came. `null` for all others.
    #[schema(required = true)]
    pub beside: Option<ShownBeside>,
}

/// With which credential a further token came out of one login.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Beside)]
pub struct ShownBeside {
    /// The credential with the first token; it may be gone.
    #[schema(value_type = String)]
    pub credentials_id: CredentialId,
    /// What the provider's entry calls this token.
    pub name: String,
}

/// What went wrong, and when.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = LastError)]
pub struct ShownError {
    /// When.
    #[schema(value_type = i64)]
    pub at: UnixTime,
    /// What, with the provider's own words where it said any.
    pub message: String,
}

impl CredentialDetail {
    fn of(summary: &CredentialMetadata, now: UnixTime, refreshes_now: bool, may_be_stale: bool) -> Self {
        let refreshing = summary.refreshing.clone();
        Self {
            created_at: summary.created_at,
            updated_at: summary.updated_at,
            expires_at: summary.expires_at,
            last_used_at: summary.last_used_at,
            status: if refreshes_now { "refreshing" } else { summary.status_at(now).name() },
            last_error: refreshing.last_error.map(|error| ShownError { at: error.at, message: error.what }),
            in_doubt_since: refreshing.in_doubt_since.filter(|_| !refreshes_now),
            next_try_at: refreshing.next_try,
            reauth_before: refreshing.lapses_at,
            may_be_stale,
            beside: summary.beside.clone().map(|beside| ShownBeside { credentials_id: beside.of, name: beside.name }),
            summary: summary.into(),
        }
    }
}

impl Broker {
    /// The user's credential of this id and provider.
    pub fn credential(&self, caller: &Caller, provider: &str, id: &str) -> Result<CredentialDetail, Error> {
        Ok(self.detail(&self.owned_at(caller, provider, id)?))
    }

    /// Gives the user's credential another title, or another secret of the same kind; its id stays.
    pub async fn amend(
        &self,
        caller: &Caller,
        provider: &str,
        id: &str,
        amendment: CredentialUpdate,
    ) -> Result<CredentialDetail, Error> {
        let summary = self.owned_at(caller, provider, id)?;
        match self.0.vault.amend_credential(&caller.user, &summary.id, amendment, &caller.who).await? {
            UpdateOutcome::Done(summary) => Ok(self.detail(&summary)),
            UpdateOutcome::Absent => Err(Error::CredentialNotFound),
            UpdateOutcome::OtherKind(kind) => Err(Error::KindChanged(kind)),
        }
    }

    fn detail(&self, summary: &CredentialMetadata) -> CredentialDetail {
        let refreshes_now = self.0.flights.are_under_way(&summary.id);
        let may_be_stale = self.0.vault.may_be_stale(summary);
        CredentialDetail::of(summary, self.0.clock.now(), refreshes_now, may_be_stale)
    }

    /// The user's own credential of this id, which has to be of this provider.
    pub(in crate::broker) fn owned_at(
        &self,
        caller: &Caller,
        provider: &str,
        id: &str,
    ) -> Result<CredentialMetadata, Error> {
        let summary = self.owned(caller, id)?;
        if summary.provider.as_str() != provider {
            return Err(Error::CredentialOfAnotherProvider);
        }
        Ok(summary)
    }
}
