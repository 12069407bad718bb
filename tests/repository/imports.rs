//! Imports between the files of the program: no circles, and every arrow follows the layers of ARCHITECTURE.md.
//!
//! A path is followed through `mod.rs` and its re-exports to the file that defines its item. A re-export alone (`pub use`)
//! does not make the re-exporting file depend on the other.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use proc_macro2::{TokenStream, TokenTree};
use syn::visit::{self, Visit};
use syn::{Item, UseTree, Visibility};

use crate::source::{Source, is_test_only, program};

/// The top-level modules, the highest layer first. A module imports from lower layers only; a module that is not
/// listed is a leaf and imports from other leaves only.
const LAYERS: &[&[&str]] = &[
    &["main"],
    &["cli"],
    &["http"],
    &["mcp"],
    &["proxy"],
    &["broker"],
    &["oauth", "sandbox"],
    &["catalog"],
    &["config", "vault"],
    &["store", "egress"],
];

/// Modules that command line and HTTP API reach only through the use cases of the broker.
const BEHIND_THE_BROKER: [&str; 4] = ["vault", "store", "oauth", "catalog"];

type Path = Vec<String>;

/// A module: a file, or a `mod` block in one.
#[derive(Default)]
struct Module {
    file: String,
    items: BTreeSet<String>,
    /// The names that `use` brings in, and the paths that they stand for.
    imports: BTreeMap<String, Path>,
    globs: Vec<Path>,
}

/// All modules of the program by path.
struct Modules(BTreeMap<Path, Module>);

impl Modules {
    fn new(sources: &[Source]) -> Self {
        let mut modules = Self(BTreeMap::new());
        for source in sources {
            modules.add(&source.module, &source.path, &source.syntax.items);
        }
        modules
    }

    fn add(&mut self, path: &[String], file: &str, items: &[Item]) {
        let mut module = Module { file: file.to_owned(), ..Module::default() };
        for item in items {
            let name = match item {
                Item::Const(item) => &item.ident,
                Item::Enum(item) => &item.ident,
                Item::Fn(item) => &item.sig.ident,
                Item::Macro(item) => match &item.ident {
                    Some(name) => name,
                    None => continue,
                },
                Item::Static(item) => &item.ident,
                Item::Struct(item) => &item.ident,
                Item::Trait(item) => &item.ident,
                Item::Type(item) => &item.ident,
                Item::Mod(item) => {
                    if let Some((_, items)) = &item.content {
                        self.add(&child(path, &item.ident.to_string()), file, items);
                    }
                    continue;
                }
                Item::Use(item) => {
                    leaves(&item.tree, &mut Vec::new(), &mut |name, target| match name {
                        Some(name) => drop(module.imports.insert(name, target)),
                        None => module.globs.push(target),
                    });
                    continue;
                }
                _ => continue,
            };
            module.items.insert(name.to_string());
        }
        self.0.insert(path.to_vec(), module);
    }

    /// The file that defines what a path in the code of `module` means; none if it is of another crate.
    fn file(&self, module: &[String], path: &[String]) -> Option<&str> {
        match self.resolve(module, path, 0)? {
            // What is taken from a module is followed where it is used.
            Found::Module => None,
            Found::Item(file) => Some(file),
        }
    }

    fn resolve<'m>(&'m self, module: &[String], path: &[String], depth: usize) -> Option<Found<'m>> {
        let (first, mut rest) = path.split_first()?;
        let mut at = match first.as_str() {
            "crate" | "strongroom" => Vec::new(),
            "self" => module.to_vec(),
            "super" => module[..module.len().checked_sub(1)?].to_vec(),
            _ => {
                rest = path;
                module.to_vec()
            }
        };
        while let Some((name, after)) = rest.split_first() {
            if name == "super" {
                at.pop();
                rest = after;
                continue;
            }
            if name == "self" {
                rest = after;
                continue;
            }
            let inner = child(&at, name);
            if self.0.contains_key(&inner) {
                at = inner;
                rest = after;
                continue;
            }
            let here = self.0.get(&at)?;
            if here.items.contains(name) {
                return Some(Found::Item(&here.file));
            }
            if depth > 8 {
                return None;
            }
            if let Some(target) = here.imports.get(name) {
                let target: Path = target.iter().chain(after).cloned().collect();
                return self.resolve(&at, &target, depth + 1);
            }
            let through = |glob: &Path| {
                let target: Path = glob.iter().chain(rest).cloned().collect();
                self.resolve(&at, &target, depth + 1)
            };
            return here.globs.iter().find_map(through);
        }
        Some(Found::Module)
    }
}

/// Target of a path.
enum Found<'m> {
    Module,
    /// The file that defines the item.
    Item(&'m str),
}

fn child(path: &[String], name: &str) -> Path {
    path.iter().cloned().chain([name.to_owned()]).collect()
}

/// Calls `each` with every name that a `use` brings in (none for `*`) and the path that it stands for.
fn leaves(tree: &UseTree, before: &mut Path, each: &mut impl FnMut(Option<String>, Path)) {
    match tree {
        UseTree::Path(tree) => {
            before.push(tree.ident.to_string());
            leaves(&tree.tree, before, each);
            before.pop();
        }
        UseTree::Name(tree) if tree.ident == "self" => each(before.last().cloned(), before.clone()),
        UseTree::Name(tree) => each(Some(tree.ident.to_string()), child(before, &tree.ident.to_string())),
        UseTree::Rename(tree) if tree.ident == "self" => each(Some(tree.rename.to_string()), before.clone()),
        UseTree::Rename(tree) => each(Some(tree.rename.to_string()), child(before, &tree.ident.to_string())),
        UseTree::Glob(_) => each(None, before.clone()),
        UseTree::Group(tree) => tree.items.iter().for_each(|tree| leaves(tree, before, each)),
    }
}

/// Collects the paths in the code of a file: those of `use`, and those that stand in expressions, types and macros.
struct Paths {
    module: Path,
    /// With the module in whose code the path stands.
    found: Vec<(Path, Path)>,
    /// The names that stand in the code alone or at the head of a path.
    heads: BTreeSet<String>,
    /// Names that `pub use` brings in: the module, the name, the path.
    reexports: Vec<(Path, String, Path)>,
}

impl Paths {
    fn path(&mut self, path: Path) {
        self.heads.insert(path[0].clone());
        // A name that stands alone is an item or a local variable, never a module.
        self.found.push((self.module.clone(), path));
    }

    /// The paths in the tokens of a macro.
    fn tokens(&mut self, tokens: TokenStream) {
        let mut path: Path = Vec::new();
        let (mut colons, mut after_dot) = (0, false);
        for token in tokens {
            let member = std::mem::replace(&mut after_dot, matches!(&token, TokenTree::Punct(p) if p.as_char() == '.'));
            match token {
                TokenTree::Ident(_) if member => {}
                TokenTree::Ident(name) => {
                    if colons != 2 && !path.is_empty() {
                        self.path(std::mem::take(&mut path));
                    }
                    path.push(name.to_string());
                    colons = 0;
                }
                TokenTree::Punct(punct) if punct.as_char() == ':' => colons += 1,
                other => {
                    if !path.is_empty() {
                        self.path(std::mem::take(&mut path));
                    }
                    colons = 0;
                    if let TokenTree::Group(group) = other {
                        self.tokens(group.stream());
                    }
                }
            }
        }
        if !path.is_empty() {
            self.path(path);
        }
    }
}

impl<'ast> Visit<'ast> for Paths {
    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        if !is_test_only(&item.attrs) {
            self.module.push(item.ident.to_string());
            visit::visit_item_mod(self, item);
            self.module.pop();
        }
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        let exported = !matches!(item.vis, Visibility::Inherited);
        leaves(&item.tree, &mut Vec::new(), &mut |name, target| match name {
            Some(name) if exported => self.reexports.push((self.module.clone(), name, target)),
            Some(_) => self.found.push((self.module.clone(), target)),
            None => {}
        });
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        self.path(path.segments.iter().map(|segment| segment.ident.to_string()).collect());
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        self.visit_path(&call.path);
        self.tokens(call.tokens.clone());
    }

    fn visit_attribute(&mut self, _: &'ast syn::Attribute) {}

    fn visit_visibility(&mut self, _: &'ast Visibility) {}
}

/// The arrows between files: who imports from whom.
fn arrows(sources: &[Source]) -> BTreeMap<String, BTreeSet<String>> {
    let modules = Modules::new(sources);
    let mut arrows = BTreeMap::new();
    for source in sources {
        let mut paths =
            Paths { module: source.module.clone(), found: Vec::new(), heads: BTreeSet::new(), reexports: Vec::new() };
        paths.visit_file(&source.syntax);
        let used = paths.reexports.iter().filter(|(_, name, _)| paths.heads.contains(name));
        let used = used.map(|(module, _, path)| (module, path));
        let all = paths.found.iter().map(|(module, path)| (module, path)).chain(used);
        let mut targets: BTreeSet<String> =
            all.filter_map(|(module, path)| modules.file(module, path)).map(str::to_owned).collect();
        targets.remove(&source.path);
        arrows.insert(source.path.clone(), targets);
    }
    arrows
}

/// The groups of files that reach each other.
fn circles(arrows: &BTreeMap<String, BTreeSet<String>>) -> Vec<BTreeSet<&str>> {
    let reach = |from: &str| {
        let (mut seen, mut waiting) = (BTreeSet::new(), vec![from.to_owned()]);
        while let Some(file) = waiting.pop() {
            for next in arrows.get(&file).into_iter().flatten() {
                if seen.insert(next.clone()) {
                    waiting.push(next.clone());
                }
            }
        }
        seen
    };
    let reached: BTreeMap<&str, BTreeSet<String>> = arrows.keys().map(|file| (file.as_str(), reach(file))).collect();
    let circle = |file: &&str| -> BTreeSet<&str> {
        let mutual = reached.iter().filter(|(other, back)| reached[file].contains(**other) && back.contains(*file));
        mutual.map(|(other, _)| *other).collect()
    };
    let mut found: BTreeSet<BTreeSet<&str>> = reached.keys().map(circle).collect();
    found.remove(&BTreeSet::new());
    found.into_iter().collect()
}

#[test]
fn files_import_each_other_in_no_circle() {
    let arrows = arrows(&program());
    let circles = circles(&arrows);
    let mut list = String::new();
    for circle in &circles {
        writeln!(list, "circle of {} files:", circle.len()).unwrap();
        for file in circle {
            let within: Vec<_> = arrows[*file].iter().filter(|other| circle.contains(other.as_str())).collect();
            writeln!(list, "  {file} -> {within:?}").unwrap();
        }
    }
    assert!(circles.is_empty(), "{} circles:\n{list}", circles.len());
}

#[test]
fn arrows_follow_the_layers() {
    let top = |file: &str| file.split('/').nth(1).unwrap().trim_end_matches(".rs").to_owned();
    let layer = |module: &str| LAYERS.iter().position(|layer| layer.contains(&module)).unwrap_or(LAYERS.len());
    let mut against = Vec::new();
    for (from, targets) in arrows(&program()) {
        for to in targets {
            let (upper, lower) = (layer(&top(&from)), layer(&top(&to)));
            // A leaf is in no layer: leaves may import each other, and nothing above them.
            let is_leaf = upper == LAYERS.len();
            let is_against = if is_leaf { lower < upper } else { top(&from) != top(&to) && upper >= lower };
            if is_against {
                against.push(format!("{from} -> {to}"));
            }
        }
    }
    assert!(against.is_empty(), "imports against the layers:\n{}", against.join("\n"));
}

/// The paths in a file, as they are written, that lead past the broker.
fn against_the_broker(source: &Source) -> Vec<String> {
    let mut paths =
        Paths { module: source.module.clone(), found: Vec::new(), heads: BTreeSet::new(), reexports: Vec::new() };
    paths.visit_file(&source.syntax);
    let reexports = paths.reexports.iter().map(|(_, _, path)| path);
    let written = paths.found.iter().map(|(_, path)| path).chain(reexports);
    let is_behind = |path: &&Path| {
        let top = path.iter().find(|name| !["crate", "strongroom", "super", "self"].contains(&name.as_str()));
        let from_the_root = path.first().is_some_and(|first| first == "crate" || first == "strongroom");
        from_the_root && top.is_some_and(|top| BEHIND_THE_BROKER.contains(&top.as_str()))
    };
    written.filter(is_behind).map(|path| path.join("::")).collect()
}

#[test]
fn command_line_and_http_call_use_cases_only() {
    let mut against = Vec::new();
    let is_entry_point =
        |source: &&Source| ["src/cli/", "src/http/"].iter().any(|folder| source.path.starts_with(folder));
    for source in program().iter().filter(is_entry_point) {
        against.extend(against_the_broker(source).into_iter().map(|path| format!("{}: {path}", source.path)));
    }
    assert!(against.is_empty(), "not through the broker:\n{}", against.join("\n"));
}
