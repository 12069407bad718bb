//! Backups by the clock: when one is due, how many stay, and what is never touched.

use std::path::Path;
use std::time::Duration;

use crate::support::process::Installation;
use crate::support::{Server, Setup};
use strongroom::broker::{backup_name, backup_status};
use strongroom::clock::{Clock, UnixTime};
use strongroom::random::Random;
use strongroom::vault::{AuditContext, BackupSource, BackupStop, Existing, MasterKey, Restorer, Vault};

const DAY: Duration = Duration::from_secs(86_400);

async fn server(folder: &Path, further: &str) -> Server {
    let config = format!("[backup]\ndirectory = \"{}\"\nkeep = 3\n{further}\n", folder.display());
    Server::with(Setup { config, ..Setup::default() }).await
}

/// Returns true if a backup was due and written.
async fn backs_up(server: &Server) -> bool {
    server.broker.back_up_if_due().await.unwrap().is_some()
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[tokio::test]
async fn backup_is_written_if_the_newest_is_too_old() {
    let folder = tempfile::tempdir().unwrap();
    let server = server(folder.path(), "").await;
    assert!(backs_up(&server).await, "there is none yet");
    assert!(!backs_up(&server).await);
    server.clock.advance(Duration::from_secs(86_399));
    assert!(!backs_up(&server).await);
    server.clock.advance(Duration::from_secs(1));
    assert!(backs_up(&server).await);
    // Another process of the same vault, after a restart say, goes by the same files.
    let config = format!("[backup]\ndirectory = \"{}\"\n", folder.path().display());
    let (vault, clock) = (Some(server.vault.clone()), Some(server.clock.clone()));
    let again = Server::with(Setup { config, vault, clock, ..Setup::default() }).await;
    assert!(!backs_up(&again).await, "nothing is written twice");
    server.clock.advance(DAY);
    let by_hand = folder.path().join(backup_name(&server.vault, server.clock.now()));
    server.vault.backups().write(&by_hand, Existing::Keep, &BackupStop::default()).unwrap();
    assert!(!backs_up(&again).await, "one that was written by hand counts");
    assert_eq!(names(folder.path()).len(), 3);
}

#[tokio::test]
async fn oldest_backups_are_removed_after_a_new_one() {
    let folder = tempfile::tempdir().unwrap();
    let server = server(folder.path(), "").await;
    let mut written = Vec::new();
    for _ in 0..6 {
        let made = server.broker.back_up_if_due().await.unwrap().unwrap();
        written.push(made.path.file_name().unwrap().to_str().unwrap().to_owned());
        server.clock.advance(DAY);
    }
    assert_eq!(names(folder.path()), written[3..]);
    // Where none can be written, none goes.
    std::fs::remove_dir_all(folder.path()).unwrap();
    std::fs::write(folder.path(), "no folder").unwrap();
    assert!(server.broker.back_up_if_due().await.is_err());
    std::fs::remove_file(folder.path()).unwrap();
    std::fs::create_dir(folder.path()).unwrap();
    assert!(backs_up(&server).await, "and it is tried again");
}

#[tokio::test]
async fn backups_from_a_fast_clock_are_removed_first() {
    let folder = tempfile::tempdir().unwrap();
    let server = server(folder.path(), "").await;
    let right = server.clock.now();
    let mut written = Vec::new();
    for begin in [right.plus(DAY * 3_650), right] {
        server.clock.set(begin);
        for _ in 0..3 {
            let made = server.broker.back_up_if_due().await.unwrap().unwrap();
            written.push(made.path.file_name().unwrap().to_str().unwrap().to_owned());
            server.clock.advance(DAY);
        }
    }
    assert_eq!(names(folder.path()), written[3..]);
}

#[tokio::test]
async fn only_backups_of_this_vault_are_removed() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let server = server(folder.path(), "").await;
    let clock = Clock::manual(UnixTime(1_000_000_000));
    let old = |day: i64| backup_name(&server.vault, UnixTime(1_000_000_000 + day * 86_400));
    // Another vault's backups, under its own name and under one of ours; what is no backup under such a name; a link; a folder.
    let other = Vault::create(&at("other.db"), &MasterKey::generate(Random), clock.clone(), Random).unwrap();
    let theirs = backup_name(&other, clock.now());
    for name in [theirs.as_str(), &old(1), &old(2)] {
        other.backups().write(&at(name), Existing::Keep, &BackupStop::default()).unwrap();
    }
    drop(other);
    for file in ["other.db", "other.db.lock", "other.db-wal", "other.db-shm"] {
        let _ = std::fs::remove_file(at(file));
    }
    std::fs::write(at(&old(3)), "strongroom backup, says a note").unwrap();
    std::fs::write(at("notes.txt"), "mine").unwrap();
    std::fs::create_dir(at(&old(4))).unwrap();
    std::os::unix::fs::symlink(at(&theirs), at(&old(5))).unwrap();
    let strange = names(folder.path());
    let mut written = Vec::new();
    for _ in 0..5 {
        assert!(backs_up(&server).await, "what is not ours does not count");
        written = names(folder.path());
        written.retain(|name| !strange.contains(name));
        server.clock.advance(DAY);
    }
    assert_eq!(written.len(), 3);
    let left = names(folder.path());
    assert!(strange.iter().all(|name| left.contains(name)), "{left:?}");
}

#[tokio::test]
async fn future_backup_does_not_prevent_the_next() {
    let folder = tempfile::tempdir().unwrap();
    let server = server(folder.path(), "").await;
    let now = server.clock.now();
    server.clock.advance(DAY * 3_650);
    for _ in 0..3 {
        assert!(backs_up(&server).await, "the clock is ten years ahead");
        server.clock.advance(DAY);
    }
    server.clock.set(now);
    assert!(backs_up(&server).await, "now it is right");
    let status = backup_status(&server.broker.config().backup, &server.vault, now).unwrap();
    assert_eq!((status.newest, status.kept), (Some(now), 3));
}

#[tokio::test]
async fn restored_vault_writes_no_backup_before_promotion() {
    let folder = tempfile::tempdir().unwrap();
    let (key, clock) = (MasterKey::generate(Random), Clock::manual(UnixTime(1_800_000_000)));
    let at = |name: &str| folder.path().join(name);
    let first = Vault::create(&at("v.db"), &key, clock.clone(), Random).unwrap();
    first.backups().write(&at("b"), Existing::Keep, &BackupStop::default()).unwrap();
    let with = Restorer { master: &key, clock: clock.clone(), random: Random };
    with.restore(BackupSource::open(&at("b")).unwrap(), &at("r.db"), false, &AuditContext::command_line()).unwrap();
    let restored = Vault::open(&at("r.db"), &key, strongroom::vault::OpenMode::Server, clock.clone(), Random).unwrap();
    let backups = tempfile::tempdir().unwrap();
    let config = format!("[backup]\ndirectory = \"{}\"\n", backups.path().display());
    let setup = Setup { config, vault: Some(restored), clock: Some(clock), ..Setup::default() };
    let server = Server::with(setup).await;
    assert!(!backs_up(&server).await && names(backups.path()).is_empty());
    server.vault.standby().promote(&AuditContext::command_line()).await.unwrap();
    assert!(backs_up(&server).await);
}

#[tokio::test]
async fn server_writes_its_backup_once_across_restarts() {
    let folder = tempfile::tempdir().unwrap();
    let installation = Installation::new(&format!("[backup]\ndirectory = \"{}\"\n", folder.path().display())).await;
    let doctor = || installation.run(&["doctor"]).stdout();
    assert!(doctor().contains("there is none yet"), "{}", doctor());
    let server = installation.serve().await;
    let written = || server.log().contains("backup written");
    crate::support::eventually("the server writes a backup", async || written()).await;
    server.kill();
    let server = installation.serve().await;
    let status = installation.run(&["vault", "status", "--json"]).must_succeed().json();
    assert_eq!((&status["backups"]["kept"], &status["backups"]["due"]), (&1.into(), &false.into()));
    assert!(doctor().contains("1 backups are in"), "{}", doctor());
    assert!(server.stop().success());
    let names = names(folder.path());
    assert_eq!(names.len(), 1, "{names:?}");
    let path = folder.path().join(&names[0]);
    installation.run(&["vault", "restore", path.to_str().unwrap(), "--verify"]).must_succeed();
    let audit = installation.run(&["audit", "list", "--action", "vault.backup"]).must_succeed().stdout();
    assert!(audit.contains("system"), "{audit}");
}

#[tokio::test]
async fn backup_to_stdout_is_restored_from_stdin() {
    let installation = Installation::new("").await;
    installation.key("alice");
    let streamed = installation.run(&["vault", "backup", "-"]).must_succeed();
    assert!(streamed.0.stdout.starts_with(b"strongroom backup"));
    let said = streamed.stderr();
    assert!(said.starts_with("not in the backup: ") && said.lines().count() == 1, "{said}");
    assert_eq!(installation.audited("vault.backup"), 1);
    std::fs::write(installation.path("piped"), &streamed.0.stdout).unwrap();
    let restored = std::process::Command::new(env!("CARGO_BIN_EXE_strongroom"))
        .args(["vault", "restore", "-", "--verify"])
        .current_dir(installation.folder.path())
        .stdin(std::fs::File::open(installation.path("piped")).unwrap())
        .output()
        .unwrap();
    assert!(restored.status.success(), "{}", String::from_utf8_lossy(&restored.stderr));
    let both = installation.run(&["vault", "backup", "-", "--json"]);
    assert_eq!((both.0.status.code(), both.0.stdout.as_slice()), (Some(2), b"".as_slice()));
}

#[tokio::test]
async fn backup_is_not_written_to_a_terminal() {
    let installation = Installation::new("").await;
    let command = format!("{} vault backup -", env!("CARGO_BIN_EXE_strongroom"));
    // `script` (util-linux) runs a command on a terminal of its own.
    let said = std::process::Command::new("script")
        .args(["-qec", &command, "/dev/null"])
        .current_dir(installation.folder.path())
        .stdin(std::process::Stdio::null())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&said.stdout);
    assert!(said.status.code() == Some(2) && text.contains("not written to a terminal"), "{text}");
}
