//! Provider list, derived from the catalogue once.

use bytes::Bytes;
use serde::Serialize;
use utoipa::ToSchema;

use crate::broker::clients::Clients;
use crate::broker::parts::Broker;
use crate::catalog::entry::{Mcp, OAuth};
use crate::catalog::input::InputFrom;
use crate::catalog::{Catalog, Provider};
use crate::kind::Kind;

/// A provider and what it accepts.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[expect(clippy::struct_excessive_bools, reason = "the contract's own fields")]
pub struct ProviderInfo {
    /// Name in the API, for example `github`.
    #[schema(value_type = String)]
    pub name: String,
    /// True if accounts can be connected by OAuth.
    pub supports_oauth: bool,
    /// True if an API key can be stored.
    pub supports_api_key: bool,
    /// True if a user name and a password can be stored.
    pub supports_user_password: bool,
    /// True if headers for a host can be stored.
    pub supports_host_scoped: bool,
    /// Scopes that are requested if a request names none.
    pub default_scopes: Vec<String>,
    /// Name for people, for example `GitHub`.
    pub display_name: String,
    /// Page of the provider's documentation.
    #[schema(required = true)]
    pub docs_url: Option<String>,
    /// True if the configuration has the client id, and the secret if one is needed. Always `true`
    /// for a provider without OAuth.
    pub configured: bool,
    /// Category, for example `developer-tools` or `crm`.
    #[schema(required = true)]
    pub category: Option<String>,
    /// Values that initiate takes as `inputs` for the provider's URLs.
    pub inputs: Vec<InputInfo>,
}

/// One value that initiate needs.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct InputInfo {
    /// Name in `inputs`.
    pub name: String,
    /// True if the entry has a default.
    pub optional: bool,
    /// Regular expression that the whole value matches.
    #[schema(required = true)]
    pub pattern: Option<String>,
    /// Example of a valid value.
    pub example: String,
}

impl Broker {
    /// Returns every provider, sorted by name, as a JSON array of [`ProviderInfo`]. It cannot
    /// change while the program runs, so it is written once.
    pub fn providers(&self) -> Bytes {
        self.0.providers.get_or_init(|| describe(&self.0.catalog, &self.0.clients)).clone()
    }
}

fn describe(catalog: &Catalog, clients: &Clients) -> Bytes {
    let mut described = Vec::new();
    catalog.read_each(|provider| described.push(info(provider, clients)));
    serde_json::to_vec(&described).expect("texts, flags and lists can always be written").into()
}

fn info(provider: &Provider, clients: &Clients) -> ProviderInfo {
    let entry = &provider.entry;
    ProviderInfo {
        name: provider.name.to_string(),
        supports_oauth: entry.takes(Kind::OAuth2),
        supports_api_key: entry.takes(Kind::ApiKey),
        supports_user_password: entry.takes(Kind::UserPassword),
        supports_host_scoped: entry.takes(Kind::HostScoped),
        default_scopes: match (&entry.oauth, &entry.mcp) {
            (Some(oauth), _) => oauth.scopes_for(&[]),
            (None, Some(mcp)) => mcp.default_scopes.clone(),
            (None, None) => Vec::new(),
        },
        display_name: entry.display_name.clone(),
        docs_url: entry.docs.as_ref().map(|docs| docs.url().to_string()),
        configured: entry.oauth.as_ref().is_none_or(|oauth| clients.is_configured(provider, oauth)),
        category: entry.category.clone(),
        inputs: match (&entry.oauth, &entry.mcp) {
            (Some(oauth), _) => inputs(oauth),
            (None, Some(mcp)) if mcp.server_url.is_none() => vec![InputInfo {
                name: Mcp::INPUT.to_owned(),
                optional: false,
                pattern: None,
                example: Mcp::EXAMPLE.to_owned(),
            }],
            (None, _) => Vec::new(),
        },
    }
}

fn inputs(oauth: &OAuth) -> Vec<InputInfo> {
    let of_the_caller = oauth.inputs.iter().filter(|(_, input)| input.from == InputFrom::Caller);
    let described = of_the_caller.map(|(name, input)| InputInfo {
        name: name.clone(),
        optional: input.default.is_some(),
        pattern: input.pattern.as_ref().map(|pattern| pattern.as_str().to_owned()),
        example: input.example.clone(),
    });
    described.collect()
}
