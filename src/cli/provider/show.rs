//! `strongroom provider list` and `show`.

use crate::broker::Installation;
use crate::cli::failure::Failure;
use crate::cli::output::Output;
use crate::visible::printable;

/// Lists the providers that match each of the words.
pub(in crate::cli) fn list(
    installation: &Installation,
    words: &[String],
    json: bool,
    out: &mut Output,
) -> Result<(), Failure> {
    let found = installation.providers(words);
    if found.is_empty() && !json {
        if let [word] = words {
            installation.provider(word)?;
        }
        return Err(Failure::new("no provider has all of these words in its name, display name or category"));
    }
    out.list(json, &found, ["NAME", "PROVIDER", "KINDS", "CONFIGURED"], |row| {
        let configured = if row.configured { "yes" } else { "no" };
        [row.name.to_string(), row.display_name.clone(), row.kinds.join(", "), configured.to_owned()]
    })
}

/// Shows one entry.
pub(in crate::cli) fn show(
    installation: &Installation,
    name: &str,
    json: bool,
    out: &mut Output,
) -> Result<(), Failure> {
    let provider = installation.provider(name)?;
    let unwritable = |error: toml::ser::Error| Failure::new(format!("cannot write the entry as TOML: {error}"));
    if json {
        // As TOML, an entry has no empty members.
        let mut entry = toml::Table::try_from(&provider.entry).map_err(unwritable)?;
        entry.insert("name".to_owned(), provider.name.as_str().into());
        let inputs = installation.inputs_of_mcp(provider);
        if !inputs.is_empty() {
            entry.insert("inputs".to_owned(), toml::Value::try_from(inputs).map_err(unwritable)?);
        }
        return out.json(&entry);
    }
    out.line(format!("# {}", provider.name))?;
    out.line(match installation.missing(provider) {
        None => "# configured: yes".to_owned(),
        Some(what) => format!("# configured: no; {what}"),
    })?;
    for input in installation.inputs_of_mcp(provider) {
        out.line(format!("# input: {}, for example {}", input.name, input.example))?;
    }
    out.raw(printable(&toml::to_string(&provider.entry).map_err(unwritable)?))
}
