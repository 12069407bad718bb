//! The documents are true: every link leads somewhere, and every test that a page relies on exists and runs.

use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

pub(crate) fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Every page: those at the root, and those under `docs/`.
fn pages() -> Vec<PathBuf> {
    let mut pages = Vec::new();
    let mut folders = vec![root(), root().join("docs")];
    while let Some(folder) = folders.pop() {
        for path in std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() && folder != root() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "md") {
                pages.push(path);
            }
        }
    }
    assert!(pages.len() > 20, "{pages:?}");
    pages
}

#[test]
fn every_link_leads_somewhere() {
    let mut seen = 0;
    for page in pages() {
        let text = std::fs::read_to_string(&page).unwrap();
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if target.starts_with("https://") {
                continue;
            }
            seen += 1;
            let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
            let file = if file.is_empty() { page.clone() } else { page.parent().unwrap().join(file) };
            assert!(file.exists(), "{} links to {target}", page.display());
            assert!(anchor.is_empty() || has_heading(&file, anchor), "{} links to {target}", page.display());
        }
    }
    assert!(seen > 20, "links were found: {seen}");
}

/// Returns true if a heading of the page has this anchor on GitHub.
fn has_heading(page: &Path, anchor: &str) -> bool {
    let anchor_of = |heading: &str| -> String {
        let kept = heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
        kept.collect::<String>().trim().to_lowercase().replace(' ', "-")
    };
    let text = std::fs::read_to_string(page).unwrap();
    text.lines().filter(|line| line.starts_with('#')).any(|line| anchor_of(line.trim_start_matches('#')) == anchor)
}

#[test]
fn paths_in_pages_exist() {
    let mut bases = vec![root(), root().join("src")];
    bases.extend(std::fs::read_dir(root().join("src")).unwrap().map(|entry| entry.unwrap().path()));
    let mut seen = 0;
    for page in pages() {
        let text = std::fs::read_to_string(&page).unwrap();
        for path in text.split('`').skip(1).step_by(2).filter(|span| is_path(span)) {
            seen += 1;
            assert!(bases.iter().any(|base| base.join(path).exists()), "{} names {path}", page.display());
        }
    }
    assert!(seen > 100, "paths were found: {seen}");
}

/// True if the text in backticks is a path of this repository, from its root, from `src` or from a module.
fn is_path(span: &str) -> bool {
    let relative = !span.starts_with(['/', '.', '~']) && span.contains('/');
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-".contains(c);
    let file = [".rs", ".toml", ".sql", ".md", ".c", ".js", ".txt"].iter().any(|extension| span.ends_with(extension));
    relative && span.chars().all(plain) && (file || span.ends_with('/'))
}

/// The tests that a table's last column names: `` `file`: `test`, `test`; `file`: `test` ``.
pub(crate) fn tests_named_in(row: &str) -> Vec<(String, String)> {
    let column = row.trim_end_matches(['|', ' ']).rsplit("| ").next().unwrap_or("");
    let mut named = Vec::new();
    for part in column.split("; ").filter(|part| part.contains("`: `")) {
        let (file, tests) = part.split_once(": ").unwrap();
        let tests = tests.split("`, `").map(|test| test.trim_matches(['`', ' ']).to_owned());
        named.extend(tests.map(|test| (file.trim_matches(['`', ' ']).to_owned(), test)));
    }
    named
}

fn assert_exists((file, test): &(String, String)) {
    let rust = Path::new(file).extension().is_some_and(|extension| extension == "rs");
    let wanted = if rust { format!("fn {test}(") } else { test.clone() };
    assert!(read(file).contains(&wanted), "{file} has no test {test}");
}

/// It is one that runs: a test, and not one that is passed over.
fn assert_runs((file, test): &(String, String)) {
    let program = read(file);
    let before = program.split_once(&format!("fn {test}(")).unwrap_or_else(|| panic!("{file} has no test {test}")).0;
    let attributes: Vec<_> = before.rsplit('\n').skip(1).take_while(|line| line.trim().starts_with("#[")).collect();
    let is_test = attributes.iter().any(|line| line.contains("#[test]") || line.contains("#[tokio::test"));
    assert!(is_test && !attributes.iter().any(|line| line.contains("ignore")), "{file}: {test}: {attributes:?}");
}

/// Returns the rows of the threat table.
pub(crate) fn threat_rows() -> Vec<String> {
    let page = read("docs/security.md");
    let table = page.split_once("| attacker | defence | held by |\n|---|---|---|\n").unwrap().1;
    let rows: Vec<_> = table.lines().take_while(|line| line.starts_with('|')).map(str::to_owned).collect();
    assert!(rows.len() > 40, "{}", rows.len());
    rows
}

#[test]
fn every_row_of_the_threat_table_names_tests_that_run() {
    for row in threat_rows() {
        let named = tests_named_in(&row);
        assert!(!named.is_empty(), "nothing holds this: {row}");
        named.iter().for_each(assert_runs);
    }
    let page = read("docs/security.md");
    page.lines().filter(|line| line.starts_with('|')).flat_map(tests_named_in).for_each(|named| assert_exists(&named));
}

#[test]
fn removed_tests_name_tests_that_run_today() {
    let page = read("docs/design/removed-tests.md");
    let rows: Vec<_> = page.lines().filter(|line| line.starts_with("| ")).skip(1).collect();
    assert!(rows.len() > 5, "{}", rows.len());
    for row in rows {
        let named = tests_named_in(row);
        assert!(!named.is_empty() || row.ends_with("| none |"), "no test of today: {row}");
        named.iter().for_each(assert_runs);
    }
}

#[test]
fn standards_name_tests_that_exist() {
    let page = read("docs/standards.md");
    for line in 1..=60 {
        let mut rows = page.lines().filter(|row| row.starts_with(&format!("| {line} | ")));
        let row = rows.next().unwrap_or_else(|| panic!("line {line} is missing"));
        assert!(rows.next().is_none(), "line {line} is there twice");
        let named = tests_named_in(row);
        named.iter().for_each(assert_exists);
        let waits = row.ends_with("| with the proxy |");
        assert!(waits || !named.is_empty(), "line {line} names no test: {row}");
    }
}
