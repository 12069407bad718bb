//! Passes messages between standard input and output and the server: one JSON text on each line.

use std::collections::HashMap;
use std::io::{self, BufRead as _, Read as _};
use std::sync::Arc;

use bytes::Bytes;
use serde_json::Value;
use tokio::sync::Semaphore;
use tokio::sync::mpsc::{self, Receiver};
use tokio::task::{AbortHandle, JoinSet};

use super::endpoint::McpEndpoint;
use crate::cli::failure::Failure;
use crate::cli::output::Output;
use crate::mcp::{self, MAX_MESSAGE, RpcError};
use crate::visible::escaped_json;

/// Requests at the server at one time. A ping needs no place.
const MAX_SENT: usize = 16;

/// Requests in progress at one time: those at the server, and those that wait for a place.
const MAX_OPEN: usize = 256;

/// Longest line. Of a message between this and the limit of the server, the id can still be read.
const MAX_LINE: usize = 2 * MAX_MESSAGE;

/// A line that is longer than [`MAX_LINE`]; the rest of it was discarded.
struct LongLine;

/// The requests in progress.
struct Relay {
    endpoint: Arc<McpEndpoint>,
    places: Arc<Semaphore>,
    /// Each yields the id of its request, and the response.
    open: JoinSet<(Option<String>, Option<String>)>,
    /// Handles of the requests in `open`, by id.
    handles: HashMap<String, AbortHandle>,
}

/// Passes messages until standard input ends and all requests are answered.
pub(super) async fn run(endpoint: McpEndpoint, out: &mut Output) -> Result<(), Failure> {
    let mut relay = Relay {
        endpoint: Arc::new(endpoint),
        places: Arc::new(Semaphore::new(MAX_SENT)),
        open: JoinSet::new(),
        handles: HashMap::new(),
    };
    let (mut lines, mut ended) = (lines_of_input(), false);
    loop {
        let response = tokio::select! {
            line = lines.recv(), if !ended => {
                ended = line.is_none();
                line.and_then(|line| relay.take(line))
            },
            Some(done) = relay.open.join_next() => relay.end(done.unwrap_or_default()),
            else => return Ok(()),
        };
        if let Some(response) = response {
            // The value of the message stays: only the spelling of invisible characters changes.
            out.raw(escaped_json(&response).as_ref())?;
            out.raw("\n")?;
            out.flush()?;
        }
    }
}

/// Reads lines on a thread of their own: a read of standard input cannot be cancelled.
fn lines_of_input() -> Receiver<Result<Vec<u8>, LongLine>> {
    let (send, receive) = mpsc::channel(1);
    std::thread::spawn(move || {
        let mut input = io::stdin().lock();
        loop {
            let mut line = Vec::new();
            let read = input.by_ref().take(MAX_LINE as u64).read_until(b'\n', &mut line);
            let is_cut = line.len() == MAX_LINE && !line.ends_with(b"\n");
            let line = match read {
                Ok(0) | Err(_) => return,
                Ok(_) if is_cut && input.skip_until(b'\n').is_err() => return,
                Ok(_) if is_cut => Err(LongLine),
                Ok(_) if line.trim_ascii().is_empty() => continue,
                Ok(_) => Ok(line),
            };
            if send.blocking_send(line).is_err() {
                return;
            }
        }
    });
    receive
}

impl Relay {
    /// Takes a line of the client. Returns the response, if the server is not needed for it.
    fn take(&mut self, line: Result<Vec<u8>, LongLine>) -> Option<String> {
        let Ok(line) = line else {
            let error = RpcError::invalid(format!("A message has at most {MAX_MESSAGE} bytes"));
            return Some(error.response(Some(Value::Null)).to_string());
        };
        let (id, headers, is_ping) = match mcp::parse(&line) {
            Err((error, id)) => return Some(error.response(id).to_string()),
            Ok(message) => {
                if let Some(cancelled) = message.cancels() {
                    self.cancel(&cancelled);
                    return None;
                }
                (message.id.clone(), mcp::mirrored(&message), message.method == "ping")
            }
        };
        if self.open.len() >= MAX_OPEN {
            let error = RpcError::internal(format!("More than {MAX_OPEN} requests are in progress"));
            return id.map(|id| error.response(Some(id)).to_string());
        }
        let name = id.as_ref().map(Value::to_string);
        let (endpoint, places, to_end) = (self.endpoint.clone(), self.places.clone(), name.clone());
        let handle = self.open.spawn(async move {
            let _place = if is_ping { None } else { places.acquire_owned().await.ok() };
            let response = endpoint.post(headers, Bytes::from(line)).await;
            let failed = |reason| id.map(|id| RpcError::internal(reason).response(Some(id)).to_string());
            (to_end, response.unwrap_or_else(failed))
        });
        if let Some(name) = name {
            self.handles.insert(name, handle);
        }
        None
    }

    /// Ends a request without a response; the server ends its work when the connection closes.
    fn cancel(&mut self, id: &Value) {
        if let Some(handle) = self.handles.remove(&id.to_string()) {
            handle.abort();
        }
    }

    /// Forgets a request that has ended. Returns its response.
    fn end(&mut self, (id, response): (Option<String>, Option<String>)) -> Option<String> {
        if let Some(id) = id {
            self.handles.remove(&id);
        }
        response
    }
}
