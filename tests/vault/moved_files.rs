//! Files of a vault that were moved, replaced or linked while a server has them open: no
//! acknowledged write is lost, and no second server starts.

use std::fs;
use std::process::Command;

use crate::support::process::{Finished, Installation, Process};
use crate::support::{eventually, in_ci};
use http::Method;
use serde_json::json;

const FILES: [&str; 4] = ["strongroom.db", "strongroom.db-wal", "strongroom.db-shm", "strongroom.db.lock"];
const CREDENTIALS: &str = "/v1/integrations/openai/credentials";

/// An installation with a backup, a key and a running server.
async fn served() -> (Installation, String, Process) {
    let installation = Installation::new("").await;
    let key = installation.key("alice");
    installation.run(&["vault", "backup", "b.backup"]).must_succeed();
    let server = installation.serve().await;
    (installation, key, server)
}

/// Moves these files into the folder `away`.
fn move_away(installation: &Installation, files: &[&str]) {
    fs::create_dir_all(installation.path("away")).expect("a folder");
    for file in files {
        fs::rename(installation.path(file), installation.path("away").join(file)).expect("the file is there");
    }
}

/// Creates a credential; returns the status, and 0 if the server has gone.
async fn create(server: &Process, key: &str) -> u16 {
    let body = json!({"type": "api_key", "api_key": "k", "title": "t"});
    let sent = server.ask(Method::POST, CREDENTIALS).key(key).json(&body).try_send().await;
    sent.map_or(0, |reply| reply.status)
}

#[track_caller]
fn refused(finished: &Finished, why: &str) {
    assert_eq!(finished.0.status.code(), Some(1), "{}", finished.stderr());
    assert!(finished.stderr().contains(why), "{}", finished.stderr());
}

#[tokio::test]
async fn nothing_is_created_where_a_server_runs() {
    let (installation, _, server) = served().await;
    // Paused, so that it does not notice the move before the commands are run.
    server.signal("STOP");
    // As an operator does it who keeps the old vault: the lock file is no data, so it stays.
    move_away(&installation, &FILES[..3]);
    let path = installation.path("strongroom.db");
    let path = path.to_str().expect("a path in UTF-8");
    for command in [
        &["vault", "restore", "b.backup"][..],
        &["--config", "other/new.toml", "--vault", path, "init"],
        &["--vault", path, "dev", "--listen", "127.0.0.1:0"],
    ] {
        refused(&installation.run(command), "another server");
        assert!(!installation.path("strongroom.db").exists(), "{command:?}");
    }
    server.signal("CONT");
    assert_eq!(server.end().await.code(), Some(1));
}

#[tokio::test]
async fn backup_does_not_take_the_path_of_a_vault() {
    let (installation, _, _server) = served().await;
    refused(&installation.run(&["vault", "backup", "--force", "strongroom.db"]), "another server");
    let other = installation.folder.path().join("copy");
    fs::create_dir(&other).expect("a folder");
    fs::copy(installation.path("strongroom.db"), other.join("strongroom.db")).expect("a copy");
    for file in ["copy/strongroom.db", "strongroom.key", "strongroom.toml"] {
        let before = fs::read(installation.path(file)).expect("the file");
        refused(&installation.run(&["vault", "backup", "--force", file]), "is not a backup");
        assert!(fs::read(installation.path(file)).expect("the file") == before, "{file} was replaced");
    }
    installation.run(&["vault", "backup", "--force", "b.backup"]).must_succeed();
}

#[tokio::test]
async fn restore_beside_a_moved_vault_loses_no_acknowledged_write() {
    let (installation, key, server) = served().await;
    assert_eq!(create(&server, &key).await, 201);
    move_away(&installation, &FILES);
    installation.run(&["vault", "restore", "b.backup"]).must_succeed();
    let listed = server.ask(Method::GET, "/v1/integrations/credentials").key(&key).try_send().await;
    assert!(listed.map_or(0, |reply| reply.status) != 200, "the keys of the vault at the path are others");
    let ready = server.ask(Method::GET, "/readyz").try_send().await;
    assert!(matches!(ready.map_or(0, |reply| reply.status), 0 | 503));
    for _ in 0..5 {
        assert_ne!(create(&server, &key).await, 201, "acknowledged into a file that is not the vault");
    }
    let log = installation.log_length();
    assert_eq!(server.end().await.code(), Some(1));
    let said = installation.log_since(log.saturating_sub(4096));
    assert!(said.contains("strongroom.db was moved, removed or replaced"), "{said}");
    let status = installation.run(&["vault", "status", "--json"]).must_succeed().json();
    assert_eq!(status["credentials"], 0, "{status}");
    let moved = installation.run(&["--vault", "away/strongroom.db", "vault", "status", "--json"]).must_succeed().json();
    assert_eq!(moved["credentials"], 1, "the acknowledged write is in the moved vault: {moved}");
}

#[tokio::test]
async fn idle_server_stops_when_a_file_is_moved() {
    for file in FILES {
        let (installation, _, server) = served().await;
        move_away(&installation, &[file]);
        assert_eq!(server.end().await.code(), Some(1), "{file}");
    }
}

#[tokio::test]
async fn hard_linked_vault_is_refused() {
    let (installation, key, server) = served().await;
    fs::create_dir(installation.path("linked")).expect("a folder");
    let linked = "linked/strongroom.db";
    fs::hard_link(installation.path("strongroom.db"), installation.path(linked)).expect("a second name");
    for command in [&["--vault", linked, "serve"][..], &["--vault", linked, "key", "list"], &["key", "list"]] {
        let finished = installation.run(command);
        refused(&finished, "cp -al");
        assert!(finished.stderr().contains("rsync --link-dest") && finished.stderr().contains("cp -p"), "{command:?}");
    }
    assert_eq!(create(&server, &key).await, 201, "the server has its own name");
    assert_eq!(server.stop().code(), Some(0));
    // The advice, as it is printed.
    fs::copy(installation.path(linked), installation.path("strongroom.db.new")).expect("a copy");
    fs::rename(installation.path("strongroom.db.new"), installation.path("strongroom.db")).expect("in its place");
    assert_eq!(create(&installation.serve().await, &key).await, 201);
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn vault_mounted_as_a_single_file_is_refused() {
    let may = Command::new("unshare").args(["-rm", "true"]).output().is_ok_and(|ended| ended.status.success());
    if !may {
        assert!(!in_ci(), "CI allows mounts: nothing is skipped there");
        return eprintln!("skipped: no user namespaces here");
    }
    let installation = Installation::new("").await;
    let script = "mkdir alone && touch alone/v.db && mount --bind strongroom.db alone/v.db && \
                  exec \"$0\" --vault alone/v.db vault status";
    let ended = Command::new("unshare")
        .args(["-rm", "sh", "-c", script, env!("CARGO_BIN_EXE_strongroom")])
        .current_dir(installation.folder.path())
        .output()
        .expect("unshare runs");
    refused(&Finished(ended), "mounted as a single file");
}

#[tokio::test]
async fn second_name_of_the_vault_is_logged() {
    let (installation, _, server) = served().await;
    let said = || server.log().matches("has 2 names (hard links").count();
    let ready = async || server.ask(Method::GET, "/readyz").send().await.is(200);
    ready().await;
    assert_eq!(said(), 0);
    fs::hard_link(installation.path("strongroom.db"), installation.path("copy.db")).expect("a hard link");
    ready().await;
    ready().await;
    eventually("the log names it", async || said() == 1).await;
    fs::remove_file(installation.path("copy.db")).expect("the link");
    ready().await;
    fs::hard_link(installation.path("strongroom.db"), installation.path("copy.db")).expect("a hard link");
    ready().await;
    eventually("the log names it again", async || said() == 2).await;
}
