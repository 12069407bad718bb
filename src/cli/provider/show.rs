//! `strongroom provider list` and `show`.

use crate::cli::provider::lookup::kinds;
use crate::cli::provider::lookup::missing;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::catalog::{Catalog, Entry as Described, Provider as Entry};
use crate::cli::failure::Failure;
use crate::cli::output::Output;
use crate::config::Config;

#[derive(Serialize)]
struct ProviderRow {
    name: String,
    display_name: String,
    kinds: Vec<&'static str>,
    configured: bool,
    category: Option<String>,
    docs: Option<String>,
}

/// Lists the providers that match each of the words.
pub(in crate::cli) fn list(
    config: &Config,
    catalog: &Catalog,
    words: &[String],
    json: bool,
    out: &mut Output,
) -> Result<(), Failure> {
    let listed = catalog.iter().filter(|provider| is_about(provider, words)).map(|provider| ProviderRow {
        name: provider.name.to_string(),
        display_name: provider.entry.display_name.clone(),
        kinds: kinds(provider),
        configured: missing(config, provider).is_none(),
        category: provider.entry.category.clone(),
        docs: provider.entry.docs.as_ref().map(|docs| docs.url().to_string()),
    });
    if json {
        return out.json(&listed.collect::<Vec<_>>());
    }
    let rows: Vec<_> = listed
        .map(|one| {
            let configured = if one.configured { "yes" } else { "no" };
            [one.name, one.display_name, one.kinds.join(", "), configured.to_owned()]
        })
        .collect();
    out.columns(["NAME", "PROVIDER", "KINDS", "CONFIGURED"], &rows)
}

/// Returns true if each word occurs in the provider's name, display name or category, in any case.
fn is_about(provider: &Entry, words: &[String]) -> bool {
    let Described { display_name, category, .. } = &provider.entry;
    let text = format!("{}\n{display_name}\n{}", provider.name, category.as_deref().unwrap_or("")).to_lowercase();
    words.iter().all(|word| text.contains(&word.to_lowercase()))
}

/// Shows one entry.
pub(in crate::cli) fn show(config: &Config, provider: &Entry, json: bool, out: &mut Output) -> Result<(), Failure> {
    if json {
        let mut whole = Map::from_iter([("name".to_owned(), Value::from(provider.name.as_str()))]);
        if let Ok(Value::Object(entry)) = serde_json::to_value(&provider.entry) {
            whole.extend(entry);
        }
        return out.json(&whole);
    }
    out.line(format!("# {}", provider.name))?;
    out.line(match missing(config, provider) {
        None => "# configured: yes".to_owned(),
        Some(what) => format!("# configured: no; {what}"),
    })?;
    let text = toml::to_string(&provider.entry)
        .map_err(|error| Failure::new(format!("cannot write the entry as TOML: {error}")))?;
    out.raw(text)
}
