//! `strongroom run --check`: one probe for each tool on `PATH`, in the environment of a command.
//!
//! A probe asks for hosts that do not exist. The relay notes which of them it was asked for, so the
//! table shows facts and not the exit codes of the tools.

use std::ffi::OsStr;
use std::process::Stdio;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;

use super::child;
use super::environment::ChildEnvironment;
use super::relay::{CHECK_HOST, RelayState};
use crate::cli::failure::Failure;
use crate::cli::output::Output;

/// Time that a probe may take.
const TIME_LIMIT: Duration = Duration::from_secs(15);

/// The tools: name, a command that succeeds if the tool is there, and a command that requests URL at
/// HOST.
const TOOLS: [(&str, &[&str], &[&str]); 11] = [
    ("curl", &["curl", "--version"], &["curl", "-s", "URL"]),
    ("wget", &["wget", "--version"], &["wget", "-q", "-t", "1", "-O", "-", "URL"]),
    ("git", &["git", "--version"], &["git", "ls-remote", "URL"]),
    (
        "python urllib",
        &["python3", "--version"],
        &["python3", "-c", "import sys, urllib.request as u; u.urlopen(sys.argv[1])", "URL"],
    ),
    (
        "python requests",
        &["python3", "-c", "import requests"],
        &["python3", "-c", "import sys, requests; requests.get(sys.argv[1])", "URL"],
    ),
    (
        "python httpx",
        &["python3", "-c", "import httpx"],
        &["python3", "-c", "import sys, httpx; httpx.get(sys.argv[1])", "URL"],
    ),
    (
        "pip",
        &["python3", "-m", "pip", "--version"],
        &["python3", "-m", "pip", "download", "-q", "--retries", "0", "--trusted-host", "HOST", "-i", "URL", "none"],
    ),
    ("node fetch", &["node", "--version"], &["node", "-e", "fetch(process.argv[1]).catch(() => {})", "URL"]),
    ("npm", &["npm", "--version"], &["npm", "view", "none", "--fetch-retries", "0", "--registry", "URL"]),
    (
        "cargo",
        &["cargo", "--version"],
        &["env", "CARGO_NET_RETRY=0", "cargo", "search", "none", "--index", "sparse+URL"],
    ),
    ("go", &["go", "version"], &["env", "GOPROXY=URL", "GO111MODULE=on", "go", "list", "-m", "a.example/none@latest"]),
];

/// Result for one tool.
struct Probed {
    tool: &'static str,
    http: bool,
    https: bool,
}

/// Probes each tool, and prints a table.
pub(super) async fn check(
    relay: &Arc<RelayState>,
    environment: &ChildEnvironment,
    out: &mut Output,
) -> Result<(), Failure> {
    let probed = TOOLS.map(|(tool, is_there, request)| async move {
        if !succeeds(is_there, environment).await {
            return None;
        }
        let mut seen = [false; 2];
        for (scheme, seen) in ["http", "https"].into_iter().zip(&mut seen) {
            let host = format!("{scheme}-{}.{CHECK_HOST}", tool.replace(' ', "-"));
            let url = format!("{scheme}://{host}/");
            let words: Vec<_> = request.iter().map(|word| word.replace("URL", &url).replace("HOST", &host)).collect();
            succeeds(&words, environment).await;
            *seen = relay.checked.lock().unwrap_or_else(PoisonError::into_inner).contains(&host);
        }
        Some(Probed { tool, http: seen[0], https: seen[1] })
    });
    let rows: Vec<Probed> = join_all(probed).await.into_iter().flatten().collect();
    let word = |is_through: bool| if is_through { "through the relay" } else { "past the relay" }.to_owned();
    out.table(&rows, ["TOOL", "HTTP", "HTTPS"], |row| [row.tool.to_owned(), word(row.http), word(row.https)])
}

/// Runs a command without input and output; returns true if it succeeds in time.
async fn succeeds(words: &[impl AsRef<OsStr>], environment: &ChildEnvironment) -> bool {
    let words: Vec<_> = words.iter().map(|word| word.as_ref().to_owned()).collect();
    let mut command = child::command(&words, environment);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
    // git would ask for a password.
    command.env("GIT_TERMINAL_PROMPT", "0");
    let ended = tokio::time::timeout(TIME_LIMIT, command.status()).await;
    matches!(ended, Ok(Ok(status)) if status.success())
}
