//! List: a user's credentials, oldest first. It reads sealed summaries by an index and opens no
//! secret. If nothing was written since the last list, the previous answer is reused.

use bytes::Bytes;
use serde::Serialize;
use utoipa::ToSchema;

use crate::broker::caller::Caller;
use crate::broker::error::Error;
use crate::broker::parts::Broker;
use crate::id::{CredentialId, ProviderName};
use crate::vault::{CredentialMetadata, CredentialPage, Credentials, VaultError};

/// One credential as callers with `READ_INTEGRATIONS` see it. Never a secret.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct CredentialSummary {
    /// Id: a lower-case UUID.
    #[schema(value_type = String)]
    pub id: CredentialId,
    /// Provider.
    #[schema(value_type = String)]
    pub provider: ProviderName,
    /// `oauth2`, `api_key`, `user_password` or `host_scoped`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// Title.
    pub title: String,
    /// Granted scopes; for oauth2 only.
    #[schema(required = true)]
    pub scopes: Option<Vec<String>>,
    /// Name of the account at the provider; for oauth2 only.
    #[schema(required = true)]
    pub username: Option<String>,
    /// Host pattern as it was given, for host_scoped; URL of the server, for an MCP account.
    #[schema(required = true)]
    pub host: Option<String>,
    /// Always `false`: every credential here belongs to its user.
    pub is_managed: bool,
}

impl From<&CredentialMetadata> for CredentialSummary {
    fn from(summary: &CredentialMetadata) -> Self {
        Self {
            id: summary.id,
            provider: summary.provider.clone(),
            kind: summary.kind.name(),
            title: summary.title.clone(),
            scopes: summary.scopes.clone(),
            username: summary.username.clone(),
            host: summary.host.as_ref().map(ToString::to_string).or_else(|| summary.server.clone()),
            is_managed: false,
        }
    }
}

/// One page of a list.
#[derive(Debug)]
pub struct CredentialList {
    /// The credentials as JSON: a list of [`CredentialSummary`], oldest first.
    pub json: Bytes,
    /// Last id of this page if more follow: the next value of `after`.
    pub next_after: Option<CredentialId>,
    /// Errors of damaged credentials; they are missing from `json`.
    pub damaged: Vec<VaultError>,
}

/// Returns the id of a row, damaged or not.
fn id_of(row: &Result<CredentialMetadata, VaultError>) -> Option<CredentialId> {
    match row {
        Ok(summary) => Some(summary.id),
        Err(VaultError::DamagedRow { id, .. }) => id.parse().ok(),
        Err(_) => None,
    }
}

fn json(credentials: &[CredentialSummary]) -> Vec<u8> {
    serde_json::to_vec(credentials).expect("texts, flags and lists can always be written")
}

impl CredentialList {
    /// Builds a complete list without damage.
    fn whole(json: Bytes) -> Self {
        Self { json, next_after: None, damaged: Vec::new() }
    }
}

/// Returns the caller's own credential with this id.
pub(super) fn owned_among(
    credentials: Credentials<'_>,
    caller: &Caller,
    id: &str,
) -> Result<CredentialMetadata, Error> {
    let id: CredentialId = id.parse().map_err(|_| Error::CredentialNotFound)?;
    credentials.get(&caller.user, &id)?.ok_or(Error::CredentialNotFound)
}

impl Broker {
    /// Lists the user's credentials: all or those of one provider, whole or the `limit` entries
    /// that follow `after`. An unknown provider gives an empty list.
    pub fn list(&self, caller: &Caller, provider: Option<&str>, page: CredentialPage) -> Result<CredentialList, Error> {
        let provider = match provider.map(str::parse::<ProviderName>) {
            None => None,
            Some(Ok(name)) => Some(name),
            Some(Err(_)) => return Ok(CredentialList::whole(json(&[]).into())),
        };
        if page.is_whole() {
            let credentials = self.0.vault.credentials().at(&caller.state);
            let shown = credentials.list_rendered(&caller.user, provider.as_ref(), |all| {
                json(&all.iter().map(CredentialSummary::from).collect::<Vec<_>>())
            });
            match shown {
                Err(error) if error.is_damage() => {}
                shown => return Ok(CredentialList::whole(shown?)),
            }
        }
        let one_more = CredentialPage { limit: page.limit.map(|limit| limit.saturating_add(1)), after: page.after };
        let rows = self.0.vault.credentials().list_each(&caller.user, provider.as_ref(), one_more)?;
        let limit = page.limit.map_or(usize::MAX, |limit| limit as usize);
        let more = rows.len() > limit;
        let (mut sound, mut damaged, mut end) = (Vec::new(), Vec::new(), None);
        for row in rows.into_iter().take(limit) {
            end = id_of(&row);
            match row {
                Ok(summary) => sound.push(CredentialSummary::from(&summary)),
                Err(error) => damaged.push(error),
            }
        }
        Ok(CredentialList { json: json(&sound).into(), next_after: end.filter(|_| more), damaged })
    }

    /// Returns the user's own credential with this id. Another user's credential is reported as not
    /// found.
    pub(in crate::broker) fn owned(&self, caller: &Caller, id: &str) -> Result<CredentialMetadata, Error> {
        owned_among(self.0.vault.credentials(), caller, id)
    }
}
