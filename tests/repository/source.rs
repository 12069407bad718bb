//! The Rust source in `src/`, parsed: files, modules, and which of them are tests.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use syn::spanned::Spanned as _;
use syn::visit::{self, Visit};
use syn::{Attribute, Item, ItemMod};

pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// A file of `src/` that is part of the program.
pub struct Source {
    /// From the root of the repository: `src/vault/mod.rs`.
    pub path: String,
    /// The module that it defines: `["vault"]`; of `src/lib.rs` none.
    pub module: Vec<String>,
    pub text: String,
    /// Without what is compiled for tests only.
    pub syntax: syn::File,
    /// Lines that are compiled for tests only, counted from 1.
    test_lines: BTreeSet<usize>,
}

impl Source {
    /// Lines that are neither blank nor comments nor compiled for tests only.
    pub fn code_lines(&self) -> usize {
        let code = |(number, line): &(usize, &str)| {
            let line = line.trim();
            !line.is_empty() && !line.starts_with("//") && !self.test_lines.contains(&(number + 1))
        };
        self.text.lines().enumerate().filter(code).count()
    }
}

/// The files with this extension below a folder of the repository, sorted.
pub fn files(folder: &str, extension: &str) -> Vec<String> {
    let (mut found, mut folders) = (Vec::new(), vec![root().join(folder)]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() && !path.ends_with("node_modules") && !path.ends_with("target") {
                folders.push(path);
            } else if path.extension().is_some_and(|found| found == extension) {
                found.push(path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned());
            }
        }
    }
    found.sort();
    found
}

/// All files of the program. Files that only tests reach are left out.
pub fn program() -> Vec<Source> {
    let parse = |path: String| {
        let text = std::fs::read_to_string(root().join(&path)).unwrap();
        let syntax = syn::parse_file(&text).unwrap_or_else(|error| panic!("{path}: {error}"));
        Source { module: module(&path), path, text, syntax, test_lines: BTreeSet::new() }
    };
    let mut sources: Vec<Source> = files("src", "rs").into_iter().map(parse).collect();
    let mut tests = BTreeSet::new();
    for source in &mut sources {
        let mut found = TestItems::default();
        found.visit_file(&source.syntax);
        tests.extend(found.modules.into_iter().map(|found| match found {
            TestModule::Child(name) => [&source.module[..], &[name]].concat(),
            TestModule::At(path) => module(Path::new(&source.path).with_file_name(path).to_str().unwrap()),
        }));
        source.test_lines = found.lines;
        source.syntax.items.retain(|item| !attributes(item).is_some_and(is_test_only));
    }
    sources.retain(|source| !(1..=source.module.len()).any(|n| tests.contains(&source.module[..n])));
    assert!(sources.len() > 100, "{}", sources.len());
    sources
}

fn module(path: &str) -> Vec<String> {
    let path = Path::new(path).strip_prefix("src").unwrap().with_extension("");
    let mut names: Vec<String> = path.iter().map(|name| name.to_str().unwrap().to_owned()).collect();
    if names.last().is_some_and(|name| name == "mod" || name == "lib") {
        names.pop();
    }
    names
}

/// A module that only tests compile.
enum TestModule {
    Child(String),
    /// With `#[path]`: a file beside the one that names it.
    At(String),
}

/// The modules and the lines that only tests compile.
#[derive(Default)]
struct TestItems {
    modules: Vec<TestModule>,
    lines: BTreeSet<usize>,
}

impl<'ast> Visit<'ast> for TestItems {
    fn visit_item(&mut self, item: &'ast Item) {
        if !attributes(item).is_some_and(is_test_only) {
            return visit::visit_item(self, item);
        }
        self.lines.extend(item.span().start().line..=item.span().end().line);
        if let Item::Mod(ItemMod { ident, attrs, .. }) = item {
            let path = attrs.iter().find_map(|attribute| match &attribute.meta {
                syn::Meta::NameValue(pair) if pair.path.is_ident("path") => Some(&pair.value),
                _ => None,
            });
            self.modules.push(match path {
                Some(syn::Expr::Lit(syn::ExprLit { lit: syn::Lit::Str(path), .. })) => TestModule::At(path.value()),
                _ => TestModule::Child(ident.to_string()),
            });
        }
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        if is_test_only(&item.attrs) {
            self.lines.extend(item.span().start().line..=item.span().end().line);
        }
    }
}

/// True if the attributes hold `#[cfg(test)]`, or `#[cfg(any(test, fuzzing))]` as the properties have it.
pub fn is_test_only(attributes: &[Attribute]) -> bool {
    let cfg = |attribute: &Attribute| {
        let syn::Meta::List(list) = &attribute.meta else { return false };
        let condition = list.tokens.to_string();
        list.path.is_ident("cfg") && (condition == "test" || condition.starts_with("any (test"))
    };
    attributes.iter().any(cfg)
}

fn attributes(item: &Item) -> Option<&[Attribute]> {
    Some(match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => return None,
    })
}

/// The items that occur under more than one key, with all their keys.
pub fn repeated<K: Ord, V: Ord>(pairs: impl IntoIterator<Item = (K, V)>) -> BTreeMap<K, BTreeSet<V>> {
    let mut all: BTreeMap<K, BTreeSet<V>> = BTreeMap::new();
    for (key, value) in pairs {
        all.entry(key).or_default().insert(value);
    }
    all.retain(|_, values| values.len() > 1);
    all
}
