//! Additional tokens in a login's token response, for example Slack's user token: one credential
//! each.

use serde::Serialize;
use utoipa::ToSchema;

use super::connectable::Connectable;
use crate::broker::credentials::list::{CHUNK, id_of};
use crate::broker::error::Error;
use crate::broker::parts::Broker;
use crate::id::{CredentialId, ProviderName, UserId};
use crate::oauth::{self, Account, Grant};
use crate::vault::{CredentialMetadata, CredentialPage, KeyLimits};

/// A credential stored beside the first one.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct FurtherCredential {
    /// Name of the token in the provider's entry, for example `user`.
    pub name: String,
    /// Id of the credential. It is listed, read, refreshed and deleted like any other.
    #[schema(value_type = String)]
    pub credentials_id: CredentialId,
    /// Title.
    pub title: String,
    /// Granted scopes.
    pub scopes: Vec<String>,
    /// Name of the account at the provider; `null` if unknown.
    #[schema(required = true)]
    pub username: Option<String>,
    /// Requested scopes that were not granted; absent if there are none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub missing_scopes: Vec<String>,
}

impl FurtherCredential {
    pub(in crate::broker) fn of(summary: CredentialMetadata, missing_scopes: Vec<String>) -> Self {
        Self {
            name: summary.beside.map(|beside| beside.name).unwrap_or_default(),
            credentials_id: summary.id,
            title: summary.title,
            scopes: summary.scopes.unwrap_or_default(),
            username: summary.username,
            missing_scopes,
        }
    }
}

/// An additional grant with the identity of its account.
pub(in crate::broker) struct Further {
    pub(in crate::broker) name: String,
    pub(in crate::broker) title: String,
    pub(in crate::broker) grant: Grant,
    pub(in crate::broker) identity: Account,
}

impl Broker {
    /// Returns the user's credentials of one login: the one with the first token, and those beside
    /// it. Which these are is sealed, so all of the provider's are opened, in chunks between which
    /// other requests of this thread go on. A damaged credential is left out.
    pub(in crate::broker) async fn of_one_login(
        &self,
        user: &UserId,
        provider: &ProviderName,
        first: CredentialId,
    ) -> Result<Vec<CredentialMetadata>, Error> {
        let unlimited = KeyLimits::default();
        let (mut found, mut after, mut turn) = (Vec::new(), None, None);
        loop {
            let page = CredentialPage { limit: Some(CHUNK), after };
            let rows = self.0.vault.credentials().list_each(user, &unlimited, Some(provider), page)?;
            let is_last = rows.len() < CHUNK as usize;
            let last = rows.last().and_then(id_of);
            let of_login = |one: &CredentialMetadata| {
                one.id == first || one.beside.as_ref().is_some_and(|beside| beside.of == first)
            };
            found.extend(rows.into_iter().filter_map(Result::ok).filter(of_login));
            if is_last || last.is_none() {
                return Ok(found);
            }
            after = last;
            if turn.is_none() {
                turn = Some(self.0.long_lists.take(user.clone()).await.ok_or(Error::TooManyLists)?);
            }
            tokio::task::yield_now().await;
        }
    }

    /// Takes the additional grants out of the first one and looks up each account. A failed lookup
    /// is not an error. Each keeps the values that the provider's URLs need.
    pub(in crate::broker) async fn further(&self, connectable: &Connectable<'_>, first: &mut Grant) -> Vec<Further> {
        let mut found = Vec::new();
        for (name, grant) in first.take_further() {
            let told = grant.identity.clone().unwrap_or_default();
            let asked = self.whose_further(connectable, &grant).await.without_tokens(first.tokens());
            let identity = told.or(asked);
            let title = connectable.title_for(&identity);
            found.push(Further { name, title, grant, identity });
        }
        found
    }

    async fn whose_further(&self, connectable: &Connectable<'_>, grant: &Grant) -> Account {
        let Ok(entry) = connectable.oauth.for_credential(&grant.metadata) else { return Account::default() };
        match oauth::identify(&connectable.egress, &entry, &connectable.client, grant).await {
            Ok(identity) => identity,
            Err(error) => {
                tracing::warn!(provider = %connectable.provider.name, %error, "cannot look up the account of an additional token");
                Account::default()
            }
        }
    }
}
