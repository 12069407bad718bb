//! Metadata of a credential: everything that lists show.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::clock::UnixTime;
use crate::id::{CredentialId, ProviderName, UserId};
use crate::kind::Kind;

use super::refresh_state::RefreshState;
use crate::policy::HostPattern;
use crate::vault::crypto::fields::{Field, FieldWriter, Fields, as_json, fields};
use crate::vault::revocations::queue::RevokedCredential;
use crate::vault::secrets::credential_secret::CredentialSecret;

/// A credential without its secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CredentialMetadata {
    /// The id.
    pub id: CredentialId,
    /// The user.
    pub user: UserId,
    /// The provider.
    pub provider: ProviderName,
    /// The kind.
    pub kind: Kind,
    /// The title.
    pub title: String,
    /// The granted scopes; OAuth 2 only.
    pub scopes: Option<Vec<String>>,
    /// The account's name at the provider; OAuth 2 only.
    pub username: Option<String>,
    /// The host to which the secret may be sent; host-scoped only.
    pub host: Option<HostPattern>,
    /// URL of the MCP server that the tokens are for; OAuth 2 only.
    pub server: Option<String>,
    /// The values that the provider's base URL depends on; for API keys, and for user names and
    /// passwords. Those of OAuth 2 are kept with the tokens.
    pub inputs: Option<BTreeMap<String, String>>,
    /// The account's unchangeable id at the provider (its subject); OAuth 2 only.
    pub account: Option<String>,
    /// The OAuth client of the login; OAuth 2 only.
    pub client_id: Option<String>,
    /// Time of creation.
    pub created_at: UnixTime,
    /// Time of the last change of title or secret.
    pub updated_at: UnixTime,
    /// Expiry of the access token or the key, if known.
    pub expires_at: Option<UnixTime>,
    /// Time at which the secret was last returned or used.
    pub last_used_at: Option<UnixTime>,
    /// The status.
    pub status: CredentialStatus,
    /// The state of the refreshes; OAuth 2 only.
    pub refreshing: RefreshState,
    /// The source of an import, by which a second import of the same credential is detected.
    pub origin: Option<String>,
    /// The credential with the first token of the same login; OAuth 2 only.
    pub beside: Option<AdditionalToken>,
    /// Permission to give the secret out.
    pub exportable: Exportable,
}

/// Permission to give the secret of a credential out. It can be withdrawn, and never granted again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exportable(pub bool);

/// Stored only if the permission is withdrawn. Records that are older than the field have it.
impl Field for Exportable {
    fn put(&self, tag: u8, to: &mut FieldWriter) {
        (!self.0).then_some(false).put(tag, to);
    }

    fn get(tag: u8, from: &Fields<'_>) -> Option<Self> {
        Option::<bool>::get(tag, from).map(|stored| Self(stored.unwrap_or(true)))
    }
}

/// Marks an additional token of a login.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdditionalToken {
    /// The credential with the first token; it may be deleted.
    pub of: CredentialId,
    /// The entry's name for this token.
    pub name: String,
}

fields! {
    CredentialMetadata {
        1 id,
        2 user,
        3 provider,
        4 kind,
        5 title,
        6 scopes,
        7 username,
        8 host,
        9 account,
        10 client_id,
        11 created_at,
        12 updated_at,
        13 expires_at,
        14 last_used_at,
        15 status,
        16 refreshing,
        17 origin,
        18 beside,
        19 server,
        20 inputs,
        21 exportable,
    }
}

fields! {
    AdditionalToken {
        1 of,
        2 name,
    }
}

as_json!(CredentialStatus);

impl CredentialMetadata {
    /// The part that a queued revocation of its tokens keeps.
    pub(crate) fn revoked(&self) -> RevokedCredential<'_> {
        let Self { id, user, provider, client_id, .. } = self;
        RevokedCredential { id: *id, user, provider, client_id: client_id.as_ref() }
    }

    /// Returns true if it may have a usable refresh token.
    pub(crate) fn may_have_refresh_token(&self) -> bool {
        self.kind == Kind::OAuth2 && self.status == CredentialStatus::Active && self.refreshing.possible != Some(false)
    }

    /// Returns the status at `now` as lists show it: `active`, `needs_reauth` or `expired`. An
    /// expired access token that cannot be refreshed needs the user, like one that the provider
    /// refuses.
    pub fn status_at(&self, now: UnixTime) -> &'static str {
        let has_ended = self.expires_at.is_some_and(|ends| ends <= now);
        match (self.status, self.kind) {
            (CredentialStatus::Active, Kind::OAuth2) if has_ended && self.refreshing.possible == Some(false) => {
                CredentialStatus::NeedsReauth.name()
            }
            (CredentialStatus::Active, kind) if has_ended && kind != Kind::OAuth2 => "expired",
            (status, _) => status.name(),
        }
    }
}

/// The status of a credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CredentialStatus {
    /// It can be used.
    Active,
    /// The provider refuses the refresh token; the user has to connect the account again.
    NeedsReauth,
}

impl CredentialStatus {
    /// Returns the word in the vault and in the API.
    pub fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::NeedsReauth => "needs_reauth",
        }
    }
}

/// A new credential, or the new content of a reconnected one.
#[derive(Clone)]
pub struct NewCredential {
    /// The user.
    pub user: UserId,
    /// The provider.
    pub provider: ProviderName,
    /// The title; may be empty.
    pub title: String,
    /// The secret; its kind is the credential's.
    pub material: CredentialSecret,
    /// The granted scopes; OAuth 2 only.
    pub scopes: Option<Vec<String>>,
    /// The account's name at the provider; OAuth 2 only.
    pub username: Option<String>,
    /// URL of the MCP server that the tokens are for; OAuth 2 only.
    pub server: Option<String>,
    /// The values that the provider's base URL depends on; for API keys, and for user names and
    /// passwords.
    pub inputs: Option<BTreeMap<String, String>>,
    /// The account's unchangeable id at the provider; OAuth 2 only.
    pub account: Option<String>,
    /// The OAuth client of the login; OAuth 2 only.
    pub client_id: Option<String>,
    /// Expiry of the access token or the key, if known.
    pub expires_at: Option<UnixTime>,
    /// Time of the background's next refresh; OAuth 2 only.
    pub refresh_at: Option<UnixTime>,
    /// Permission to give the secret out.
    pub exportable: Exportable,
}

impl NewCredential {
    /// A credential without data beside its secret.
    pub fn plain(user: UserId, provider: ProviderName, title: impl Into<String>, material: CredentialSecret) -> Self {
        Self {
            user,
            provider,
            title: title.into(),
            material,
            scopes: None,
            username: None,
            server: None,
            inputs: None,
            account: None,
            client_id: None,
            expires_at: None,
            refresh_at: None,
            exportable: Exportable(true),
        }
    }
}

/// A page of a list. The default is the whole list.
#[derive(Clone, Copy, Debug, Default)]
pub struct CredentialPage {
    /// Maximum number of credentials.
    pub limit: Option<u32>,
    /// Only credentials after this id, even if that credential no longer exists.
    pub after: Option<CredentialId>,
}
