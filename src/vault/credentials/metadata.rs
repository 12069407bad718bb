//! The public half of a credential: what lists show.

use crate::clock::UnixTime;
use crate::id::{CredentialId, ProviderName, UserId};
use crate::kind::Kind;

use super::refresh_state::RefreshState;
use crate::vault::host_pattern::HostPattern;
use crate::vault::revocations::queue::RevokedCredential;
use crate::vault::secrets::credential_secret::CredentialSecret;

/// A credential without its secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CredentialMetadata {
    /// Its id.
    pub id: CredentialId,
    /// Whose it is.
    pub user: UserId,
    /// For which provider.
    pub provider: ProviderName,
    /// Of which kind.
    pub kind: Kind,
    /// What people call it.
    pub title: String,
    /// What was granted; OAuth 2 only.
    pub scopes: Option<Vec<String>>,
    /// The account's name at the provider; OAuth 2 only.
    pub username: Option<String>,
    /// Where it may be sent; host-scoped only.
    pub host: Option<HostPattern>,
    /// The account's unchangeable id at the provider (its subject); OAuth 2 only.
    pub account: Option<String>,
    /// The OAuth client through which it was connected; OAuth 2 only.
    pub client_id: Option<String>,
    /// When it was stored.
    pub created_at: UnixTime,
    /// When its title or its secret last changed.
    pub updated_at: UnixTime,
    /// When the access token or the key ends, where that is known.
    pub expires_at: Option<UnixTime>,
    /// When its secret was last handed out or used.
    pub last_used_at: Option<UnixTime>,
    /// Whether it can be used.
    pub status: CredentialStatus,
    /// How its refreshing stands; OAuth 2 only.
    pub refreshing: RefreshState,
    /// Where it was imported from, so that it is known when the same comes again.
    pub origin: Option<String>,
    /// With which other one it came out of one login; OAuth 2 only.
    pub beside: Option<AdditionalToken>,
}

/// Of a further token of a login: which credential has the first one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdditionalToken {
    /// The credential with the first token; it may be gone.
    pub of: CredentialId,
    /// What the entry calls this token.
    pub name: String,
}

impl CredentialMetadata {
    /// The part that a queued revocation of its tokens keeps.
    pub(in crate::vault) fn revoked(&self) -> RevokedCredential<'_> {
        let Self { id, user, provider, client_id, .. } = self;
        RevokedCredential { id: *id, user, provider, client_id: client_id.as_ref() }
    }

    /// Whether there is a refresh token, as far as is known, and it can still be used.
    pub(in crate::vault) fn may_have_refresh_token(&self) -> bool {
        self.kind == Kind::OAuth2 && self.status == CredentialStatus::Active && self.refreshing.possible != Some(false)
    }

    /// Whether it can be used at `now`: an access token that has ended, and that nothing can refresh, needs its user as much
    /// as one that the provider refuses.
    pub fn status_at(&self, now: UnixTime) -> CredentialStatus {
        let has_ended = self.kind == Kind::OAuth2 && self.expires_at.is_some_and(|ends| ends <= now);
        if has_ended && self.refreshing.possible == Some(false) { CredentialStatus::NeedsReauth } else { self.status }
    }
}

/// Whether a credential can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CredentialStatus {
    /// It can.
    Active,
    /// The provider does not take its refresh token any more: the user has to connect the account again.
    NeedsReauth,
}

impl CredentialStatus {
    /// The word that stands in the API and in the vault.
    pub fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::NeedsReauth => "needs_reauth",
        }
    }

    /// The status of that name.
    pub(in crate::vault) fn from_name(name: &str) -> Option<Self> {
        [Self::Active, Self::NeedsReauth].into_iter().find(|status| status.name() == name)
    }
}

/// What a credential is to be; for a reconnected one, what it is to become.
#[derive(Clone)]
pub struct NewCredential {
    /// Whose it is.
    pub user: UserId,
    /// For which provider.
    pub provider: ProviderName,
    /// What people call it; may be empty.
    pub title: String,
    /// The secret; its kind is the credential's.
    pub material: CredentialSecret,
    /// What was granted; OAuth 2 only.
    pub scopes: Option<Vec<String>>,
    /// The account's name at the provider; OAuth 2 only.
    pub username: Option<String>,
    /// The account's unchangeable id at the provider; OAuth 2 only.
    pub account: Option<String>,
    /// The OAuth client through which it was connected; OAuth 2 only.
    pub client_id: Option<String>,
    /// When the access token or the key ends, where that is known.
    pub expires_at: Option<UnixTime>,
    /// When the background looks at it, to refresh it; OAuth 2 only.
    pub refresh_at: Option<UnixTime>,
}

impl NewCredential {
    /// One of which nothing is known but its secret.
    pub fn plain(user: UserId, provider: ProviderName, title: impl Into<String>, material: CredentialSecret) -> Self {
        Self {
            user,
            provider,
            title: title.into(),
            material,
            scopes: None,
            username: None,
            account: None,
            client_id: None,
            expires_at: None,
            refresh_at: None,
        }
    }
}

/// Which part of a list is wanted. The default is all of it.
#[derive(Clone, Copy, Debug, Default)]
pub struct CredentialPage {
    /// At most so many.
    pub limit: Option<u32>,
    /// Only those that come after this one, whether or not it still exists.
    pub after: Option<CredentialId>,
}

impl CredentialPage {
    /// Whether all is wanted.
    pub fn is_whole(&self) -> bool {
        self.limit.is_none() && self.after.is_none()
    }
}
