//! The attacker with a SQL shell, with another account on the machine, with the wrong key: against the real binary, from
//! outside. What the vault does row by row is held in `src/vault/tests`.

use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::process::{Finished, Installation, Process};
use http::Method;
use rusqlite::Connection;
use serde_json::json;

const CREDENTIALS: &str = "/v1/integrations/credentials";

/// Runs SQL on the vault's file, as an attacker would.
fn attack(installation: &Installation, sql: &str) {
    Connection::open(installation.path("strongroom.db")).unwrap().execute_batch(sql).unwrap();
}

async fn store(server: &Process, key: &str, secret: &str) {
    let body = json!({"type": "api_key", "api_key": secret, "title": "t"});
    server.ask(Method::POST, "/v1/integrations/openai/credentials").key(key).json(&body).send().await.is(201);
}

async fn status(server: &Process, key: &str) -> u16 {
    server.ask(Method::GET, CREDENTIALS).key(key).send().await.status
}

/// Checks that a command failed with this exit code, and returns its message.
#[track_caller]
fn failed_with(code: i32, finished: &Finished) -> String {
    let said = finished.stderr();
    assert_eq!((finished.0.status.code(), finished.stdout().as_str()), (Some(code), ""), "{said}");
    assert!(said.starts_with("error: "), "{said}");
    said
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[tokio::test]
async fn edited_row_is_rejected_and_other_users_are_served() {
    let installation = Installation::new("").await;
    let (alice, bob) = (installation.key("alice"), installation.key("bob"));
    let server = installation.serve().await;
    store(&server, &alice, "of-alice").await;
    store(&server, &bob, "of-bob").await;
    attack(&installation, "UPDATE credential SET expires_at = 1 WHERE user = 'alice'");
    let listed = server.ask(Method::GET, CREDENTIALS).key(&alice).send().await.is(200);
    assert_eq!((listed.header("strongroom-damaged"), listed.json()), (Some("1"), json!([])));
    assert!(server.log().contains("the vault is damaged in table credential, row "));
    assert_eq!(status(&server, &bob).await, 200);
}

#[tokio::test]
async fn row_given_to_another_user_is_rejected() {
    let installation = Installation::new("").await;
    let (alice, bob) = (installation.key("alice"), installation.key("bob"));
    let server = installation.serve().await;
    store(&server, &alice, "of-alice").await;
    attack(
        &installation,
        "PRAGMA foreign_keys = OFF; UPDATE credential SET user = 'bob'; UPDATE credential_secret SET user = 'bob'",
    );
    let listed = server.ask(Method::GET, CREDENTIALS).key(&bob).send().await.is(200);
    assert_eq!((listed.header("strongroom-damaged"), listed.json()), (Some("1"), json!([])));
    assert_eq!(server.ask(Method::GET, CREDENTIALS).key(&alice).send().await.is(200).json(), json!([]));
}

#[tokio::test]
async fn revoked_key_stays_revoked_after_a_rollback() {
    let installation = Installation::new("").await;
    let key = installation.key("alice");
    let server = installation.serve().await;
    assert_eq!(status(&server, &key).await, 200);
    attack(
        &installation,
        "CREATE TABLE key_before AS SELECT * FROM api_key; CREATE TABLE manifest_before AS SELECT * FROM manifest",
    );
    let id = installation.run(&["key", "list", "--json"]).must_succeed().json()[0]["id"].as_str().unwrap().to_owned();
    installation.run(&["key", "revoke", &id]).must_succeed();
    assert_eq!(status(&server, &key).await, 401);
    for table in ["api_key", "manifest"] {
        let before = table.trim_start_matches("api_");
        attack(&installation, &format!("DELETE FROM {table}; INSERT INTO {table} SELECT * FROM {before}_before"));
        assert_ne!(status(&server, &key).await, 200, "{table}");
    }
}

#[tokio::test]
async fn sql_cannot_create_widen_or_restore_an_api_key() {
    let installation = Installation::new("").await;
    let key = installation.key("alice");
    attack(&installation, "CREATE TABLE before AS SELECT * FROM api_key");
    let id = installation.run(&["key", "list", "--json"]).must_succeed().json()[0]["id"].as_str().unwrap().to_owned();
    installation.run(&["key", "revoke", &id]).must_succeed();
    let good = std::fs::read(installation.path("strongroom.db")).unwrap();
    for change in [
        "UPDATE api_key SET permissions = permissions || ' ADMIN'",
        "UPDATE api_key SET providers = 'openai'",
        "UPDATE api_key SET user = NULL, service = 1",
        "UPDATE api_key SET user = 'bob'",
        "UPDATE api_key SET revoked_at = NULL",
        "UPDATE api_key SET lookup = randomblob(32)",
        "DELETE FROM api_key",
        "DELETE FROM api_key; INSERT INTO api_key SELECT * FROM before",
        "UPDATE before SET id = '0192d3f0-7c3a-7000-8000-00000000000f', lookup = randomblob(32);
         INSERT INTO api_key SELECT * FROM before",
    ] {
        attack(&installation, change);
        let said = failed_with(4, &installation.run(&["key", "list"]));
        assert!(said.contains("the vault is damaged in table api_key"), "{change}: {said}");
        let server = installation.serve().await;
        assert_eq!(status(&server, &key).await, 500, "{change}");
        assert!(server.stop().success());
        std::fs::write(installation.path("strongroom.db"), &good).unwrap();
    }
}

#[tokio::test]
async fn each_vault_fault_has_its_message_and_exit_code() {
    let installation = Installation::new("").await;
    installation.run(&["user", "add", "alice"]).must_succeed();
    let db = installation.path("strongroom.db");
    let good = std::fs::read(&db).unwrap();
    for (change, code, message) in [
        ("UPDATE slot SET wrapped_root = randomblob(72)", 4, "keyring is damaged"),
        ("UPDATE key SET wrapped = randomblob(72) WHERE purpose = 'data'", 4, "keyring is damaged"),
        ("UPDATE key SET version = -1 WHERE purpose = 'data'", 4, "keyring is damaged"),
        ("UPDATE user SET created_at = 0", 4, "damaged in table user, row alice"),
        ("UPDATE user SET data_key = -1", 4, "damaged"),
        ("DELETE FROM manifest", 4, "damaged in table manifest"),
        ("PRAGMA user_version = 70", 1, "format 70 and this program knows up to "),
        ("PRAGMA application_id = 7", 4, "is not a vault of Strongroom"),
    ] {
        // A row that no column could hold: the constraint is the schema's, and the attacker need not keep to it.
        attack(&installation, &format!("PRAGMA ignore_check_constraints = ON; {change}"));
        let said = failed_with(code, &installation.run(&["user", "list"]));
        assert!(said.contains(message), "{change}: {said}");
        std::fs::write(&db, &good).unwrap();
    }
    std::fs::write(&db, &good[..good.len() / 2]).unwrap();
    failed_with(4, &installation.run(&["user", "list"]));
    std::fs::write(&db, b"not a database, and longer than a header of one hundred bytes".repeat(4)).unwrap();
    failed_with(4, &installation.run(&["user", "list"]));
    std::fs::remove_file(&db).unwrap();
    assert!(failed_with(1, &installation.run(&["user", "list"])).contains("there is no vault at"));
}

#[tokio::test]
async fn wrong_and_mistyped_keys_are_told_apart() {
    let (installation, other) = (Installation::new("").await, Installation::new("").await);
    let file = installation.path("strongroom.key");
    let own = std::fs::read_to_string(&file).unwrap();
    let foreign = std::fs::read_to_string(other.path("strongroom.key")).unwrap();
    std::fs::remove_file(&file).unwrap();
    let last = if own.trim_end().ends_with('a') { "b" } else { "a" };
    let mistyped = format!("{}{last}", &own.trim_end()[..own.trim_end().len() - 1]);
    for (key, message) in [(&foreign, "does not open the vault"), (&mistyped, "its checksum is wrong")] {
        std::fs::write(&file, key).unwrap();
        let said = failed_with(3, &installation.run(&["user", "list"]));
        assert!(said.contains(message) && !said.contains(&key.trim_end()[4..]), "{said}");
    }
}

#[tokio::test]
async fn files_are_private_under_any_umask() {
    let installation = Installation::new("").await;
    let script = "umask 000; exec \"$0\" --config new/folder/s.toml --vault new/folder/s.db init";
    let made = Command::new("sh")
        .args(["-c", script, env!("CARGO_BIN_EXE_strongroom")])
        .current_dir(installation.folder.path())
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    for (name, expected) in [
        ("new", 0o700),
        ("new/folder", 0o700),
        ("new/folder/s.db", 0o600),
        ("new/folder/s.toml", 0o600),
        ("new/folder/strongroom.key", 0o400),
    ] {
        assert_eq!(mode(&installation.path(name)), expected, "{name}");
    }
    let key = installation.key("alice");
    let server = installation.serve().await;
    store(&server, &key, "a secret").await;
    for name in ["strongroom.db", "strongroom.db-wal", "strongroom.db-shm", "strongroom.db.lock"] {
        assert_eq!(mode(&installation.path(name)), 0o600, "{name}");
    }
}

#[tokio::test]
async fn links_instead_of_vault_or_lock_are_rejected() {
    let installation = Installation::new("").await;
    symlink("strongroom.db", installation.path("link.db")).unwrap();
    assert!(failed_with(4, &installation.run(&["--vault", "link.db", "user", "list"])).contains("is not a vault"));
    let bystander = installation.path("bystander");
    std::fs::write(&bystander, "untouched").unwrap();
    let _ = std::fs::remove_file(installation.path("strongroom.db.lock"));
    symlink(&bystander, installation.path("strongroom.db.lock")).unwrap();
    let refused = installation.run(&["serve"]);
    assert_eq!(refused.0.status.code(), Some(1), "{}", refused.stderr());
    assert!(refused.stderr().contains("strongroom.db.lock"), "{}", refused.stderr());
    // A dangling link: a vault created through it would be where the attacker wants it.
    symlink("elsewhere.db", installation.path("new.db")).unwrap();
    failed_with(1, &installation.run(&["--config", "n.toml", "--vault", "new.db", "init"]));
    assert!(!installation.path("elsewhere.db").exists());
    assert_eq!(std::fs::read_to_string(bystander).unwrap(), "untouched");
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn other_user_sees_neither_process_nor_files() {
    let installation = Installation::new("").await;
    let server = installation.serve().await;
    let pid = server.id();
    let limits = std::fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().filter(|word| *word == "0").count(), 2, "no core files: {core}");
    let argv = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap();
    assert!(!argv.contains("srm_") && !argv.contains("srk_"), "{argv}");
    // The folder opened up, so that the files have to hold by themselves.
    std::fs::set_permissions(installation.folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let of_process = ["environ", "mem", "maps", "fd/0"].map(|name| PathBuf::from(format!("/proc/{pid}/{name}")));
    let files = ["strongroom.db", "strongroom.db-wal", "strongroom.key", "strongroom.toml"];
    for path in of_process.into_iter().chain(files.map(|name| installation.path(name))) {
        let as_nobody = |command: &[&str]| {
            let mut nobody = Command::new("setpriv");
            nobody.args(["--reuid=65534", "--regid=65534", "--clear-groups", "--"]).args(command).output()
        };
        // Only root can become another user.
        if !as_nobody(&["true"]).is_ok_and(|ended| ended.status.success()) {
            return;
        }
        assert!(path.symlink_metadata().is_ok(), "it is there to be read: {}", path.display());
        let read = as_nobody(&["head", "-c", "1", path.to_str().unwrap()]).unwrap();
        assert!(!read.status.success() && read.stdout.is_empty(), "{}", path.display());
    }
}

/// An attacker with the file and without the key reads exactly what `docs/security.md` lists. A new plaintext column has
/// to be added there and here.
#[tokio::test]
async fn plaintext_is_what_the_security_page_lists() {
    let installation = Installation::new("").await;
    let connection = Connection::open(installation.path("strongroom.db")).unwrap();
    let mut statement = connection
        .prepare(
            "SELECT m.name || ': ' || group_concat(c.name, ' ') FROM sqlite_schema m, pragma_table_info(m.name) c
             WHERE m.type = 'table' AND c.type = 'TEXT' GROUP BY m.name ORDER BY m.name",
        )
        .unwrap();
    let texts: Vec<String> = statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    assert_eq!(
        texts,
        [
            "api_key: id name user users permissions providers credentials",
            "approval: id key credential lookup status",
            "audit: action result actor user provider credential subject address request_id",
            "credential: user id provider kind status",
            "credential_secret: user id",
            "key: purpose state",
            "pending_authorization: user provider",
            "revocation: id user provider credential",
            "signing_key: id",
            "slot: kind",
            "usage: user",
            "user: id",
        ]
    );
}
