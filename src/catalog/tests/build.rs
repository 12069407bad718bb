//! Building the catalogue: faulty entries, and the configuration's changes.

use std::path::Path;

use crate::catalog::{Catalog, Entry, build};
use crate::config::{ConfigErrors, EntryPatch, Location};
use crate::id::ProviderName;

/// An entry with a little of everything.
pub(super) const GOOD: &str = r#"display_name = "Acme"
docs = "https://acme.example/docs"
checked = "2026-11-24"
category = "developer-tools"

[oauth]
authorize_url = "https://acme.example/authorize?tenant=all"
token_url = "https://acme.example/token"
scope_separator = ","
default_scopes = ["read", "write"]

[oauth.authorize_params]
prompt = "consent"

[oauth.identity]
url = "https://acme.example/me"
username = "/name"

[oauth.revoke]
url = "https://acme.example/apps/{client_id}/revoke"

[api_key]
"#;

/// Reads an embedded file with this text and a patch over it.
fn read(text: &str, patch: Option<&EntryPatch>) -> Result<Entry, String> {
    build::read(&name("acme"), Some(("acme.toml", text)), patch).map_err(|mut faults| {
        faults.sort();
        ConfigErrors(faults).to_string()
    })
}

/// Returns the faults of an embedded file with this text, one per line.
pub(super) fn faults(text: &str) -> String {
    read(text, None).unwrap_err()
}

fn name(text: &str) -> ProviderName {
    text.parse().unwrap()
}

fn patch(text: &str) -> EntryPatch {
    EntryPatch::parse(Path::new("strongroom.toml"), text).unwrap()
}

/// The good entry with a patch over it.
fn patched(text: &str) -> Result<Entry, String> {
    read(GOOD, Some(&patch(text)))
}

#[test]
fn the_good_entry_has_no_faults() {
    assert!(read(GOOD, None).is_ok());
}

#[test]
fn entry_without_a_kind_is_a_fault() {
    assert!(faults("display_name = \"Acme\"\n").starts_with("acme.toml:1: the provider takes no credential"));
}

#[test]
fn all_faults_are_reported_in_the_order_of_lines() {
    let bad =
        "[oauth]\npkce = 1\nscopes = []\n[oauth.identity]\nusername = \"name\"\n[oauth.revoke]\nbody = \"none\"\n";
    let keys = |found: &str| -> Vec<String> {
        found.lines().map(|line| line.rsplit_once(": ").unwrap().0.to_owned()).collect()
    };
    let (name, patch) = (name("other"), patch("display_name = \"\"\n\n[oauth]\npkce = 0\n"));
    let added = Catalog::build([(&name, &patch)]).map(|_| ()).unwrap_err().to_string();
    assert_eq!(
        keys(&faults(bad)),
        [
            "acme.toml:1: display_name",
            "acme.toml:1: oauth.authorize_url",
            "acme.toml:1: oauth.token_url",
            "acme.toml:2: oauth.pkce",
            "acme.toml:3: oauth.scopes",
            "acme.toml:4: oauth.identity.url",
            "acme.toml:5: oauth.identity.username",
            "acme.toml:6: oauth.revoke.url",
            "acme.toml:7: oauth.revoke.body",
        ]
    );
    assert_eq!(
        keys(&added),
        [
            "strongroom.toml:1: providers.other.display_name",
            "strongroom.toml:3: providers.other.oauth.authorize_url",
            "strongroom.toml:3: providers.other.oauth.token_url",
            "strongroom.toml:4: providers.other.oauth.pkce",
        ]
    );
}

#[test]
fn a_patch_changes_only_its_keys() {
    let entry = patched(
        "display_name = \"Ours\"\n[oauth]\ndefault_scopes = [\"all\"]\nauthorize_params = { tenant = \"t\" }\n",
    )
    .unwrap();
    let oauth = entry.oauth.as_ref().unwrap();
    assert_eq!(entry.display_name, "Ours");
    assert_eq!(oauth.default_scopes, ["all"]);
    assert_eq!(oauth.scope_separator.as_str(), ",");
    assert_eq!(oauth.token_url.as_str(), "https://acme.example/token");
    let params: Vec<_> = oauth.authorize_params.iter().map(|(name, value)| format!("{name}={value}")).collect();
    assert_eq!(params, ["prompt=consent", "tenant=t"]);
}

#[test]
fn a_fault_of_a_patch_has_the_line_of_the_patch() {
    let found = patched("[oauth]\n\ntoken_url = \"x\"\n[oauth.identity]\nusrname = \"/x\"\n").unwrap_err();
    let found: Vec<_> = found.lines().collect();
    assert!(found[0].starts_with("strongroom.toml:3: providers.acme.oauth.token_url: not a URL"), "{found:?}");
    assert_eq!(
        found[1],
        "strongroom.toml:5: providers.acme.oauth.identity.usrname: unknown key; did you mean 'username'?"
    );
    assert_eq!(found.len(), 2);
}

#[test]
fn a_fault_of_a_variable_names_the_variable() {
    let mut patch = patch("oauth.pkce = \"maybe\"\n");
    patch.locations =
        [("oauth.pkce".to_owned(), Location::Variable("STRONGROOM_PROVIDERS__ACME__OAUTH__PKCE".to_owned()))].into();
    let found = read(GOOD, Some(&patch)).unwrap_err();
    let expected = "environment variable STRONGROOM_PROVIDERS__ACME__OAUTH__PKCE: providers.acme.oauth.pkce: ";
    assert!(found.starts_with(expected), "{found}");
}

#[test]
fn the_configuration_can_add_a_provider() {
    let (own, patch) = (name("own"), patch(GOOD));
    let catalog = Catalog::build([(&own, &patch)]).unwrap();
    assert_eq!(catalog.get("own").unwrap().entry.display_name, "Acme");
    assert!(catalog.get("smtp").is_some() && catalog.get("nobody").is_none() && catalog.get("../own").is_none());
    assert!(catalog.iter().map(|provider| &provider.name).is_sorted());
}

#[test]
fn an_unknown_provider_names_the_nearest_one() {
    let name = name("htpp");
    let patch = EntryPatch { locations: patch("").locations, ..EntryPatch::default() };
    let found = Catalog::build([(&name, &patch)]).map(|_| ()).unwrap_err().to_string();
    assert_eq!(
        found,
        "strongroom.toml:1: providers.htpp: the catalogue has no such provider, and nothing here describes one; did you mean 'http'?"
    );
}

#[test]
fn client_settings_alone_change_nothing() {
    let name = name("github");
    let catalog = Catalog::build([(&name, &EntryPatch::default())]).unwrap();
    assert_eq!(catalog.get("github").unwrap().entry.display_name, "GitHub");
}

#[test]
fn the_documentation_names_every_key() {
    let docs = include_str!("../../../docs/providers.md");
    let sections = [
        "",
        "oauth",
        "oauth.identity",
        "oauth.revoke",
        "oauth.refresh",
        "oauth.long_lived",
        "oauth.introspect",
        "oauth.access_token",
        "oauth.inputs.x",
        "oauth.further_tokens.x",
        "api_key",
        "user_password",
    ];
    for section in sections {
        let table = if section.is_empty() { String::new() } else { format!("[{section}]\n") };
        let found = faults(&format!("{table}zzzz = 1\n"));
        let keys = found.lines().find_map(|line| line.split_once("zzzz: unknown key; the known ones are "));
        for key in keys.unwrap_or_else(|| panic!("{found}")).1.split(", ") {
            let named = [format!("`{key}`"), format!("[{}]", crate::config::document::join(section, key))];
            assert!(named.iter().any(|name| docs.contains(name)), "{section}: {key}");
        }
    }
}
