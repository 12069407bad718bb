//! List: what a user has connected, oldest first. One indexed read of sealed summaries; where nobody wrote since the last, not even
//! that, and the answer is the one that was written then. No secret is opened.

use bytes::Bytes;
use serde::Serialize;
use utoipa::ToSchema;

use crate::broker::caller::Caller;
use crate::broker::error::Error;
use crate::broker::parts::Broker;
use crate::id::{CredentialId, ProviderName};
use crate::vault::{CredentialMetadata, CredentialPage, VaultError};

/// One credential as everybody with `READ_INTEGRATIONS` may see it: never a secret.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct CredentialSummary {
    /// The id: a lower-case UUID.
    #[schema(value_type = String)]
    pub id: CredentialId,
    /// The provider's name.
    #[schema(value_type = String)]
    pub provider: ProviderName,
    /// `oauth2`, `api_key`, `user_password` or `host_scoped`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// What it is called.
    pub title: String,
    /// The granted scopes; for oauth2 alone.
    #[schema(required = true)]
    pub scopes: Option<Vec<String>>,
    /// The account's name at the provider; for oauth2 alone.
    #[schema(required = true)]
    pub username: Option<String>,
    /// The host pattern, as it was given; for host_scoped alone.
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
            host: summary.host.as_ref().map(ToString::to_string),
            is_managed: false,
        }
    }
}

/// A list, and where it goes on.
#[derive(Debug)]
pub struct CredentialList {
    /// The credentials as JSON: a list of [`CredentialSummary`], oldest first.
    pub json: Bytes,
    /// The last of these, where there are more behind it: what to give as `after`.
    pub next_after: Option<CredentialId>,
    /// The credentials that are damaged, and therefore not among these.
    pub damaged: Vec<VaultError>,
}

/// The id of a row, damaged or not.
fn id_of(row: &Result<&CredentialMetadata, VaultError>) -> Option<CredentialId> {
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
    /// One that does not go on, and of which nothing is damaged.
    fn whole(json: Bytes) -> Self {
        Self { json, next_after: None, damaged: Vec::new() }
    }
}

impl Broker {
    /// The user's credentials: all, or those of one provider; whole, or the `limit` that follow `after`.
    /// An unknown provider has none.
    pub fn list(&self, caller: &Caller, provider: Option<&str>, page: CredentialPage) -> Result<CredentialList, Error> {
        let provider = match provider.map(str::parse::<ProviderName>) {
            None => None,
            Some(Ok(name)) => Some(name),
            Some(Err(_)) => return Ok(CredentialList::whole(json(&[]).into())),
        };
        if page.is_whole() {
            let shown = self.0.vault.list_shown(&caller.user, provider.as_ref(), |all| {
                json(&all.map(CredentialSummary::from).collect::<Vec<_>>())
            });
            match shown {
                Err(error) if error.is_damage() => {}
                shown => return Ok(CredentialList::whole(shown?)),
            }
        }
        let one_more = CredentialPage { limit: page.limit.map(|limit| limit.saturating_add(1)), after: page.after };
        let mut left = page.limit.map_or(usize::MAX, |limit| limit as usize);
        let (mut sound, mut damaged, mut end, mut more) = (Vec::new(), Vec::new(), None, false);
        self.0.vault.list_each(&caller.user, provider.as_ref(), one_more, |row| {
            more |= left == 0;
            if left == 0 {
                return;
            }
            left -= 1;
            end = id_of(&row);
            match row {
                Ok(summary) => sound.push(CredentialSummary::from(summary)),
                Err(error) => damaged.push(error),
            }
        })?;
        Ok(CredentialList { json: json(&sound).into(), next_after: end.filter(|_| more), damaged })
    }

    /// The user's own credential of this id; somebody else's is as absent as one that never was.
    pub(in crate::broker) fn owned(&self, caller: &Caller, id: &str) -> Result<CredentialMetadata, Error> {
        let id: CredentialId = id.parse().map_err(|_| Error::CredentialNotFound)?;
        self.0.vault.credential(&caller.user, &id)?.ok_or(Error::CredentialNotFound)
    }
}
