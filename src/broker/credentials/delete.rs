//! Delete: erases the credential first, then revokes it at the provider and reports the outcome.

use serde::Serialize;
use utoipa::ToSchema;

use crate::broker::caller::Caller;
use crate::broker::error::Error;
use crate::broker::parts::Broker;
use crate::catalog::Provider;
use crate::catalog::entry::RevocationEnds;
use crate::id::{CredentialId, ProviderName, UserId};
use crate::kind::Kind;
use crate::vault::{AuditContext, CredentialMetadata, RevocationScope};

/// Outcome of a deletion.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = DeleteCredentialResponse)]
pub struct DeleteResponse {
    /// Always `true`.
    pub deleted: bool,
    /// Id of the deleted credential.
    #[schema(value_type = String)]
    pub credentials_id: CredentialId,
    /// `true`: the provider confirmed the revocation. `false`: the provider refused or was
    /// unreachable, and Strongroom will retry. `null`: there was nothing to revoke, or another
    /// credential uses the same grant.
    #[schema(required = true)]
    pub revoked: Option<bool>,
}

impl Broker {
    /// Deletes the user's credential. It disappears with the first commit. Its sealed tokens stay
    /// in the revocation queue until the provider confirms (RFC 7009 §2.2) or `vault.revoke_retry`
    /// is over.
    pub async fn delete(&self, caller: &Caller, provider: &str, id: &str) -> Result<DeleteResponse, Error> {
        let summary = self.owned_at(caller, provider, id)?;
        let revocation = self.revocation_of(&summary).await;
        let retry_for = self.0.config.vault.revoke_retry;
        let deleted =
            self.0.vault.credentials().delete(&caller.user, &summary.id, revocation, retry_for, &caller.who).await?;
        let deleted = deleted.ok_or(Error::CredentialNotFound)?;
        let revoked = match deleted.revocation {
            Some(queued) if Self::has_no_revocation(&queued) => {
                self.0.vault.revocations().finish(&queued.id, &caller.who).await?;
                None
            }
            Some(queued) => Some(Box::pin(self.revoke(queued, &caller.who)).await),
            None => None,
        };
        Ok(DeleteResponse { deleted: true, credentials_id: deleted.summary.id, revoked })
    }

    /// Returns true if [`Self::delete`] may send a request to the provider.
    pub fn delete_sends(&self, caller: &Caller, provider: &str, id: &str) -> bool {
        let oauth = self.0.catalog.get(provider).and_then(|provider| provider.entry.oauth.as_ref());
        oauth.is_some_and(|oauth| oauth.revoke.is_some() || oauth.discovers())
            && self.owned_at(caller, provider, id).is_ok_and(|summary| summary.kind == Kind::OAuth2)
    }

    /// Deletes a credential of one user or of any, for the local operator.
    pub async fn delete_for_operator(&self, user: Option<UserId>, id: CredentialId) -> Result<DeleteResponse, Error> {
        for user in self.admin(AuditContext::command_line()).one_or_all_users(user)? {
            if let Some(found) = self.0.vault.credentials().get(&user, &id)? {
                let caller = Caller::command_line(user);
                return self.delete(&caller, found.provider.as_str(), &id.to_string()).await;
            }
        }
        Err(Error::CredentialNotFound)
    }

    /// Returns how the provider revokes this credential.
    pub(in crate::broker) async fn revocation_of(&self, summary: &CredentialMetadata) -> RevocationScope {
        if summary.kind == Kind::OAuth2 { self.revocation_at(&summary.provider).await } else { RevocationScope::Never }
    }

    /// Returns how the provider, or its server's metadata, revokes a grant.
    pub(in crate::broker) async fn revocation_at(&self, provider: &ProviderName) -> RevocationScope {
        if let Some(provider) = self.0.catalog.get(provider.as_str())
            && provider.entry.mcp.is_none()
            && provider.entry.oauth.as_ref().is_some_and(|oauth| oauth.discovers() && oauth.revoke.is_none())
        {
            // If discovery fails now, it runs again when the queued revocation is sent.
            let discovered = Box::pin(self.connectable(provider.name.as_str())).await;
            let ends = discovered.map_or(Some(RevocationEnds::default()), |connectable| {
                connectable.oauth.revoke.as_ref().map(|revoke| revoke.ends)
            });
            return self.scope(provider, ends);
        }
        self.revocation_before_discovery(provider)
    }

    /// Returns the same without a request. A server whose metadata are not known yet is assumed to
    /// revoke grants.
    pub(in crate::broker) fn revocation_before_discovery(&self, provider: &ProviderName) -> RevocationScope {
        let Some(provider) = self.0.catalog.get(provider.as_str()) else { return RevocationScope::Never };
        if provider.entry.mcp.is_some() {
            // Each MCP server's tokens stand alone. The sealed values say if it has a revocation
            // endpoint.
            return RevocationScope::Token;
        }
        let ends = provider.entry.oauth.as_ref().and_then(|oauth| match &oauth.revoke {
            Some(revoke) => Some(revoke.ends),
            None => oauth.discovers().then(RevocationEnds::default),
        });
        self.scope(provider, ends)
    }

    fn scope(&self, provider: &Provider, ends: Option<RevocationEnds>) -> RevocationScope {
        match ends {
            None => RevocationScope::Never,
            Some(RevocationEnds::Token) => RevocationScope::Token,
            Some(RevocationEnds::Grant) => {
                RevocationScope::UnlessShared(self.0.catalog.of_the_same_server(provider).to_vec())
            }
        }
    }
}
