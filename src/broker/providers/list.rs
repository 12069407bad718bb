//! Provider list, derived from the catalogue once.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::ops::Range;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use utoipa::ToSchema;

use crate::broker::clients::Clients;
use crate::catalog::entry::Mcp;
use crate::catalog::input::{Input, InputFrom};
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

/// Restricts the list of providers.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct ProviderFilter {
    /// Only configured ones, or only the others.
    pub configured: Option<bool>,
    /// Words that each occur in the name, the display name or the category.
    pub words: Vec<String>,
    /// Maximum number of providers.
    pub limit: Option<usize>,
    /// Only providers after the one with this name.
    pub after: Option<String>,
}

/// Providers as JSON.
#[derive(Clone)]
pub struct ProviderPage {
    /// A JSON array of [`ProviderInfo`], sorted by name.
    pub json: Bytes,
    /// The same, compressed; only of the whole list, which is compressed once.
    pub gzip: Option<Bytes>,
    /// Validator of the content (RFC 9110 §8.8.3).
    pub etag: String,
    /// Name of the last provider if more follow: the next value of `after`.
    pub next_after: Option<String>,
}

/// The whole list. It cannot change while the program runs, so it is written once.
pub(in crate::broker) struct ProviderList {
    rows: Vec<Row>,
    pub(super) whole: ProviderPage,
}

/// A provider in the list.
struct Row {
    name: String,
    /// Text in which words are looked up.
    about: String,
    configured: bool,
    /// Place of its JSON in the whole list.
    json: Range<usize>,
}

impl ProviderList {
    pub(super) fn of(catalog: &Catalog, clients: &Clients) -> Self {
        let (mut rows, mut json) = (Vec::new(), b"[".to_vec());
        catalog.read_each(|provider| {
            let info = info(provider, clients);
            if json.len() > 1 {
                json.push(b',');
            }
            let start = json.len();
            serde_json::to_writer(&mut json, &info).expect("texts, flags and lists can always be written");
            let about = [&info.name, &info.display_name, info.category.as_ref().unwrap_or(&info.name)];
            let about = about.map(|text| text.to_lowercase()).join(" ");
            rows.push(Row { name: info.name, about, configured: info.configured, json: start..json.len() });
        });
        json.push(b']');
        let mut gzip = GzEncoder::new(Vec::with_capacity(json.len() / 4), Compression::default());
        let gzip = gzip.write_all(&json).and_then(|()| gzip.finish()).expect("memory can always be written");
        let whole = ProviderPage { gzip: Some(gzip.into()), ..ProviderPage::of(json, None) };
        Self { rows, whole }
    }

    pub(super) fn select(&self, filter: &ProviderFilter) -> ProviderPage {
        let words: Vec<_> = filter.words.iter().map(|word| word.to_lowercase()).collect();
        let mut selected = self.rows.iter().filter(|row| {
            filter.configured.is_none_or(|configured| configured == row.configured)
                && words.iter().all(|word| row.about.contains(word))
                && filter.after.as_ref().is_none_or(|after| row.name > *after)
        });
        let (mut json, mut last) = (b"[".to_vec(), None);
        for row in selected.by_ref().take(filter.limit.unwrap_or(usize::MAX)) {
            if last.is_some() {
                json.push(b',');
            }
            json.extend_from_slice(&self.whole.json[row.json.clone()]);
            last = Some(row.name.clone());
        }
        json.push(b']');
        let more = selected.next().is_some();
        ProviderPage::of(json, last.filter(|_| more))
    }
}

impl ProviderPage {
    fn of(json: Vec<u8>, next_after: Option<String>) -> Self {
        let hash = URL_SAFE_NO_PAD.encode(&Sha256::digest(&json)[..16]);
        // Weak, because it stands for both encodings.
        Self { json: json.into(), gzip: None, etag: format!("W/\"{hash}\""), next_after }
    }
}

pub(super) fn info(provider: &Provider, clients: &Clients) -> ProviderInfo {
    let entry = &provider.entry;
    ProviderInfo {
        name: provider.name.to_string(),
        supports_oauth: entry.has_login(),
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
            (Some(oauth), _) => described(&oauth.inputs),
            (None, Some(mcp)) => inputs_of_mcp(mcp),
            (None, None) => Vec::new(),
        },
    }
}

/// Describes the inputs of a login at an MCP server: its URL, unless the entry fixes it.
pub(super) fn inputs_of_mcp(mcp: &Mcp) -> Vec<InputInfo> {
    let url =
        InputInfo { name: Mcp::INPUT.to_owned(), optional: false, pattern: None, example: Mcp::EXAMPLE.to_owned() };
    if mcp.server_url.is_none() { vec![url] } else { Vec::new() }
}

/// Describes the inputs that the caller gives.
pub(super) fn described(inputs: &BTreeMap<String, Input>) -> Vec<InputInfo> {
    let of_the_caller = inputs.iter().filter(|(_, input)| input.from == InputFrom::Caller);
    let described = of_the_caller.map(|(name, input)| InputInfo {
        name: name.clone(),
        optional: input.default.is_some(),
        pattern: input.pattern.as_ref().map(|pattern| pattern.as_str().to_owned()),
        example: input.example.clone(),
    });
    described.collect()
}
