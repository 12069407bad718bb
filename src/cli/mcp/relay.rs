//! Passes messages between standard input and output and the server: one JSON text on each line.

use std::io::{self, BufRead as _, Read as _};
use std::sync::Arc;

use bytes::Bytes;
use serde_json::{Value, json};
use tokio::sync::mpsc::{self, Receiver};
use tokio::task::JoinSet;

use super::endpoint::McpEndpoint;
use crate::cli::failure::Failure;
use crate::cli::output::Output;

/// Requests in progress at one time.
const MAX_OPEN: usize = 16;

/// Longest line: the server takes messages of 1 MiB.
const MAX_LINE: u64 = 2 << 20;

/// Internal error of JSON-RPC.
const INTERNAL: i32 = -32_603;

/// Passes messages until standard input ends and all requests are answered.
pub(super) async fn run(endpoint: McpEndpoint, out: &mut Output) -> Result<(), Failure> {
    let (endpoint, mut lines) = (Arc::new(endpoint), lines_of_input());
    let (mut open, mut ended) = (JoinSet::new(), false);
    loop {
        tokio::select! {
            line = lines.recv(), if !ended && open.len() < MAX_OPEN => match line {
                Some(line) => drop(open.spawn(exchange(endpoint.clone(), line))),
                None => ended = true,
            },
            Some(done) = open.join_next() => {
                if let Ok(Some(response)) = done {
                    out.line(response)?;
                    out.flush()?;
                }
            }
            else => return Ok(()),
        }
    }
}

/// Reads lines on a thread of their own: a read of standard input cannot be cancelled.
fn lines_of_input() -> Receiver<Vec<u8>> {
    let (send, receive) = mpsc::channel(1);
    std::thread::spawn(move || {
        let mut input = io::stdin().lock();
        loop {
            let mut line = Vec::new();
            match input.by_ref().take(MAX_LINE).read_until(b'\n', &mut line) {
                Ok(0) | Err(_) => return,
                Ok(_) if line.trim_ascii().is_empty() => {}
                Ok(_) => {
                    if send.blocking_send(line).is_err() {
                        return;
                    }
                }
            }
        }
    });
    receive
}

/// Returns the line of the response, if the message gets one.
async fn exchange(endpoint: Arc<McpEndpoint>, line: Vec<u8>) -> Option<String> {
    let message: Value = serde_json::from_slice(&line).unwrap_or_default();
    let id = message.get("id").cloned();
    match endpoint.post(&message, Bytes::from(line)).await {
        Ok(response) => response.map(|response| String::from_utf8_lossy(&response).into_owned()),
        Err(reason) => {
            let error = json!({"code": INTERNAL, "message": reason});
            Some(json!({"jsonrpc": "2.0", "id": id?, "error": error}).to_string())
        }
    }
}
