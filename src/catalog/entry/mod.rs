//! The vocabulary: everything that a provider's file can say, typed and checked while it is read.
//!
//! A quirk that this cannot say extends the vocabulary for all providers; no code anywhere branches on a name.

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

use serde::{Deserialize, Serialize};

pub use client_auth::{AssertionAudience, TokenAuth};
pub use grant::{AssertionScope, GrantType, JwtBearer};
pub use identity::Identity;
pub use mcp::Mcp;
pub use oauth::{OAuth, is_protected_param};
pub use placement::{ApiKey, Place, UserPassword};
pub use request::{Body, Method};
pub use revocation::{RevocationEnds, Revoke, RevokeAuth, TokenKind};
pub use token::{AccessToken, AccessTokenPlace, ExpiryUnit, FurtherToken, Introspect, LongLived, Refresh, RefreshWith};
use value::{Date, Endpoint};

use crate::kind::Kind;

/// One provider: what its file in `providers/` or its section of the configuration says.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// The name for people, as the provider writes it.
    pub display_name: String,
    /// The page of the provider's own documentation from which the entry was written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub docs: Option<Endpoint>,
    /// The day on which the entry was last held against that page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checked: Option<Date>,
    /// What kind of service it is: `developer-tools`, `ai`, `social`, …
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub category: Option<String>,
    /// How to connect an account by OAuth 2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oauth: Option<OAuth>,
    /// That the provider is an MCP server, which is asked how an account is connected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mcp: Option<Mcp>,
    /// That the provider takes API keys.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_key: Option<ApiKey>,
    /// That the provider takes a user name and a password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_password: Option<UserPassword>,
    /// That headers for a host of the user's choice are kept under this name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host_scoped: Option<HostScoped>,
}

impl Entry {
    /// Whether credentials of this kind can be kept for the provider.
    pub fn takes(&self, kind: Kind) -> bool {
        match kind {
            Kind::OAuth2 => self.oauth.is_some() || self.mcp.is_some(),
            Kind::ApiKey => self.api_key.is_some(),
            Kind::UserPassword => self.user_password.is_some(),
            Kind::HostScoped => self.host_scoped.is_some(),
        }
    }
}

/// That headers are kept for a host of the user's choice.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HostScoped {}
