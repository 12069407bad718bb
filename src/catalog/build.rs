//! Parses and checks an entry: an embedded file with the configuration's changes over it.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Map, Value};

use super::check;
use super::entry::Entry;
use super::entry::template::DISCOVERED;
use crate::config::document::{join, upwards};
use crate::config::{Config, EntryPatch, Finding, Location};
use crate::id::ProviderName;
use crate::validation::{self, Format};

/// A provider: its name and its entry.
#[derive(Clone, Debug)]
pub struct Provider {
    /// The name in URLs, in the configuration and on the command line.
    pub name: ProviderName,
    /// Its entry, with the configuration's changes.
    pub entry: Entry,
}

/// Name, path and text of an embedded entry.
pub(super) type Embedded = (&'static str, &'static str, &'static str);

/// Reads an embedded entry.
pub(super) fn embedded(&(name, path, text): &Embedded) -> Provider {
    let name: ProviderName = name.parse().expect("a test reads every embedded entry");
    let entry = read(&name, Some((path, text)), None).expect("a test reads every embedded entry");
    Provider { name, entry }
}

/// Reads the entry of an embedded file (path and text) with a patch over it, or the entry that the
/// patch alone describes.
pub(super) fn read(
    name: &ProviderName,
    file: Option<(&str, &str)>,
    patch: Option<&EntryPatch>,
) -> Result<Entry, Vec<Finding>> {
    let mut file = match file {
        Some((origin, text)) => EntryPatch::parse(Path::new(origin), text).map_err(|fault| vec![fault])?,
        None => EntryPatch::default(),
    };
    if let Some(patch) = patch {
        merge(&mut file.values, &patch.values);
    }
    entry(file.values)
        .map_err(|faults| faults.into_iter().map(|fault| locate(&fault, name, &file.locations, patch)).collect())
}

/// Describes a name in `catalog.only` that the catalogue does not have.
pub(super) fn unknown_in_list(name: &ProviderName, config: &Config, known: &[Embedded]) -> Finding {
    let key = "catalog.only";
    let written = config.shown.iter().find(|shown| shown.key == key);
    let location = written.map_or(Location::Default, |shown| shown.location.clone());
    Finding::new(location, key, format!("the catalogue has no provider '{name}'{}", did_you_mean(name, known)))
}

fn did_you_mean(name: &ProviderName, known: &[Embedded]) -> String {
    let near = validation::nearest(name.as_str(), known.iter().map(|(name, ..)| *name));
    validation::did_you_mean(near)
}

/// Describes a patch that gives no entry and is for none.
pub(super) fn unknown(name: &ProviderName, patch: &EntryPatch, known: &[Embedded]) -> Finding {
    let meant = did_you_mean(name, known);
    let message = format!("the catalogue has no such provider, and nothing here describes one{meant}");
    Finding::new(patch.location(""), format!("providers.{name}"), message)
}

/// Reads and checks one entry, or returns every fault of it by key, without its location.
fn entry(mut values: Map<String, Value>) -> Result<Entry, Vec<Finding>> {
    leave_to_discovery(&mut values);
    let (entry, found) = validation::read::<Entry>(&Value::Object(values), Format::Toml);
    let mut faults: Vec<_> =
        found.iter().map(|fault| Finding::new(Location::Default, fault.key(), fault.message())).collect();
    if let Some(entry) = &entry {
        // A consequence of a value that could not be read is not a fault of its own.
        let follows = |key: &str| faults.iter().any(|fault: &Finding| fault.key.starts_with(key));
        let further: Vec<_> = check::check(entry).into_iter().filter(|fault| !follows(&fault.key)).collect();
        faults.extend(further);
    }
    match entry {
        Some(entry) if faults.is_empty() => Ok(entry),
        _ => Err(faults),
    }
}

/// Marks absent endpoints of an entry with an issuer as left to discovery.
fn leave_to_discovery(values: &mut Map<String, Value>) {
    let Some(Value::Object(oauth)) = values.get_mut("oauth") else { return };
    if oauth.contains_key("issuer") {
        for name in ["authorize_url", "token_url"] {
            oauth.entry(name).or_insert_with(|| DISCOVERED.into());
        }
    }
    if let Some(Value::Object(identity)) = oauth.get_mut("identity")
        && identity.get("from_id_token") == Some(&Value::Bool(true))
    {
        identity.entry("url").or_insert_with(|| DISCOVERED.into());
    }
}

/// Lays `over` over `values`, key by key; lists and single values are replaced as a whole.
fn merge(values: &mut Map<String, Value>, over: &Map<String, Value>) {
    for (key, value) in over {
        match (values.get_mut(key), value) {
            (Some(Value::Object(below)), Value::Object(above)) => merge(below, above),
            _ => drop(values.insert(key.clone(), value.clone())),
        }
    }
}

/// Finds the location of a fault: that of the longest part of its key that is in the patch or in
/// the embedded file.
fn locate(
    fault: &Finding,
    name: &ProviderName,
    file: &BTreeMap<String, Location>,
    patch: Option<&EntryPatch>,
) -> Finding {
    let key_in_settings = join(&format!("providers.{name}"), &fault.key);
    for key in upwards(&fault.key) {
        // The embedded file, if there is one, is the entry as a whole.
        let patched = patch.filter(|_| !key.is_empty() || file.is_empty());
        if let Some(location) = patched.and_then(|patch| patch.locations.get(key)) {
            return Finding::new(location.clone(), key_in_settings, fault.message.clone());
        }
        if let Some(location) = file.get(key) {
            return Finding { location: location.clone(), ..fault.clone() };
        }
    }
    Finding::new(Location::Default, key_in_settings, fault.message.clone())
}
