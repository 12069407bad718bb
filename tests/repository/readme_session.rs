//! The session of the README, run against `strongroom dev` as it is printed there.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::client::Ask;

/// Runs the README's `console` blocks against `strongroom dev`, and compares the answer to each request.
///
/// The session uses a small part of the shell: assignments, and `curl … | jq`. It is interpreted here, so that
/// `cargo test` needs neither bash nor curl nor jq.
#[tokio::test]
async fn readme_session_prints_what_the_readme_shows() {
    let dev = Dev::start();
    let mut session = Session::new(&dev);
    let readme = include_str!("../../README.md");
    let mut requests = 0;
    for block in readme.split("```console\n").skip(1) {
        for step in steps(block.split("```").next().unwrap()) {
            requests += usize::from(session.run(&step).await);
        }
    }
    assert_eq!(requests, 3, "the session sends three requests");
}

/// One command of a session and the lines that it prints.
struct Step {
    command: String,
    output: Vec<String>,
}

fn steps(block: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    for line in block.lines() {
        if let Some(command) = line.strip_prefix("$ ") {
            steps.push(Step { command: command.to_owned(), output: Vec::new() });
            continue;
        }
        let step = steps.last_mut().expect("a block begins with a command");
        // A here-document ends with the line END.
        let in_document = step.command.contains("<<'END'") && !step.command.ends_with(" END");
        match step.command.strip_suffix('\\') {
            Some(begun) => step.command = format!("{begun}{line}"),
            None if in_document => step.command = format!("{} {line}", step.command),
            None => step.output.push(line.to_owned()),
        }
    }
    steps
}

/// The shell's variables, and the values that stand behind an elided one (`…`).
struct Session {
    url: String,
    variables: HashMap<String, String>,
    elided: HashMap<String, String>,
    /// The command on the page after the login.
    copied: Option<String>,
}

impl Session {
    fn new(dev: &Dev) -> Self {
        let text = |name: &str| dev.ready[name].as_str().unwrap().to_owned();
        Self {
            url: text("url"),
            variables: HashMap::new(),
            elided: HashMap::from([("KEY".to_owned(), text("vault").replace("strongroom.db", "curl.conf"))]),
            copied: None,
        }
    }

    /// Returns true if the step sent a request.
    async fn run(&mut self, step: &Step) -> bool {
        let mut command = step.command.replace("8484", self.url.rsplit(':').next().unwrap());
        if command.contains("/complete") {
            command = self.copy(&command);
        }
        let words = self.words(&command);
        if words[0] != "curl" {
            for word in &words {
                self.assign(word);
            }
            return false;
        }
        assert!(words.ends_with(&["|".to_owned(), "jq".to_owned()]), "{}", step.command);
        let answer = request(&words[1..words.len() - 2]).send().await.is(200).json();
        let shown: Value = serde_json::from_str(&step.output.join("\n")).expect("the README shows JSON");
        assert!(is_shown_as(&answer, &shown), "answer: {answer:#}\nREADME: {shown:#}");
        self.learn(&answer).await;
        true
    }

    /// Returns the command that the page shows, if the README shows the same one.
    fn copy(&self, shown: &str) -> String {
        let shown = shown.split_whitespace().collect::<Vec<_>>().join(" ");
        let page = self.copied.as_ref().expect("a page with a command");
        let copied = page.replacen('\n', " | jq ", 1).replace('\n', " ");
        assert!(is_shown_as(&copied.as_str().into(), &shown.as_str().into()), "page: {copied}\nREADME: {shown}");
        let (head, document) = copied.split_once("@- <<'END' | jq ").expect("a here-document");
        format!("{head}'{}' | jq", document.trim_end_matches(" END"))
    }

    /// Splits a command into words, as a shell does with quotes, line continuations and `$NAME`.
    fn words(&self, command: &str) -> Vec<String> {
        let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
        let mut chars = command.chars().peekable();
        while let Some(c) = chars.next() {
            match c {
                '\'' | '"' if quote.is_none() => {
                    quote = Some(c);
                    word.get_or_insert_default();
                }
                _ if quote == Some(c) => quote = None,
                ' ' if quote.is_none() => words.extend(word.take()),
                '$' if quote != Some('\'') => {
                    let mut name = String::new();
                    while let Some(c) = chars.next_if(char::is_ascii_uppercase) {
                        name.push(c);
                    }
                    word.get_or_insert_default().push_str(&self.variables[&name]);
                }
                _ => word.get_or_insert_default().push(c),
            }
        }
        words.extend(word);
        words
    }

    fn assign(&mut self, word: &str) {
        let (name, value) = word.split_once('=').unwrap_or_else(|| panic!("not an assignment: {word}"));
        let value = match value.split_once('…') {
            Some((before, _)) => {
                let known = self.elided[name].clone();
                assert!(known.starts_with(before), "{name} begins with {before}");
                known
            }
            None => value.to_owned(),
        };
        self.variables.insert(name.to_owned(), value);
    }

    /// Does what the reader does between two commands: approves the login, and copies an id.
    async fn learn(&mut self, answer: &Value) {
        if let Some(id) = answer["credentials_id"].as_str() {
            self.elided.insert("ID".to_owned(), id.to_owned());
        }
        let Some(login_url) = answer["login_url"].as_str() else { return };
        let approved = Ask::new(http::Method::GET, format!("{login_url}&sandbox_decision=approve")).send().await;
        let callback = approved.header("Location").expect("a redirect to the callback");
        // The server listens on IPv4 only.
        let page = Ask::new(http::Method::GET, callback.replace("localhost", "127.0.0.1")).send().await.is(200).text();
        let command = page.split("<pre>").nth(1).unwrap().split("</pre>").next().unwrap();
        self.copied = Some(command.replace("&quot;", "\"").replace("&#39;", "'").replace("&lt;", "<"));
    }
}

/// The request that curl would send.
fn request(arguments: &[String]) -> Ask {
    let (mut url, mut key, mut body) = (None, None, None);
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "-sS" => (),
            "-K" => key = Some(std::fs::read_to_string(arguments.next().unwrap()).unwrap()),
            "--json" => body = arguments.next(),
            _ => assert!(url.replace(argument.clone()).is_none(), "two URLs, or an unknown option: {argument}"),
        }
    }
    let method = if body.is_some() { http::Method::POST } else { http::Method::GET };
    let key = key.expect("a file with the key");
    let key = key.trim_end().strip_prefix("header = \"X-API-Key: ").and_then(|key| key.strip_suffix('"'));
    let ask = Ask::new(method, url.unwrap()).header("X-API-Key", key.expect("a header"));
    match body {
        Some(body) => ask.header("Content-Type", "application/json").bytes(body.clone()),
        None => ask,
    }
}

/// Returns true if the answer is the shown one, in which `…` stands for any text and a number for any number.
fn is_shown_as(answer: &Value, shown: &Value) -> bool {
    match (answer, shown) {
        (Value::Object(answer), Value::Object(shown)) => {
            answer.keys().eq(shown.keys()) && answer.iter().all(|(name, value)| is_shown_as(value, &shown[name]))
        }
        (Value::String(answer), Value::String(shown)) => {
            let mut rest = answer.as_str();
            for (nth, part) in shown.split('…').enumerate() {
                match rest.find(part) {
                    Some(at) if nth > 0 || at == 0 => rest = &rest[at + part.len()..],
                    _ => return false,
                }
            }
            rest.is_empty() || shown.ends_with('…')
        }
        (Value::Number(_), Value::Number(_)) => true,
        _ => answer == shown,
    }
}

/// `strongroom dev`, stopped when dropped.
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
