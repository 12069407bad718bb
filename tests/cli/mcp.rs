//! `strongroom mcp`: messages on standard input and output, and a server that behaves as the test says.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::support::provider::peers;

/// Characters that change how a terminal or an editor shows a text.
const HIDDEN: &str = "a\u{200d}b\u{200f}c\u{2028}d\u{85}e\u{7f}f\u{202e}g\u{feff}\u{e0041}";

fn command(words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_strongroom"));
    command.args(words).env_clear().env("STRONGROOM_API_KEY", "srk_test");
    command
}

/// The command, and the lines that it writes.
struct Relay {
    child: Child,
    lines: Receiver<String>,
}

impl Relay {
    fn start(url: &str) -> Self {
        let mut child = command(&["mcp", "--url", url]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let (tell, lines) = channel();
        std::thread::spawn(move || output.lines().map_while(Result::ok).try_for_each(|line| tell.send(line)));
        Self { child, lines }
    }

    fn sends(&mut self, line: &str) {
        self.child.stdin.as_mut().unwrap().write_all(format!("{line}\n").as_bytes()).unwrap();
    }

    fn asks(&mut self, id: u32, method: &str) {
        self.sends(&json!({"jsonrpc": "2.0", "id": id, "method": method}).to_string());
    }

    /// Returns the next line as it is, and as JSON.
    #[track_caller]
    fn line(&self) -> (String, Value) {
        let line = self.lines.recv_timeout(Duration::from_secs(10)).expect("a line");
        let value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
        (line, value)
    }

    /// Ends the input. Returns the lines that were not read yet.
    fn end(mut self) -> Vec<String> {
        drop(self.child.stdin.take());
        let lines = self.lines.iter().collect();
        assert!(self.child.wait().unwrap().success());
        lines
    }
}

/// A server that answers no message with `slow`, and counts those whose connection was closed.
async fn slow_server() -> (String, Receiver<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (tell, closed) = channel();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let tell = tell.clone();
            tokio::spawn(async move {
                let request = peers::read_request(&mut stream).await;
                if request.contains("slow") {
                    let _ended = stream.read_u8().await;
                    tell.send(()).ok();
                    return;
                }
                let message: Value = serde_json::from_str(request.split_once("\r\n\r\n").unwrap().1).unwrap();
                let body = json!({"jsonrpc": "2.0", "id": message["id"], "result": {}}).to_string();
                let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
                stream.write_all((head + &body).as_bytes()).await.ok();
            });
        }
    });
    (url, closed)
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_keep_their_value_on_one_line() {
    let answer = json!({"jsonrpc": "2.0", "id": HIDDEN, "result": {"big": u64::MAX, "text": HIDDEN}});
    let pretty = serde_json::to_string_pretty(&answer).unwrap().replace('\n', "\r\n");
    let url = peers::answering(move |_| ("200 OK", "application/json", pretty.clone())).await;
    let mut relay = Relay::start(&url);
    relay.sends(&json!({"jsonrpc": "2.0", "id": HIDDEN, "method": "ping"}).to_string());
    let (line, value) = relay.line();
    assert_eq!((&value["id"], &value["result"]["text"]), (&json!(HIDDEN), &json!(HIDDEN)));
    assert_eq!(value["result"]["big"], u64::MAX);
    assert!(line.chars().all(|c| c.is_ascii() && !c.is_control()), "{line:?}");
    assert!(relay.end().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_keep_the_id() {
    let url = peers::answering(|_| ("502 Bad Gateway", "text/html", "<p>".to_owned())).await;
    let mut relay = Relay::start(&url);
    relay.sends(&json!({"jsonrpc": "2.0", "id": HIDDEN, "method": "ping"}).to_string());
    let (line, value) = relay.line();
    assert_eq!((&value["id"], &value["error"]["code"]), (&json!(HIDDEN), &json!(-32603)), "{line}");
    relay.sends("{");
    assert_eq!(relay.line().1["error"]["code"], -32700);
    assert!(relay.end().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn too_long_line_is_refused_once() {
    let (url, _closed) = slow_server().await;
    let mut relay = Relay::start(&url);
    let text = "x".repeat(40 << 20);
    relay.sends(&json!({"jsonrpc": "2.0", "id": 1, "method": "slow", "params": {"text": text}}).to_string());
    let (line, value) = relay.line();
    assert_eq!((&value["id"], &value["error"]["code"]), (&Value::Null, &json!(-32600)), "{line}");
    assert!(line.contains("\"id\":null"), "{line}");
    relay.asks(2, "next");
    assert_eq!(relay.line().1["id"], 2);
    assert!(relay.end().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn cancelled_requests_free_their_places() {
    let (url, closed) = slow_server().await;
    let mut relay = Relay::start(&url);
    let begun = Instant::now();
    for id in 0..40 {
        relay.asks(id, "slow");
    }
    relay.asks(100, "ping");
    assert_eq!(relay.line().1["id"], 100);
    relay.asks(101, "next");
    for id in 0..40 {
        let params = json!({"requestId": id, "reason": "the user stopped it"});
        relay.sends(&json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": params}).to_string());
    }
    assert_eq!(relay.line().1["id"], 101, "it waited for a place");
    for _ in 0..16 {
        closed.recv_timeout(Duration::from_secs(10)).expect("the server sees that the request has ended");
    }
    assert!(relay.end().is_empty(), "a cancelled request has no response");
    assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_in_progress_are_bounded() {
    let (url, _closed) = slow_server().await;
    let mut relay = Relay::start(&url);
    for id in 0..257 {
        relay.asks(id, "slow");
    }
    let (line, value) = relay.line();
    assert_eq!((&value["id"], &value["error"]["code"]), (&json!(256), &json!(-32603)), "{line}");
    relay.child.kill().unwrap();
}

#[test]
fn url_with_a_password_is_refused_unseen() {
    for url in [
        "http://u:hunter2@127.0.0.1:1",
        "http://hunter2@h/",
        "http://h/?hunter2",
        "http://h/#hunter2",
        "hunter2",
        "http://u:hunter2@h:x",
    ] {
        for words in [&["mcp", "--url", url][..], &["run", "--server", url, "--", "true"]] {
            let folder = tempfile::tempdir().unwrap();
            let Output { status, stdout, stderr } = command(words).current_dir(folder.path()).output().unwrap();
            let said = String::from_utf8_lossy(&[stdout, stderr].concat()).into_owned();
            assert!(!status.success() && !said.contains("hunter2"), "{words:?}: {said}");
            assert!(status.code() == Some(2) && said.contains(words[1]), "{said}");
        }
    }
}
