//! Embeds the catalogue: every file of `providers/` goes into the binary, by the name of the file,
//! without its comments.

use std::fmt::Write as _;
use std::path::Path;
use std::{fs, io};

const FOLDER: &str = "providers";

#[expect(clippy::disallowed_methods, reason = "this is how cargo talks to a build script")]
fn main() -> io::Result<()> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed={FOLDER}");
    let out = std::env::var_os("OUT_DIR").ok_or_else(|| io::Error::other("cargo gives no OUT_DIR"))?;
    fs::write(Path::new(&out).join("providers.rs"), list(&names()?)?)
}

/// Returns the names of the providers, sorted. Any other file in the folder is an error.
fn names() -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for file in fs::read_dir(FOLDER)? {
        let path = file?.path();
        let name =
            path.file_stem().and_then(|stem| stem.to_str()).filter(|_| path.extension().is_some_and(|e| e == "toml"));
        match name {
            Some(name) => names.push(name.to_owned()),
            None => {
                return Err(io::Error::other(format!(
                    "{} is not a provider's entry: name it NAME.toml",
                    path.display()
                )));
            }
        }
    }
    names.sort();
    Ok(names)
}

/// Returns a slice of name, path and text of each, as Rust. Comments are empty lines, so that the
/// lines keep their numbers.
fn list(names: &[String]) -> io::Result<String> {
    let mut rust = String::from("&[\n");
    for name in names {
        let path = format!("{FOLDER}/{name}.toml");
        let text = fs::read_to_string(&path)?;
        let lines: Vec<&str> = text.lines().map(|line| if line.starts_with('#') { "" } else { line }).collect();
        writeln!(rust, "({name:?}, {path:?}, {:?}),", lines.join("\n")).map_err(io::Error::other)?;
    }
    rust.push(']');
    Ok(rust)
}
