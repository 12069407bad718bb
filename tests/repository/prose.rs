//! Prose in documents and comments, as far as a machine can see it. The rules are in CONTRIBUTING.md.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::source::{files, root};

/// Doc lines, in a thousand, that open with a question word.
const MAX_QUESTION_LINES: usize = 20;
/// Words that plain technical English does without. The goal is 0.
const MAX_ODD_WORDS: usize = 17;

const QUESTIONS: &[&str] =
    &["What", "Whether", "How", "Who", "Whom", "Whose", "Where", "When", "Why", "Which", "Whatever", "Whoever"];

const ODD: &[&str] = &[
    "whoever",
    "whatever is",
    "somebody",
    "nobody",
    "anew",
    "amiss",
    "besides",
    "all the same",
    "by itself",
    "begun login",
    "is none",
    "are none",
    "found out",
    "taken for",
    "held against",
    "put in its place",
    "comes to its end",
    "of its day",
    "laid over",
    "mend",
    "mended",
    "in the clear",
    "the same of",
    "what is left",
    "at once and for",
];

/// Comment lines of Rust source in `src`, `tests` and `benches`: the file and the text without its slashes.
fn comments() -> Vec<(String, String)> {
    let mut found = Vec::new();
    for file in ["src", "tests", "benches"].into_iter().flat_map(|folder| files(folder, "rs")) {
        let text = std::fs::read_to_string(root().join(&file)).unwrap();
        let comment = |line: &str| line.trim().strip_prefix("//").map(|text| (file.clone(), text.to_owned()));
        found.extend(text.lines().filter_map(comment));
    }
    found
}

/// The lines of prose in documents, outside of code blocks and tables: the file and the line.
fn prose() -> Vec<(String, String)> {
    let mut found = Vec::new();
    let at_root = std::fs::read_dir(root()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let pages = at_root.filter(|name| {
        std::path::Path::new(name).extension().is_some_and(|kind| kind == "md") && name != "CHANGELOG.md"
    });
    for page in pages.chain(files("docs", "md")) {
        let (text, mut code) = (std::fs::read_to_string(root().join(&page)).unwrap(), false);
        for line in text.lines() {
            if line.trim_start().starts_with("```") {
                code = !code;
            } else if !code {
                found.push((page.clone(), line.to_owned()));
            }
        }
    }
    found
}

#[test]
fn doc_lines_open_with_the_subject() {
    let comments = comments();
    let doc: Vec<_> = comments.iter().filter(|(_, text)| text.starts_with(['/', '!'])).collect();
    let asks = |text: &str| QUESTIONS.iter().any(|word| text[1..].split_whitespace().next() == Some(word));
    let mut by_folder: BTreeMap<String, usize> = BTreeMap::new();
    for (file, _) in doc.iter().filter(|(_, text)| asks(text)) {
        *by_folder.entry(file.split('/').take(2).collect::<Vec<_>>().join("/")).or_default() += 1;
    }
    let found: usize = by_folder.values().sum();
    let thousandths = found * 1000 / doc.len();
    println!("{found} of {} doc lines open with a question word: {by_folder:?}", doc.len());
    assert!(thousandths <= MAX_QUESTION_LINES, "{thousandths} of 1,000 doc lines, {MAX_QUESTION_LINES} allowed");
}

#[test]
fn words_are_plain() {
    let mut found: BTreeMap<&str, BTreeMap<String, usize>> = BTreeMap::new();
    for (file, line) in comments().into_iter().chain(prose()) {
        let line = line.to_lowercase();
        for word in ODD.iter().filter(|word| holds_word(&line, word)) {
            *found.entry(word).or_default().entry(file.clone()).or_default() += 1;
        }
    }
    let mut list = String::new();
    for (word, files) in &found {
        writeln!(list, "'{word}': {files:?}").unwrap();
    }
    println!("{list}");
    let count: usize = found.values().flat_map(BTreeMap::values).sum();
    assert!(count <= MAX_ODD_WORDS, "{count} odd words, {MAX_ODD_WORDS} allowed:\n{list}");
}

/// True if the text holds the word, and no longer word that contains it.
fn holds_word(text: &str, word: &str) -> bool {
    let letter = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
    text.match_indices(word)
        .any(|(at, _)| !letter(text[..at].chars().next_back()) && !letter(text[at + word.len()..].chars().next()))
}

#[test]
fn documents_have_short_lines() {
    let long = |line: &str| line.chars().count() > 100 && !line.starts_with('|') && !line.contains("](");
    let mut found: BTreeMap<String, usize> = BTreeMap::new();
    for (page, _) in prose().into_iter().filter(|(_, line)| long(line)) {
        *found.entry(page).or_default() += 1;
    }
    assert!(found.is_empty(), "lines of prose over 100 columns: {found:?}");
}
