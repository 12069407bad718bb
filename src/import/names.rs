//! Provider names of other programs: `names/nango.toml` and `names/n8n.toml`. A name that is not
//! listed is the same as here.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Deserialize;

const NANGO: &str = include_str!("names/nango.toml");
const N8N: &str = include_str!("names/n8n.toml");

/// Credential types of n8n.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct N8nTable {
    /// Members that may hold the only key of an unlisted type.
    pub(crate) key_members: Vec<String>,
    /// Types with another name or with secrets in other members.
    pub(crate) types: BTreeMap<String, N8nType>,
}

/// One credential type of n8n.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct N8nType {
    /// The provider's name here.
    pub(crate) provider: String,
    /// The kind of its secrets.
    pub(crate) made: Made,
    /// The members with its secrets, in order.
    #[serde(default)]
    pub(crate) members: Vec<String>,
}

/// Kinds of secrets in n8n.
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
    /// The name and the value of a header.
    Header,
    /// A bearer token.
    Bearer,
    /// A user name and a password for HTTP Basic.
    Basic,
}

/// Returns the table of n8n's types.
pub(crate) fn n8n_table() -> N8nTable {
    toml::from_str(N8N).expect("the table is part of the program, and a test reads it")
}

fn nango_table() -> &'static BTreeMap<String, String> {
    static TABLE: LazyLock<BTreeMap<String, String>> =
        LazyLock::new(|| toml::from_str(NANGO).expect("the table is part of the program, and a test reads it"));
    &TABLE
}

/// Returns all provider names of the tables.
#[cfg(test)]
pub(crate) fn known_names() -> Vec<String> {
    let n8n = n8n_table().types.into_values().map(|one| one.provider);
    nango_table().values().cloned().chain(n8n).collect()
}

/// Returns possible provider names for a Nango connection: for each name the table's, the name
/// itself, and the name in our spelling. The first that exists is used, so the provider's type
/// comes before the user's own name.
pub(super) fn of_nango<'a>(own: impl Iterator<Item = &'a str>) -> Vec<String> {
    let table = nango_table();
    let readings = |name: &'a str| {
        let spelt = name.to_ascii_lowercase().replace('-', "_");
        table.get(name).cloned().into_iter().chain([name.to_owned(), spelt])
    };
    own.filter(|name| !name.is_empty()).flat_map(readings).collect()
}

/// Returns possible provider names for an n8n type: the table's, the name inside the type's name
/// (`googleSheetsOAuth2Api`), and the type itself.
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
