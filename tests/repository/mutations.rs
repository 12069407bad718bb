//! Checks of tests/mutations.toml: every row of the threat table has a mutation, and each entry fits the code as it is.
//! `.ci/mutations` runs them.

use std::path::Path;

use serde::Deserialize;

use crate::documents::{read, tests_named_in, threat_rows};

#[derive(Deserialize)]
struct Mutations {
    mutation: Vec<Mutation>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Mutation {
    row: String,
    file: String,
    find: String,
    replace: String,
    test: String,
}

fn mutations() -> Vec<Mutation> {
    toml::from_str::<Mutations>(&read("tests/mutations.toml")).unwrap().mutation
}

#[test]
fn every_threat_row_has_one_mutation() {
    let mutations = mutations();
    let rows = threat_rows();
    for row in &rows {
        let of_row = mutations.iter().filter(|mutation| row.starts_with(&format!("| {}", mutation.row))).count();
        assert_eq!(of_row, 1, "tests/mutations.toml has {of_row} mutations for this row: {row}");
    }
    assert_eq!(mutations.len(), rows.len(), "a mutation of tests/mutations.toml is of no row");
}

#[test]
fn mutations_fit_the_code() {
    for Mutation { row, file, find, replace, .. } in mutations() {
        let found = read(&file).matches(&find).count();
        assert_eq!(found, 1, "{row}: `find` is {found} times in {file}; adapt the entry of tests/mutations.toml");
        assert_ne!(find, replace, "{row}");
    }
}

#[test]
fn mutations_name_tests_of_their_rows() {
    let rows = threat_rows();
    for Mutation { row: name, test, .. } in mutations() {
        let row = rows.iter().find(|row| row.starts_with(&format!("| {name}"))).unwrap();
        let (binary, path) = test.split_once(' ').unwrap_or_else(|| panic!("{name}: write a binary and a test"));
        let of_binary = |file: &str| match binary {
            "lib" => file.starts_with("src/"),
            folder => Path::new(file).starts_with(Path::new("tests").join(folder)),
        };
        let function = path.rsplit("::").next().unwrap();
        let named = tests_named_in(row).into_iter().any(|(file, test)| of_binary(&file) && test == function);
        assert!(named, "docs/security.md names no test {function} of {binary} in this row: {row}");
    }
}
