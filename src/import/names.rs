//! What other programs call the providers, as data: `names/nango.toml` and `names/n8n.toml`. What is not there goes by the same name.

use std::collections::BTreeMap;

use serde::Deserialize;

const NANGO: &str = include_str!("names/nango.toml");
const N8N: &str = include_str!("names/n8n.toml");

/// What n8n's types of credential are.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct N8nTable {
    /// The members in which a type that is not listed may have its one key.
    pub(crate) key_members: Vec<String>,
    /// The types that are called otherwise, or whose secrets are in other members.
    pub(crate) types: BTreeMap<String, N8nType>,
}

/// One type of n8n's.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct N8nType {
    /// The provider's name here.
    pub(crate) provider: String,
    /// What it is made of.
    pub(crate) made: Made,
    /// The members with its secrets, in their order.
    #[serde(default)]
    pub(crate) members: Vec<String>,
}

/// What a credential of n8n's is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Made {
    /// Tokens.
    #[serde(rename = "oauth2")]
    OAuth2,
    /// A key, in one part or several.
    ApiKey,
    /// A user name and a password.
    UserPassword,
    /// The name of a header, and its value.
    Header,
    /// A token that goes as bearer.
    Bearer,
    /// A user name and a password that go as HTTP Basic.
    Basic,
}

/// The table of n8n's types.
pub(crate) fn n8n_table() -> N8nTable {
    toml::from_str(N8N).expect("the table is part of the program, and a test reads it")
}

fn nango_table() -> BTreeMap<String, String> {
    toml::from_str(NANGO).expect("the table is part of the program, and a test reads it")
}

/// Every name of ours that a table has.
#[cfg(test)]
pub(crate) fn known_names() -> Vec<String> {
    let n8n = n8n_table().types.into_values().map(|one| one.provider);
    nango_table().into_values().chain(n8n).collect()
}

/// The names of a connection's provider, by what Nango calls it: each as the table has it, as it is, and in our spelling. The first
/// that is a provider here counts, so what somebody chose to call it comes after what it is.
pub(super) fn of_nango<'a>(own: impl Iterator<Item = &'a str>) -> Vec<String> {
    let table = nango_table();
    let readings = |name: &'a str| {
        let spelt = name.to_ascii_lowercase().replace('-', "_");
        table.get(name).cloned().into_iter().chain([name.to_owned(), spelt])
    };
    own.filter(|name| !name.is_empty()).flat_map(readings).collect()
}

/// The names of a type's provider: as the table has it, what the type's name says (`googleSheetsOAuth2Api`), and the type itself.
pub(super) fn of_n8n(kind: &str, table: &N8nTable) -> Vec<String> {
    let listed = table.types.get(kind).map(|known| known.provider.clone());
    let bare = ["OAuth2Api", "OAuth2", "TokenApi", "Api"].iter().find_map(|end| kind.strip_suffix(end)).unwrap_or(kind);
    let mut spelt = String::new();
    for c in bare.chars() {
        if c.is_ascii_uppercase() && !spelt.is_empty() {
            spelt.push('_');
        }
        spelt.push(c.to_ascii_lowercase());
    }
    let joined = spelt.replace('_', "");
    listed.into_iter().chain([spelt, joined, kind.to_owned()]).collect()
}
