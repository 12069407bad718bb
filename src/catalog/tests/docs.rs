//! The list of all providers in `docs/providers.md` is made from the entries. To regenerate it:
//! `UPDATE_DOCS=1 cargo test --lib every_provider_is_listed_in_the_documentation`

use std::fmt::Write as _;
use std::path::Path;

use crate::catalog::{Catalog, Entry};
use crate::kind::Kind;

const BEGIN: &str = "<!-- The list of all providers is generated; do not edit it here. -->\n";
const END: &str = "<!-- The end of the list. -->\n";

fn list(catalog: &Catalog) -> String {
    let mut text = format!(
        "\n{} providers.\n\n| name | provider | category | takes | documentation | checked |\n",
        catalog.iter().len()
    );
    text.push_str("|---|---|---|---|---|---|\n");
    for provider in catalog.iter() {
        let Entry { display_name, category, docs, checked, .. } = &provider.entry;
        let kinds: Vec<_> = Kind::ALL.into_iter().filter(|kind| provider.entry.takes(*kind)).map(Kind::name).collect();
        let docs = docs.as_ref().map(|docs| {
            let url = docs.url();
            format!("[{}]({url})", url.host_str().unwrap_or_default())
        });
        let day = checked.clone().unwrap_or_default();
        writeln!(
            text,
            "| `{}` | {display_name} | {} | {} | {} | {day} |",
            provider.name,
            category.as_deref().unwrap_or_default(),
            kinds.join(", "),
            docs.unwrap_or_default(),
        )
        .unwrap();
    }
    text.push('\n');
    text
}

#[test]
#[expect(clippy::disallowed_methods, reason = "a test is told by its environment to write the file")]
fn every_provider_is_listed_in_the_documentation() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/providers.md");
    let docs = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = docs.split_once(BEGIN).expect("the list begins somewhere");
    let (there, after) = rest.split_once(END).expect("the list ends somewhere");
    let made = list(&Catalog::build([]).unwrap_or_else(|faults| panic!("{faults}")));
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(path, format!("{before}{BEGIN}{made}{END}{after}")).unwrap();
    } else if there != made {
        let line = there.lines().zip(made.lines()).find(|(there, made)| there != made);
        panic!(
            "docs/providers.md does not list what there is, first at {line:?}; make it anew with\n\
                UPDATE_DOCS=1 cargo test --lib every_provider_is_listed_in_the_documentation"
        );
    }
}
