//! One provider in detail: what an application or a user needs to connect an account there.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;

use super::list::{InputInfo, ProviderInfo, described, info};
use super::lookup::{kinds, missing};
use super::placement::Placement;
use crate::broker::error::Error;
use crate::broker::parts::Broker;
use crate::catalog::entry::template::Template;
use crate::catalog::entry::{ApiKeyPlacement, GrantType, Mcp, OAuth, Place, UserPassword};
use crate::catalog::value::Endpoint;

/// One provider: the fields of the list, and how its credentials are obtained and sent.
#[derive(Debug, Serialize, ToSchema)]
pub struct ProviderDetail {
    #[serde(flatten)]
    info: ProviderInfo,
    /// Kinds of credentials: `oauth2`, `api_key`, `user_password`, `host_scoped`.
    #[schema(value_type = Vec<String>)]
    kinds: Vec<&'static str>,
    /// OAuth at the provider, if it has it.
    #[schema(required = true)]
    oauth: Option<OAuthDetail>,
    /// API keys, if the provider accepts them.
    #[schema(required = true)]
    api_key: Option<SecretDetail>,
    /// User names and passwords, if the provider accepts them.
    #[schema(required = true)]
    user_password: Option<SecretDetail>,
    /// Facts that a user or an operator should know.
    notes: Vec<String>,
}

/// OAuth at one provider.
#[derive(Debug, Serialize, ToSchema)]
struct OAuthDetail {
    /// Types of credentials that can be made: `oauth2` by a login, `client_credentials` and
    /// `service_account` by a create request.
    #[schema(value_type = Vec<String>)]
    grants: Vec<&'static str>,
    /// True if the provider has the device flow (RFC 8628).
    device_flow: bool,
    /// Page on which an OAuth client is registered, if known; otherwise see `docs_url`.
    #[schema(required = true)]
    register_url: Option<String>,
    /// Settings that the operator still has to set. `null` if the provider is configured.
    #[schema(required = true)]
    missing: Option<String>,
    /// Base URL of the API, to which the access token is sent; it may have inputs in braces.
    #[schema(required = true)]
    api_base_url: Option<String>,
    /// Same as `api_base_url`.
    #[schema(required = true)]
    base_url: Option<String>,
    /// Part of a request that carries the access token: `header` or `query`.
    #[serde(rename = "in")]
    #[schema(value_type = String)]
    place: Option<&'static str>,
    /// Name of the header or the query parameter.
    #[schema(value_type = String)]
    name: Option<String>,
    /// Text before the access token, for example `Bearer `.
    #[schema(required = true)]
    prefix: Option<String>,
    /// Type of the access token in `Authorization`, usually `Bearer`.
    token_type: String,
    /// True if Strongroom can revoke a token there. `null` if it depends on the MCP server.
    #[schema(required = true)]
    revocation: Option<bool>,
}

/// A secret that a user enters, and its place in a request.
#[derive(Debug, Default, Serialize, ToSchema)]
struct SecretDetail {
    /// Page on which a user finds or creates it.
    #[schema(required = true)]
    docs_url: Option<String>,
    /// Part of a request that carries it: `header`, `query`, `basic`, `path` or `body`.
    #[serde(rename = "in")]
    #[schema(value_type = Option<String>, required = true)]
    place: Option<Place>,
    /// Name of the header, the query parameter or the member.
    #[schema(required = true)]
    name: Option<String>,
    /// Text before the secret, for example `Bearer `.
    #[schema(required = true)]
    prefix: Option<String>,
    /// Names of the parts, if the secret consists of several. They are joined by colons.
    secrets: Vec<String>,
    /// Further headers of every request.
    headers: BTreeMap<String, String>,
    /// Base URL of the API; it may have inputs in braces.
    #[schema(required = true)]
    base_url: Option<String>,
    /// Values that the base URL depends on.
    inputs: Vec<InputInfo>,
}

impl Broker {
    /// Describes one provider.
    pub fn provider_detail(&self, name: &str) -> Result<ProviderDetail, Error> {
        let provider = self.0.catalog.get(name).ok_or_else(|| self.unknown_provider(name))?;
        let entry = &provider.entry;
        let missing = missing(&self.0.config, provider);
        Ok(ProviderDetail {
            info: info(provider, &self.0.clients),
            kinds: kinds(provider),
            oauth: match (&entry.oauth, &entry.mcp) {
                (Some(oauth), _) => Some(OAuthDetail::of(oauth, missing)),
                (None, mcp) => mcp.as_ref().map(OAuthDetail::of_mcp),
            },
            api_key: entry.api_key.as_ref().map(SecretDetail::of_key),
            user_password: entry.user_password.as_ref().map(SecretDetail::of_password),
            notes: entry.notes.clone(),
        })
    }
}

impl OAuthDetail {
    fn of(oauth: &OAuth, missing: Option<String>) -> Self {
        let token_type = oauth.token_type.clone().unwrap_or_else(|| "Bearer".to_owned());
        let Placement { place, name, prefix } = Placement::of_token(Some(oauth), &token_type);
        Self {
            grants: oauth.grants.iter().map(|grant| grant.credential_type()).collect(),
            device_flow: oauth.device_authorization_url.is_some(),
            register_url: shown(oauth.register.as_ref()),
            missing,
            api_base_url: written(oauth.api_base_url.as_ref()),
            base_url: written(oauth.api_base_url.as_ref()),
            place,
            name,
            prefix,
            token_type,
            revocation: Some(oauth.revoke.is_some()),
        }
    }

    /// Describes an MCP server, whose OAuth is discovered at each login. Strongroom registers itself
    /// there.
    fn of_mcp(mcp: &Mcp) -> Self {
        let server = mcp.server_url.as_ref().map(|server| server.url().to_string());
        let Placement { place, name, prefix } = Placement::of_token(None, "Bearer");
        Self {
            grants: vec![GrantType::AuthorizationCode.credential_type()],
            device_flow: false,
            register_url: None,
            missing: None,
            api_base_url: server.clone(),
            base_url: server,
            place,
            name,
            prefix,
            token_type: "Bearer".to_owned(),
            revocation: None,
        }
    }
}

impl SecretDetail {
    fn of_key(key: &ApiKeyPlacement) -> Self {
        Self {
            docs_url: shown(key.docs.as_ref()),
            place: key.place,
            name: key.name.clone(),
            prefix: key.prefix.clone(),
            secrets: key.secrets.clone(),
            headers: key.headers.clone(),
            base_url: written(key.base_url.as_ref()),
            inputs: described(&key.inputs),
        }
    }

    fn of_password(password: &UserPassword) -> Self {
        Self {
            docs_url: shown(password.docs.as_ref()),
            place: password.base_url.as_ref().map(|_| Place::Basic),
            headers: password.headers.clone(),
            base_url: written(password.base_url.as_ref()),
            inputs: described(&password.inputs),
            ..Self::default()
        }
    }
}

fn shown(page: Option<&Endpoint>) -> Option<String> {
    page.map(|page| page.url().to_string())
}

fn written(url: Option<&Template>) -> Option<String> {
    url.map(|url| url.as_str().to_owned())
}
