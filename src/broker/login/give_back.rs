//! Revocation of tokens that are not stored.

use super::connectable::Connectable;
use crate::broker::parts::Broker;
use crate::oauth::{self, RevocableTokens};
use crate::secret::Secret;

impl Broker {
    /// Revokes tokens that no credential was made from.
    pub(in crate::broker) async fn give_back(
        &self,
        connectable: &Connectable<'_>,
        access_token: &Secret,
        refresh_token: Option<&Secret>,
    ) {
        let Some(how) = &connectable.oauth.revoke else { return };
        let tokens = RevocableTokens { access_token: Some(access_token), refresh_token };
        let revoked = oauth::revoke(&connectable.egress, how, &connectable.oauth, &connectable.client, &tokens).await;
        if let Err(error) = revoked {
            tracing::warn!(provider = %connectable.provider.name, %error, "cannot revoke tokens that are not stored");
        }
    }
}
