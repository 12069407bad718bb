//! Two runs, side by side.

use std::io::Write as _;
use std::path::Path;

use super::report::{Figure, Report};

/// Prints what both runs have, and by how much it changed: absolute figures, and the ratios to the limits of each run.
pub fn print(before: &Path, after: &Path) {
    let (before, after) = (read(before), read(after));
    let mut out = std::io::stdout().lock();
    let mut say = |line: String| writeln!(out, "{}", line.trim_end()).expect("stdout takes a line");
    say(format!("before: {} · {}\nafter:  {} · {}\n", before.at, before.machine, after.at, after.machine));
    say(format!("{:<64} {:>9} {:>9} {:>7}   ratio to the limit", "a second", "before", "after", "×"));
    for old in &before.figures {
        let Some(new) = after.figures.iter().find(|new| is_same(old, new)) else { continue };
        let name = old.connections.map_or(old.name.clone(), |number| format!("{} at {number}", old.name));
        let ratios = match (&old.limit, &new.limit) {
            (Some((_, old)), Some((_, new))) => format!("{old:.2} → {new:.2}"),
            _ => String::new(),
        };
        let (was, is) = (old.per_second, new.per_second);
        say(format!("{name:<64} {was:>9.0} {is:>9.0} {:>7.2}   {ratios}", is / was));
    }
    for old in &before.facts {
        if let Some(new) = after.facts.iter().find(|new| new.name == old.name) {
            let (was, is) = (old.value, new.value);
            say(format!("{:<64} {was:>9.2} {is:>9.2} {:>7.2}   {}", old.name, is / was, old.unit));
        }
    }
}

fn is_same(old: &Figure, new: &Figure) -> bool {
    (&old.name, old.connections) == (&new.name, new.connections)
}

fn read(path: &Path) -> Report {
    let text = std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_slice(&text).unwrap_or_else(|error| panic!("{} is no run: {error}", path.display()))
}
