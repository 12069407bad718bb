//! Backups beside a server that writes: nothing acknowledged is missing, a kill leaves nothing half, memory stays flat; and what
//! Litestream does beside it.

use std::collections::{BTreeSet, VecDeque};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::support::http::Ask;
use crate::support::process::{Installation, Process};
use futures_util::{StreamExt as _, stream};
use http::Method;
use rusqlite::Connection;
use serde_json::json;
use strongroom::clock::Clock;
use strongroom::random::Random;
use strongroom::secret::Secret;
use strongroom::vault::{AuditContext, CredentialSecret, MasterKey, NewCredential, OpenMode, Vault};

/// Ids of the credentials that the callers created and deleted.
#[derive(Clone, Default)]
struct Known {
    created: BTreeSet<String>,
    /// Deletion requested, with any outcome.
    ending: BTreeSet<String>,
    deleted: BTreeSet<String>,
}

impl Known {
    /// Ids that must exist when all requests have ended.
    fn kept(&self) -> BTreeSet<String> {
        self.created.difference(&self.deleted).cloned().collect()
    }
}

/// Callers that store credentials one after the other and delete the oldest of theirs, so that the vault does not grow for
/// ever; every answer has to be 201 or 200.
struct Callers {
    stop: Arc<AtomicBool>,
    known: Arc<Mutex<Known>>,
    tasks: Vec<tokio::task::JoinHandle<()>>,
}

impl Callers {
    /// As many as each of them keeps.
    const KEPT: usize = 100;

    fn start(server: &Process, key: &str) -> Self {
        let (stop, known) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Known::default())));
        let call = |_| {
            let (url, key) = (format!("{}/v1/integrations/openai/credentials", server.url), key.to_owned());
            let (stop, known) = (Arc::clone(&stop), Arc::clone(&known));
            tokio::spawn(async move {
                let body = json!({"type": "api_key", "api_key": "k".repeat(2_000), "title": "t"});
                let mut mine = VecDeque::new();
                while !stop.load(Ordering::Relaxed) {
                    let made = Ask::new(Method::POST, url.clone()).key(&key).json(&body).send().await.is(201).json();
                    let id = made["id"].as_str().unwrap().to_owned();
                    known.lock().unwrap().created.insert(id.clone());
                    mine.push_back(id);
                    if mine.len() > Self::KEPT {
                        let oldest = mine.pop_front().unwrap();
                        known.lock().unwrap().ending.insert(oldest.clone());
                        Ask::new(Method::DELETE, format!("{url}/{oldest}")).key(&key).send().await.is(200);
                        known.lock().unwrap().deleted.insert(oldest);
                    }
                }
            })
        };
        Self { tasks: (0..3).map(call).collect(), stop, known }
    }

    fn known(&self) -> Known {
        self.known.lock().unwrap().clone()
    }

    async fn until_more(&self) {
        let before = self.known().created.len();
        crate::support::eventually("the server goes on writing", async || self.known().created.len() > before + 5)
            .await;
    }

    async fn end(self) -> Known {
        self.stop.store(true, Ordering::Relaxed);
        for task in self.tasks {
            task.await.unwrap();
        }
        self.known.lock().unwrap().clone()
    }
}

/// The ids in the vault at `path`, by the command line.
fn listed(installation: &Installation, path: &str) -> BTreeSet<String> {
    let listed = installation.run(&["credential", "list", "--json", "--vault", path]).must_succeed().json();
    listed.as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap().to_owned()).collect()
}

/// Puts credentials of that many bytes into the installation's vault.
async fn fill(installation: &Installation, count: u32, bytes: usize) {
    let key =
        MasterKey::parse_file_text(&std::fs::read_to_string(installation.path("strongroom.key")).unwrap()).unwrap();
    let vault =
        Vault::open(&installation.path("strongroom.db"), &key, OpenMode::Command, Clock::system(), Random).unwrap();
    let secret = Secret::new("s".repeat(bytes));
    let store = |_| {
        let (vault, secret) = (vault.clone(), secret.clone());
        async move {
            let (alice, openai) = ("alice".parse().unwrap(), "openai".parse().unwrap());
            let new = NewCredential::plain(alice, openai, "t", CredentialSecret::ApiKey(secret));
            vault.credentials().insert(new, &AuditContext::system()).await.unwrap();
        }
    };
    stream::iter(0..count).map(store).buffer_unordered(64).collect::<Vec<()>>().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn backup_beside_a_writer_holds_what_was_acknowledged() {
    let installation = Installation::new("").await;
    let key = installation.key("alice");
    let server = installation.serve().await;
    let callers = Callers::start(&server, &key);
    let mut acknowledged = 0;
    for round in 0..crate::support::campaign(2, 10, 100) {
        callers.until_more().await;
        let before = callers.known();
        installation.run(&["vault", "backup", "b"]).must_succeed();
        let after = callers.known();
        installation.run(&["vault", "restore", "b", "--vault", "r.db"]).must_succeed();
        let there = listed(&installation, "r.db");
        let missing: Vec<_> =
            before.created.iter().filter(|id| !after.ending.contains(*id) && !there.contains(*id)).collect();
        assert!(missing.is_empty(), "round {round}: {missing:?}");
        let back: Vec<_> = before.deleted.intersection(&there).collect();
        assert!(back.is_empty(), "round {round}: {back:?}");
        acknowledged = before.created.len() + before.deleted.len();
        std::fs::remove_file(installation.path("b")).unwrap();
        for file in ["r.db", "r.db-wal", "r.db-shm"] {
            let _ = std::fs::remove_file(installation.path(file));
        }
    }
    println!("{acknowledged} writes acknowledged before the last backup began");
    callers.end().await;
    assert!(server.stop().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kill_leaves_a_whole_backup_or_none() {
    let installation = Installation::new("").await;
    fill(&installation, 100, 60_000).await;
    let takes = time(&installation, &["vault", "backup", "b"]);
    for round in 0..crate::support::campaign(4, 30, 150) {
        let name = format!("b{round}");
        let killed = kill_after(&installation, &["vault", "backup", &name], moment(takes, round));
        let path = installation.path(&name);
        if path.exists() {
            installation.run(&["vault", "restore", &name, "--verify"]).must_succeed();
            std::fs::remove_file(path).unwrap();
        } else {
            assert!(killed, "it ended by itself and left nothing");
        }
    }
    // A restore is as whole or as absent.
    let takes = time(&installation, &["vault", "restore", "b", "--vault", "r.db"]);
    for round in 0..crate::support::campaign(4, 30, 150) {
        if installation.path("r.db").exists() {
            assert_eq!(listed(&installation, "r.db").len(), 100, "round {round}");
            for file in ["r.db", "r.db-wal", "r.db-shm"] {
                let _ = std::fs::remove_file(installation.path(file));
            }
        }
        kill_after(&installation, &["vault", "restore", "b", "--vault", "r.db"], moment(takes, round));
    }
    installation.run(&["doctor"]).must_succeed();
}

/// Time that the command takes on this machine.
fn time(installation: &Installation, arguments: &[&str]) -> Duration {
    let begun = Instant::now();
    installation.run(arguments).must_succeed();
    begun.elapsed()
}

/// A moment of a command that takes so long, or soon after its end: the rounds are spread over all of it.
fn moment(takes: Duration, round: u32) -> Duration {
    takes * (10 + round * 37 % 110) / 100
}

/// Returns true if the command was still running.
fn kill_after(installation: &Installation, arguments: &[&str], moment: Duration) -> bool {
    let mut child = command(installation.folder.path(), arguments).spawn().unwrap();
    std::thread::sleep(moment);
    let at_it = child.try_wait().unwrap().is_none();
    let _ = child.kill();
    child.wait().unwrap();
    at_it
}

fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_strongroom"));
    command.args(arguments).current_dir(folder).env_clear().stdin(Stdio::null());
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command
}

/// The most memory that the command had, in KiB.
#[cfg(target_os = "linux")]
fn most_memory(installation: &Installation, arguments: &[&str]) -> u64 {
    let mut child = command(installation.folder.path(), arguments).spawn().unwrap();
    let mut most = 0;
    let status = loop {
        let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        most = line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(most);
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        std::thread::sleep(Duration::from_millis(2));
    };
    assert!(status.success(), "{arguments:?}: {status}");
    most
}

/// At its full count the vault has 200 MB.
#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory_does_not_grow_with_the_vault() {
    let installation = Installation::new("").await;
    let commands = |name: &'static str| -> [Vec<&str>; 3] {
        [
            vec!["vault", "backup", name],
            vec!["vault", "restore", name, "--verify"],
            vec!["vault", "restore", name, "--vault", "r.db"],
        ]
    };
    let measure = |name| commands(name).map(|command| most_memory(&installation, &command));
    let small = measure("small");
    std::fs::remove_file(installation.path("r.db")).unwrap();
    fill(&installation, crate::support::campaign(600, 2_500, 10_000), 20_000).await;
    let large = measure("large");
    let size = std::fs::metadata(installation.path("large")).unwrap().len() >> 20;
    println!("{size} MiB: backup, verify and restore took {large:?} KiB at most; with an empty vault {small:?} KiB");
    // Writing keeps a row and a chunk; reading has a cache of 8 MiB and verifies some hundred records at a time, which shows
    // where the vault is larger than that: at the reduced and the full count.
    for ((small, large), most) in small.iter().zip(large).zip([6, 32, 32]) {
        assert!(large < small + most * 1024, "{size} MiB took {large} KiB, and none {small} KiB");
    }
}

/// Acts like Litestream: holds a read transaction, runs checkpoints, and sometimes one that restarts the log.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn checkpoints_by_another_process_block_nothing() {
    let installation = Installation::new("").await;
    let key = installation.key("alice");
    let mut kept = BTreeSet::new();
    for round in 0..crate::support::campaign(2, 10, 60) {
        let server = installation.serve().await;
        let callers = Callers::start(&server, &key);
        for mode in ["PASSIVE", "RESTART", "PASSIVE", "TRUNCATE", "FULL"] {
            let path = installation.path("strongroom.db");
            let reader = Connection::open(&path).unwrap();
            reader.execute_batch("BEGIN; SELECT count(*) FROM credential").unwrap();
            checkpoint(&path, "PASSIVE");
            callers.until_more().await;
            reader.execute_batch("COMMIT").unwrap();
            checkpoint(&path, mode);
            callers.until_more().await;
        }
        if round % 2 == 0 {
            kept.extend(callers.end().await.kept());
            server.kill();
        } else {
            kept.extend(callers.end().await.kept());
            assert!(server.stop().success());
        }
        let there = listed(&installation, "strongroom.db");
        assert_eq!(there, kept, "round {round}");
    }
    installation.run(&["doctor"]).must_succeed();
    installation.run(&["audit", "verify"]).must_succeed();
}

/// As another process would; one that cannot be done now says so and does no harm.
fn checkpoint(path: &Path, mode: &str) {
    let connection = Connection::open(path).unwrap();
    connection.busy_timeout(Duration::from_millis(500)).unwrap();
    let row = connection.query_row(&format!("PRAGMA wal_checkpoint({mode})"), [], |row| row.get::<_, i64>(0));
    assert!(matches!(row, Ok(0 | 1)), "{row:?}");
}
