//! Further tokens that come with a login's answer: whose they are, and what the application is told of their credentials.

use serde::Serialize;
use utoipa::ToSchema;

use super::connectable::Connectable;
use crate::broker::parts::Broker;
use crate::id::CredentialId;
use crate::oauth::{self, Grant, Identity};
use crate::vault::CredentialMetadata;

/// A credential that came beside the first one.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct FurtherCredential {
    /// What the provider's entry calls the token: `user`.
    pub name: String,
    /// The credential's id: it is listed, handed out, refreshed and deleted like any other.
    #[schema(value_type = String)]
    pub credentials_id: CredentialId,
    /// What the credential is called.
    pub title: String,
    /// The scopes that were granted.
    pub scopes: Vec<String>,
    /// The account's name at the provider; `null` where it could not be learnt.
    #[schema(required = true)]
    pub username: Option<String>,
    /// The scopes that were asked for and not granted; absent where there are none.
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

/// A further grant, and whose it is.
pub(in crate::broker) struct Further {
    pub(in crate::broker) name: String,
    pub(in crate::broker) title: String,
    pub(in crate::broker) grant: Grant,
    pub(in crate::broker) identity: Identity,
}

impl Broker {
    /// Takes the further grants out of the first one and asks of each whose it is, which may fail without harm. What is kept
    /// of callback and answer for the provider's URLs is kept with each.
    pub(in crate::broker) async fn further(&self, connectable: &Connectable<'_>, first: &mut Grant) -> Vec<Further> {
        let mut found = Vec::new();
        for (name, mut grant) in std::mem::take(&mut first.further) {
            let mut metadata = first.metadata.clone();
            metadata.append(&mut grant.metadata);
            grant.metadata = metadata;
            let told = grant.identity.clone().unwrap_or_default();
            let asked = self.whose_further(connectable, &grant).await.without_tokens(first.tokens());
            let identity = told.or(asked);
            let title = identity.title.clone().or_else(|| identity.username.clone());
            let title = title.unwrap_or_else(|| connectable.title.clone());
            found.push(Further { name, title, grant, identity });
        }
        found
    }

    async fn whose_further(&self, connectable: &Connectable<'_>, grant: &Grant) -> Identity {
        let Ok(entry) = connectable.oauth.for_credential(&grant.metadata) else { return Identity::default() };
        match oauth::identify(&self.0.egress, &entry, &connectable.client, grant).await {
            Ok(identity) => identity,
            Err(error) => {
                tracing::warn!(provider = %connectable.provider.name, %error, "the account of a further token could not be asked who it is");
                Identity::default()
            }
        }
    }
}
