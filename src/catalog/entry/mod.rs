//! The vocabulary of entries: every key that a provider's file can have, typed and checked while it
//! is read.
//!
//! A quirk that the vocabulary cannot express extends it for all providers. No code branches on a
//! provider's name.

mod base_url;
mod bound_host;
mod child_env;
mod client_auth;
mod grant;
mod identity;
pub mod input;
mod mcp;
mod oauth;
mod placement;
mod request;
mod revocation;
pub mod template;
mod token;
pub mod value;
pub mod values;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use base_url::BaseUrl;
pub use bound_host::BoundHost;
pub use child_env::{PlaceholderPattern, VariableTemplate};
pub use client_auth::{AssertionAudience, TokenAuth};
pub use grant::{AssertionScope, GrantType, JwtBearer};
pub use identity::Identity;
use input::InputFrom;
pub use mcp::Mcp;
pub use oauth::{OAuth, is_protected_param};
pub use placement::{ApiKeyPlacement, Place, UserPassword};
pub use request::{Body, Method};
pub use revocation::{RevocationEnds, Revoke, RevokeAuth, TokenKind};
pub use token::{AccessToken, AccessTokenPlace, ExpiryUnit, FurtherToken, Introspect, LongLived, Refresh, RefreshWith};
use value::Endpoint;

use crate::id::CredentialId;
use crate::kind::Kind;

/// The entry of one provider: its file in `providers/` or its section of the configuration.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// The name for people, as the provider writes it.
    pub display_name: String,
    /// The page of the provider's own documentation from which the entry was written.
    pub docs: Option<Endpoint>,
    /// The day on which the entry was last compared with that page: `2026-11-24`.
    pub checked: Option<String>,
    /// The category of the service: `developer-tools`, `ai`, `social`, …
    pub category: Option<String>,
    /// Facts that a user or an operator should know, one sentence or two each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// OAuth 2 of the provider.
    pub oauth: Option<OAuth>,
    /// The provider is an MCP server: the server itself describes its authorization.
    pub mcp: Option<Mcp>,
    /// The provider accepts API keys.
    pub api_key: Option<ApiKeyPlacement>,
    /// The provider accepts a user name and a password.
    pub user_password: Option<UserPassword>,
    /// Credentials of this provider are headers for a host that the user chooses.
    pub host_scoped: Option<HostScoped>,
    /// Further hosts to which the provider's credentials may be sent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<BoundHost>,
    /// Variables of the provider's SDKs and tools, which `strongroom run` sets: `{proxy}` stands for
    /// the URL of the path proxy in the place of the base URL, `{placeholder}` for a text of the shape
    /// of a secret.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, VariableTemplate>,
    /// The shape of the provider's secrets: a text, and the number of letters and digits in braces.
    /// Some tools check it.
    pub placeholder: Option<PlaceholderPattern>,
    /// GET requests can change something at the provider, so that the MCP tool `http_get` refuses them.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub get_writes: bool,
}

impl Entry {
    /// Returns true if the provider has credentials of this kind.
    pub fn takes(&self, kind: Kind) -> bool {
        match kind {
            Kind::OAuth2 => self.oauth.is_some() || self.mcp.is_some(),
            Kind::ApiKey => self.api_key.is_some(),
            Kind::UserPassword => self.user_password.is_some(),
            Kind::HostScoped => self.host_scoped.is_some(),
        }
    }

    /// Returns the text that stands for the secret of a credential in a command of `strongroom run`;
    /// `None` if the entry has no variables for a command.
    pub fn placeholder_of(&self, credential: &CredentialId) -> Option<String> {
        (!self.env.is_empty()).then(|| self.placeholder.clone().unwrap_or_default().fill(credential))
    }

    /// Returns the names of the values that a caller gives for the provider's URLs.
    pub fn caller_inputs(&self) -> Vec<&str> {
        let of_mcp = self.mcp.as_ref().filter(|mcp| mcp.server_url.is_none()).map(|_| Mcp::INPUT);
        let inputs = self.oauth.iter().flat_map(|oauth| &oauth.inputs);
        let of_caller = inputs.filter(|(_, input)| input.from == InputFrom::Caller);
        of_mcp
            .into_iter()
            .chain(of_caller.map(|(name, input)| input.member.as_ref().unwrap_or(name).as_str()))
            .collect()
    }

    /// Returns true if a user can connect an account by a login.
    pub fn has_login(&self) -> bool {
        let has_code = |oauth: &OAuth| oauth.grants.contains(&GrantType::AuthorizationCode);
        self.oauth.as_ref().is_some_and(has_code) || self.mcp.is_some()
    }
}

/// Credentials are headers for a host that the user chooses.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HostScoped {}
