//! Keys that nobody reads: each is a fault that names the nearest known one.

use toml::{Table, Value};

use super::document::Document;
use super::fault::{Finding, Place};
use super::table::{is_section, nearest, setting};

/// The unknown keys of one layer, and sections that are written as values.
pub(super) fn unknown_keys(layer: &Document) -> Vec<Finding> {
    let mut faults = Vec::new();
    look(&layer.table, "", layer, &mut faults);
    faults
}

fn look(table: &Table, parent: &str, layer: &Document, faults: &mut Vec<Finding>) {
    for (name, value) in table {
        let key = if parent.is_empty() { name.clone() } else { format!("{parent}.{name}") };
        let mut fault = |message: String| {
            faults.push(Finding::new(place(layer, &key), key.clone(), message));
        };
        match value {
            _ if setting(&key).is_some() => {}
            Value::Table(inner) if is_section(&key) => look(inner, &key, layer, faults),
            _ if is_section(&key) => fault(format!("this is a section; write [{key}] and its settings below")),
            // What a provider's entry may say is the catalogue's to check, but for a mistyped setting of ours.
            _ if parent.starts_with("providers.") && !resembles_ours(name) => {}
            _ => fault(format!("unknown key; the nearest known one is {}", nearest(&key))),
        }
    }
}

fn place(layer: &Document, key: &str) -> Place {
    let within = |written: &&String| written.starts_with(key);
    layer
        .places
        .get(key)
        .or_else(|| layer.places.keys().find(within).map(|k| &layer.places[k]))
        .cloned()
        .unwrap_or(Place::Default)
}

fn resembles_ours(name: &str) -> bool {
    ["client_id", "client_secret", "client_secrets", "client_key", "client_key_id"]
        .iter()
        .any(|ours| strsim::damerau_levenshtein(name, ours) <= 2)
}
