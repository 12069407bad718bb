//! The shape of the source: sizes of folders, functions and the whole program, and names that have two meanings.

use std::collections::BTreeMap;
use std::path::Path;

use syn::spanned::Spanned as _;
use syn::visit::{self, Visit};
use syn::{Item, Visibility};

use crate::source::{files, is_test_only, program, repeated, root};

/// Files of Rust source in one folder.
const MAX_FILES_IN_FOLDER: usize = 18;
const MAX_FUNCTION_LINES: usize = 75;
/// Lines of `src/` that are neither blank nor comments nor tests. The goal is 31,500.
const MAX_CODE_LINES: usize = 49_800;

/// Names that several modules define on purpose, with the reason.
const ALLOWED_TYPES: &[(&str, &str)] = &[];

#[test]
fn folders_are_small() {
    let mut folders: BTreeMap<String, usize> = BTreeMap::new();
    for file in ["src", "tests", "benches", "fuzz/fuzz_targets"].into_iter().flat_map(|folder| files(folder, "rs")) {
        let folder = Path::new(&file).parent().unwrap().to_str().unwrap();
        *folders.entry(folder.to_owned()).or_default() += 1;
    }
    let large: Vec<_> = folders.iter().filter(|(_, files)| **files > MAX_FILES_IN_FOLDER).collect();
    assert!(large.is_empty(), "folders with more than {MAX_FILES_IN_FOLDER} files: {large:?}");
}

#[test]
fn functions_are_short() {
    struct Functions<'s>(&'s str, Vec<String>);

    impl Functions<'_> {
        fn check(&mut self, signature: &syn::Signature, block: &syn::Block) {
            let lines = block.span().end().line + 1 - signature.span().start().line;
            if lines > MAX_FUNCTION_LINES {
                self.1.push(format!("{}: {} has {lines} lines", self.0, signature.ident));
            }
        }
    }

    impl<'ast> Visit<'ast> for Functions<'_> {
        fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
            self.check(&item.sig, &item.block);
            visit::visit_item_fn(self, item);
        }

        fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
            self.check(&item.sig, &item.block);
            visit::visit_impl_item_fn(self, item);
        }
    }

    let mut long = Vec::new();
    let mut check = |path: &str, syntax: &syn::File| {
        let mut functions = Functions(path, Vec::new());
        functions.visit_file(syntax);
        long.append(&mut functions.1);
    };
    for source in &program() {
        check(&source.path, &source.syntax);
    }
    for file in ["tests", "benches"].into_iter().flat_map(|folder| files(folder, "rs")) {
        let text = std::fs::read_to_string(root().join(&file)).unwrap();
        check(&file, &syn::parse_file(&text).unwrap());
    }
    assert!(long.is_empty(), "functions of more than {MAX_FUNCTION_LINES} lines:\n{}", long.join("\n"));
}

#[test]
fn program_is_small() {
    let program = program();
    let mut folders: BTreeMap<&str, usize> = BTreeMap::new();
    for source in &program {
        *folders.entry(source.path.split('/').nth(1).unwrap()).or_default() += source.code_lines();
    }
    let total: usize = folders.values().sum();
    println!("code lines: {total} {folders:?}");
    assert!(total <= MAX_CODE_LINES, "src has {total} lines of code, at most {MAX_CODE_LINES} allowed: {folders:?}");
}

#[test]
fn type_names_have_one_meaning() {
    struct Types(Vec<String>);

    impl<'ast> Visit<'ast> for Types {
        fn visit_item(&mut self, item: &'ast Item) {
            let (visibility, name, attributes) = match item {
                Item::Enum(item) => (&item.vis, &item.ident, &item.attrs),
                Item::Struct(item) => (&item.vis, &item.ident, &item.attrs),
                Item::Trait(item) => (&item.vis, &item.ident, &item.attrs),
                Item::Type(item) => (&item.vis, &item.ident, &item.attrs),
                _ => return visit::visit_item(self, item),
            };
            if !matches!(visibility, Visibility::Inherited) && !is_test_only(attributes) {
                self.0.push(name.to_string());
            }
        }

        fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
            if !is_test_only(&item.attrs) {
                visit::visit_item_mod(self, item);
            }
        }
    }

    let program = program();
    let mut pairs = Vec::new();
    for source in &program {
        let mut types = Types(Vec::new());
        types.visit_file(&source.syntax);
        pairs.extend(types.0.into_iter().map(|name| (name, source.path.clone())));
    }
    let mut repeated = repeated(pairs);
    for (name, reason) in ALLOWED_TYPES {
        assert!(!reason.is_empty() && repeated.remove(*name).is_some(), "{name} is allowed but not repeated");
    }
    let list: Vec<_> = repeated.iter().map(|(name, files)| format!("{name}: {files:?}")).collect();
    assert!(list.is_empty(), "names with several definitions:\n{}", list.join("\n"));
}
