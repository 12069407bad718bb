//! The documents say what is so: the README's session runs as printed, every link leads somewhere, and every test that
//! the security page relies on exists.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Every page: those at the root, and those in `docs/`.
fn pages() -> Vec<PathBuf> {
    let in_folder = |folder: PathBuf| std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut pages: Vec<PathBuf> = in_folder(root()).chain(in_folder(root().join("docs"))).collect();
    pages.retain(|path| path.extension().is_some_and(|extension| extension == "md"));
    assert!(pages.len() > 10, "{pages:?}");
    pages
}

/// `strongroom dev`, ended when this is dropped.
struct Dev {
    child: Child,
    ready: Value,
}

impl Dev {
    fn start() -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_strongroom"))
            .args(["dev", "--print", "json", "--listen", "127.0.0.1:0"])
            .current_dir(std::env::temp_dir())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        Self { child, ready: serde_json::from_str(&line).unwrap() }
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn the_session_of_the_readme_runs_as_it_is_printed() {
    let dev = Dev::start();
    let (url, key) = (dev.ready["url"].as_str().unwrap(), dev.ready["api_key"].as_str().unwrap());
    let readme = read("README.md");
    let session = readme.split("```bash\n").nth(1).and_then(|rest| rest.split("```").next()).expect("the session");
    for placeholder in ["srk_…", "http://127.0.0.1:8484"] {
        assert_eq!(session.matches(placeholder).count(), 1, "{placeholder} stands for what dev printed");
    }
    let session = session.replace("srk_…", key).replace("http://127.0.0.1:8484", url);

    let out = Command::new("bash").args(["-euo", "pipefail", "-c", &session]).output().unwrap();
    let stdout = String::from_utf8(out.stdout).unwrap();
    assert!(out.status.success(), "{stdout}\n{}", String::from_utf8_lossy(&out.stderr));
    let said: Vec<Value> = stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let [completed, listed, live, deleted] = &said[..] else { panic!("four answers are printed: {stdout}") };
    assert_eq!(completed["type"], "oauth2", "{completed}");
    assert_eq!(listed.as_array().unwrap().len(), 1);
    assert_eq!(listed[0]["id"], completed["credentials_id"]);
    assert!(live["access_token"].is_string() && live["token_type"] == "Bearer", "{live}");
    assert_eq!((&deleted["deleted"], &deleted["revoked"]), (&Value::Bool(true), &Value::Bool(true)), "{deleted}");
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

/// Whether a heading of the page gets this anchor, as GitHub makes them.
fn has_heading(page: &Path, anchor: &str) -> bool {
    let anchor_of = |heading: &str| -> String {
        let kept = heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
        kept.collect::<String>().trim().to_lowercase().replace(' ', "-")
    };
    let text = std::fs::read_to_string(page).unwrap();
    text.lines().filter(|line| line.starts_with('#')).any(|line| anchor_of(line.trim_start_matches('#')) == anchor)
}

/// The tests that a table's last column names: `` `file`: `test`, `test`; `file`: `test` ``.
fn tests_named_in(row: &str) -> Vec<(String, String)> {
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

#[test]
fn every_row_of_the_threat_table_names_tests_that_run() {
    let page = read("docs/security.md");
    let table = page.split_once("| who | defence | held by |\n|---|---|---|\n").unwrap().1;
    let rows: Vec<_> = table.lines().take_while(|line| line.starts_with('|')).collect();
    assert!(rows.len() > 40, "{}", rows.len());
    for row in rows {
        let named = tests_named_in(row);
        assert!(!named.is_empty(), "nothing holds this: {row}");
        named.iter().for_each(assert_runs);
    }
    page.lines().filter(|line| line.starts_with('|')).flat_map(tests_named_in).for_each(|named| assert_exists(&named));
}

#[test]
fn the_page_of_the_bar_has_every_line_with_a_test_that_exists_or_what_it_waits_for() {
    let page = read("docs/bar.md");
    for line in 1..=60 {
        let mut rows = page.lines().filter(|row| row.starts_with(&format!("| {line} | ")));
        let row = rows.next().unwrap_or_else(|| panic!("line {line} is missing"));
        assert!(rows.next().is_none(), "line {line} is there twice");
        let named = tests_named_in(row);
        named.iter().for_each(assert_exists);
        let waits = row.ends_with("| with the proxy |") || row.ends_with("| with the vault's upkeep |");
        assert!(waits || !named.is_empty(), "line {line} names no test: {row}");
    }
}
