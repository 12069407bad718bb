//! `strongroom provider list` and `show`.

use serde_json::{Map, Value};

use crate::broker::Installation;
use crate::cli::failure::Failure;
use crate::cli::output::Output;

/// Lists the providers that match each of the words.
pub(in crate::cli) fn list(
    installation: &Installation,
    words: &[String],
    json: bool,
    out: &mut Output,
) -> Result<(), Failure> {
    out.list(json, &installation.providers(words), ["NAME", "PROVIDER", "KINDS", "CONFIGURED"], |row| {
        let configured = if row.configured { "yes" } else { "no" };
        [row.name.to_string(), row.display_name.clone(), row.kinds.join(", "), configured.to_owned()]
    })
}

/// Removes the keys that the entry does not have.
fn remove_nulls(value: &mut Value) {
    if let Value::Object(members) = value {
        members.retain(|_, member| !member.is_null());
        members.values_mut().for_each(remove_nulls);
    }
}

/// Shows one entry.
pub(in crate::cli) fn show(
    installation: &Installation,
    name: &str,
    json: bool,
    out: &mut Output,
) -> Result<(), Failure> {
    let provider = installation.provider(name)?;
    if json {
        let mut whole = Map::from_iter([("name".to_owned(), Value::from(provider.name.as_str()))]);
        if let Ok(mut entry) = serde_json::to_value(&provider.entry) {
            remove_nulls(&mut entry);
            whole.extend(entry.as_object().cloned().unwrap_or_default());
        }
        return out.json(&whole);
    }
    out.line(format!("# {}", provider.name))?;
    out.line(match installation.missing(provider) {
        None => "# configured: yes".to_owned(),
        Some(what) => format!("# configured: no; {what}"),
    })?;
    let text = toml::to_string(&provider.entry)
        .map_err(|error| Failure::new(format!("cannot write the entry as TOML: {error}")))?;
    out.raw(text)
}
