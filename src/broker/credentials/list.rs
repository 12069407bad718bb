//! List: a user's credentials, oldest first. It reads sealed summaries by an index and opens no
//! secret. If nothing was written since the last list, the previous answer is reused, unless it is
//! long.

use bytes::Bytes;
use serde::Serialize;
use utoipa::ToSchema;

use crate::broker::caller::Caller;
use crate::broker::error::Error;
use crate::broker::parts::Broker;
use crate::clock::UnixTime;
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
    /// `active`, `needs_reauth` or `expired`; of one credential also `refreshing`.
    pub status: &'static str,
}

impl CredentialSummary {
    pub(super) fn of(summary: &CredentialMetadata, now: UnixTime) -> Self {
        Self {
            id: summary.id,
            provider: summary.provider.clone(),
            kind: summary.kind.name(),
            title: summary.title.clone(),
            scopes: summary.scopes.clone(),
            username: summary.username.clone(),
            host: summary.host.as_ref().map(ToString::to_string).or_else(|| summary.server.clone()),
            is_managed: false,
            status: summary.status_at(now),
        }
    }
}

/// Number of entries of a list if the caller gives no `limit`.
pub const DEFAULT_LIMIT: u32 = 1_000;

/// Size in bytes at which a page ends, whatever its `limit` is.
const MAX_PAGE_BYTES: usize = 4 << 20;

/// Number of credentials that are read at once for a page. A longer page is read by turns.
pub(in crate::broker) const CHUNK: u32 = 100;

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
pub(in crate::broker) fn id_of(row: &Result<CredentialMetadata, VaultError>) -> Option<CredentialId> {
    match row {
        Ok(summary) => Some(summary.id),
        Err(VaultError::DamagedRow { id, .. }) => id.parse().ok(),
        Err(_) => None,
    }
}

fn json(shown: &(impl Serialize + ?Sized)) -> Vec<u8> {
    serde_json::to_vec(shown).expect("texts, flags and lists can always be written")
}

impl CredentialList {
    /// Builds a complete list without damage.
    fn whole(json: Bytes) -> Self {
        Self { json, next_after: None, damaged: Vec::new() }
    }
}

/// A page that is being read.
struct PageBuilder {
    json: Vec<u8>,
    /// Entries that may still be added.
    left: usize,
    /// Last id that was added.
    end: Option<CredentialId>,
    /// True if an entry did not fit on the page.
    more: bool,
    damaged: Vec<VaultError>,
}

impl PageBuilder {
    fn new(limit: u32) -> Self {
        Self { json: Vec::new(), left: limit as usize, end: None, more: false, damaged: Vec::new() }
    }

    fn add(&mut self, row: Result<CredentialMetadata, VaultError>, now: UnixTime) {
        if self.more {
            return;
        }
        let shown = row.as_ref().map_or_else(|_| Vec::new(), |summary| json(&CredentialSummary::of(summary, now)));
        if self.left == 0 || !self.json.is_empty() && self.json.len() + shown.len() + 2 > MAX_PAGE_BYTES {
            self.more = true;
            return;
        }
        self.left -= 1;
        self.end = id_of(&row).or(self.end);
        match row {
            Ok(_) => {
                self.json.push(if self.json.is_empty() { b'[' } else { b',' });
                self.json.extend(shown);
            }
            Err(error) => self.damaged.push(error),
        }
    }

    fn finish(mut self) -> CredentialList {
        if self.json.is_empty() {
            self.json.push(b'[');
        }
        self.json.push(b']');
        CredentialList { json: self.json.into(), next_after: self.end.filter(|_| self.more), damaged: self.damaged }
    }
}

/// Returns the caller's own credential with this id, if its API key is allowed for it.
pub(super) fn owned_among(
    credentials: Credentials<'_>,
    caller: &Caller,
    id: &str,
) -> Result<CredentialMetadata, Error> {
    let id: CredentialId = id.parse().map_err(|_| Error::CredentialNotFound)?;
    let found = credentials.get(&caller.user, &id)?.ok_or(Error::CredentialNotFound)?;
    caller.require_credential(&found)?;
    Ok(found)
}

impl Broker {
    /// Lists the user's credentials, all or those of one provider: the `limit` entries that follow
    /// `after`, and fewer if they do not fit on a page. An unknown provider gives an empty list.
    /// Credentials that the API key is not allowed for are left out.
    pub async fn list(
        &self,
        caller: &Caller,
        provider: Option<&str>,
        page: CredentialPage,
    ) -> Result<CredentialList, Error> {
        let provider = match provider.map(str::parse::<ProviderName>) {
            None => None,
            Some(Ok(name)) => Some(name),
            Some(Err(_)) => return Ok(PageBuilder::new(0).finish()),
        };
        let now = self.0.clock.now();
        let credentials = self.0.vault.credentials().at(&caller.state);
        let all_allowed = caller.limits.allow_all_of(provider.as_ref());
        if page.limit.is_none() && page.after.is_none() && all_allowed {
            let show = |all: &[CredentialMetadata]| {
                json(&all.iter().map(|summary| CredentialSummary::of(summary, now)).collect::<Vec<_>>())
            };
            match credentials.list_rendered(&caller.user, provider.as_ref(), CHUNK, now, show) {
                Ok(Some(shown)) if shown.len() <= MAX_PAGE_BYTES => return Ok(CredentialList::whole(shown)),
                Err(error) if !error.is_damage() => return Err(error.into()),
                _ => {}
            }
        }
        let limit = page.limit.unwrap_or(DEFAULT_LIMIT);
        let _turn = if limit > CHUNK {
            Some(self.0.long_lists.take(caller.user.clone()).await.ok_or(Error::TooManyLists)?)
        } else {
            None
        };
        let (mut list, mut after) = (PageBuilder::new(limit), page.after);
        loop {
            // One entry more than fits tells if there is a next page.
            let wanted = (CHUNK as usize).min(list.left.saturating_add(1));
            let chunk = CredentialPage { limit: u32::try_from(wanted).ok(), after };
            let rows = self.0.vault.credentials().list_each(&caller.user, &caller.limits, provider.as_ref(), chunk)?;
            let read = rows.len();
            for row in rows {
                list.add(row, now);
            }
            after = list.end;
            if list.more || read < wanted {
                return Ok(list.finish());
            }
            // Other requests of this thread go on between the chunks.
            tokio::task::yield_now().await;
        }
    }

    /// Returns the user's own credential with this id. Another user's credential is reported as not
    /// found.
    pub(in crate::broker) fn owned(&self, caller: &Caller, id: &str) -> Result<CredentialMetadata, Error> {
        owned_among(self.0.vault.credentials(), caller, id)
    }
}
