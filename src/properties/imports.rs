//! Properties of import files and of our sealed export.

use crate::import::{self, Allowance, FernetKey, Item};
use crate::property::is_fit_to_be_shown;
use crate::secret::Secret;

/// Reads a file in each import format: texts about an item contain none of its secrets.
pub fn import_files(bytes: &[u8]) {
    let key = FernetKey::parse(&Secret::new("A".repeat(43))).unwrap_or_else(|_| panic!("32 bytes are a key"));
    let mut all = Allowance::default();
    let files = [import::nango(bytes, &mut all), import::n8n(bytes, &mut all), import::autogpt(bytes, &key, &mut all)];
    for file in files {
        match file {
            Ok(items) => items.iter().for_each(is_sound),
            Err(fault) => is_fit_to_be_shown(&fault.to_string()),
        }
    }
    import::autogpt_opened(bytes).iter().for_each(is_sound);
}

fn is_sound(item: &Item) {
    assert!(!item.origin.is_empty());
    for shown in [&item.id, &item.title, &item.own_name] {
        assert!(shown.chars().count() <= 200 && !shown.contains(char::is_control), "{shown:?}");
    }
    match &item.found {
        Err(why) => is_fit_to_be_shown(&why.to_string()),
        Ok(found) => {
            for secret in found.secrets() {
                assert_ne!(item.title, secret.expose());
                assert!(secret.expose().len() < 8 || !item.title.contains(secret.expose()), "{:?}", item.title);
            }
        }
    }
}

/// Opens a sealed export: nothing opens that was sealed without its passphrase, and records survive
/// writing and reading unchanged.
pub fn export_file(bytes: &[u8]) {
    crate::vault::export_holds(bytes);
}
