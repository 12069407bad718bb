//! What the tests of this module share.

use crate::catalog::entry::OAuth;

/// A provider of the default kind, with `further` lines of its entry.
pub(super) fn entry(further: &str) -> OAuth {
    let standard = r#"
        authorize_url = "https://provider.example/authorize"
        token_url = "https://provider.example/token"
    "#;
    toml::from_str(&format!("{standard}\n{further}")).expect("the entry of a test is a good one")
}
