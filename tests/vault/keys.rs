//! Master keys and data keys change while the vault is in use, from the command line.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::support::command::Desk;
use crate::support::process::Installation;
use http::Method;
use serde_json::json;
use strongroom::clock::Clock;
use strongroom::random::Random;
use strongroom::secret::Secret;
use strongroom::vault::{MasterKey, Vault};

/// A desk with a vault in which a credential is.
fn desk() -> Desk {
    let desk = Desk::initialised();
    let add = ["credential", "add", "openai", "--user", "alice", "--title", "one", "--from-file", "-"];
    desk.run_with(&add, "sk-1").succeeded();
    desk
}

/// That the configuration's own master key opens the vault, and everything in it holds.
#[track_caller]
fn assert_whole(desk: &Desk) {
    let report = desk.run(&["vault", "verify", "--json"]).succeeded().json();
    assert_eq!((&report["holds"], &report["records"]), (&json!(true), &json!(3)), "{report}");
}

fn slots(desk: &Desk) -> Vec<i64> {
    let listed = desk.run(&["vault", "slot", "list", "--json"]).succeeded().json();
    listed.as_array().unwrap().iter().map(|slot| slot["id"].as_i64().unwrap()).collect()
}

#[test]
fn recovery_passphrase_works_beside_the_key_file() {
    let desk = desk();
    desk.run_with(&["vault", "slot", "add", "--passphrase", "stdin"], "correct horse\n").succeeded();
    assert_eq!(slots(&desk), [1, 2]);
    std::fs::rename(desk.path("strongroom.key"), desk.path("lost.key")).unwrap();
    desk.write("recovery.toml", "[vault]\npassphrase = \"stdin\"\n");
    let by_passphrase = ["--config", "recovery.toml", "credential", "list", "--user", "alice", "--json"];
    let listed = desk.run_with(&by_passphrase, "correct horse\n").succeeded().json();
    assert_eq!(listed[0]["title"], "one");
    desk.run_with(&by_passphrase, "wrong horse\n").ended_with(3);
    let remove = ["--config", "recovery.toml", "vault", "slot", "remove", "1"];
    desk.run_with(&remove, "correct horse\n").succeeded();
    std::fs::rename(desk.path("lost.key"), desk.path("strongroom.key")).unwrap();
    desk.run(&["vault", "status"]).ended_with(3).complained("passphrase");
}

#[test]
fn lost_key_file_is_replaced_with_the_recovery_passphrase() {
    let mut desk = desk();
    desk.run_with(&["vault", "slot", "add", "--passphrase", "stdin"], "correct horse\n").succeeded();
    std::fs::rename(desk.path("strongroom.key"), desk.path("lost.key")).unwrap();
    for command in [&["vault", "status"][..], &["serve"]] {
        let said = desk.run(command).ended_with(2);
        for text in
            ["strongroom.key", "is opened by key ", "(slot 1) or passphrase ", "(slot 2)", "docs/how-to/lost-key.md"]
        {
            assert!(said.stderr.contains(text), "{text}: {}", said.stderr);
        }
    }
    desk.set("STRONGROOM_VAULT__PASSPHRASE", "stdin");
    desk.run_with(&["vault", "slot", "list"], "wrong horse\n").ended_with(3).complained("the passphrase is wrong");
    let rekey = ["vault", "rekey", "--slot", "1", "--key-file", "strongroom.key"];
    let said = desk.run_with(&rekey, "correct horse\n").succeeded();
    assert!(said.stderr.contains("slot 1 (key ") && said.stderr.contains("slot 2 (passphrase "), "{}", said.stderr);
    desk.set("STRONGROOM_VAULT__PASSPHRASE", "correct horse");
    assert_eq!(slots(&desk), [2, 3], "the recovery passphrase stays");
    assert_whole(&desk);
    desk.write("lost.toml", "[vault]\nmaster_key = { file = \"lost.key\" }\n");
    let desk = desk.without_variables();
    desk.run(&["vault", "status"]).succeeded();
    desk.run(&["--config", "lost.toml", "vault", "status"]).ended_with(3).complained("does not open the vault");
}

#[test]
fn rekey_names_the_slots_that_it_ends_and_keeps() {
    let desk = desk();
    desk.run_with(&["vault", "slot", "add", "--passphrase", "stdin"], "correct horse\n").succeeded();
    desk.run(&["vault", "rekey", "--slot", "2"]).ended_with(2).complained("--key-file");
    desk.run(&["vault", "rekey", "--slot", "7", "--key-file", "k"]).ended_with(1).complained("there is no slot 7");
    assert!(!desk.path("k").exists());
    let said = desk.run(&["vault", "rekey"]).succeeded();
    let lines: Vec<_> = said.stderr.lines().collect();
    assert!(
        lines[0].starts_with("slot 1 (key ") && lines[0].ends_with("will not open the vault any more"),
        "{lines:?}"
    );
    assert!(lines[1].starts_with("slot 2 (passphrase ") && lines[1].contains("--slot 2 replaces it"), "{lines:?}");
    assert_eq!(slots(&desk), [2, 3]);
    assert_whole(&desk);
}

#[test]
fn new_passphrase_has_twelve_characters() {
    let mut desk = desk();
    let (key, config) = (desk.read("strongroom.key"), desk.read("strongroom.toml"));
    for short in ["elf letters", "            "] {
        for command in [
            &["--config", "new/n.toml", "--vault", "new/n.db", "init", "--passphrase", "stdin"][..],
            &["vault", "slot", "add", "--passphrase", "stdin"],
            &["vault", "rekey", "--passphrase", "stdin"],
            &["vault", "rekey", "--compromised", "--passphrase", "stdin"],
            &["credential", "export", "out", "--passphrase-file", "-"],
        ] {
            desk.run_with(command, &format!("{short}\n")).ended_with(1).complained("shorter than 12 characters");
        }
    }
    assert!(!desk.path("new").exists() && !desk.path("out").exists());
    assert_eq!((slots(&desk), desk.read("strongroom.key"), desk.read("strongroom.toml")), (vec![1], key, config));
    assert_whole(&desk);

    // A vault from before the rule.
    let short = MasterKey::Passphrase(Secret::new("short"));
    drop(Vault::create(&desk.path("old.db"), &short, Clock::system(), Random).unwrap());
    desk.set("STRONGROOM_VAULT__PASSPHRASE", "short");
    desk.run(&["--vault", "old.db", "vault", "status"]).succeeded();
}

#[test]
fn last_and_own_slots_are_not_removed_by_mistake() {
    let desk = desk();
    desk.run(&["vault", "slot", "remove", "1"]).ended_with(1).complained("opens the vault with");
    desk.run(&["vault", "slot", "remove", "1", "--own"]).ended_with(1).complained("only one");
    desk.run(&["vault", "slot", "add", "--key-file", "second.key"]).succeeded();
    desk.run(&["vault", "slot", "remove", "7"]).ended_with(1).complained("there is no slot 7");
    desk.run(&["vault", "slot", "add"]).ended_with(2).complained("--key-file FILE");
    assert_eq!(slots(&desk), [1, 2]);
    assert_whole(&desk);
}

#[test]
fn rekey_replaces_the_key_file() {
    let desk = desk();
    let old = desk.read("strongroom.key");
    desk.run(&["vault", "rekey"]).succeeded();
    assert_ne!(desk.read("strongroom.key"), old);
    assert!(!desk.path("strongroom.key.new").exists());
    assert_eq!(slots(&desk), [2]);
    assert_whole(&desk);
    std::fs::remove_file(desk.path("strongroom.key")).unwrap();
    desk.write("strongroom.key", &old);
    desk.run(&["vault", "status"]).ended_with(3).complained("does not open the vault");
}

#[test]
fn interrupted_rekey_is_finished_by_the_next() {
    // After the new key was written.
    let desk = desk();
    desk.run(&["--vault", "other.db", "--config", "other.toml", "init"]).ended_with(1);
    desk.run(&["--config", "o/other.toml", "--vault", "o/other.db", "init"]).succeeded();
    std::fs::copy(desk.path("o/strongroom.key"), desk.path("strongroom.key.new")).unwrap();
    let waiting = desk.read("strongroom.key.new");
    desk.run(&["vault", "rekey"]).succeeded();
    assert_eq!(desk.read("strongroom.key"), waiting, "the key that was made is the one that is used");
    // After its slot was added.
    desk.run(&["vault", "slot", "add", "--key-file", "strongroom.key.new"]).succeeded();
    desk.run(&["vault", "rekey"]).succeeded();
    assert_eq!(slots(&desk).len(), 1);
    // After the root was renewed, when the old key opens nothing any more.
    desk.run(&["vault", "rekey", "--compromised", "--key-file", "strongroom.key.new"]).succeeded();
    desk.run(&["vault", "status"]).ended_with(3).complained("`strongroom vault rekey` to complete it");
    desk.run(&["vault", "rekey"]).succeeded();
    assert!(!desk.path("strongroom.key.new").exists());
    assert_whole(&desk);
}

#[test]
fn truncated_new_key_file_is_written_again() {
    for torn in ["", "srm_abc", "srm_0000000000000000000000000000000000000000000\0\0\0\0\0\0\n"] {
        let desk = desk();
        desk.write("strongroom.key.new", torn);
        desk.run(&["vault", "rekey"]).succeeded();
        assert!(!desk.path("strongroom.key.new").exists());
        assert_whole(&desk);
    }
}

#[test]
fn rekey_to_a_passphrase_says_what_to_configure() {
    let desk = desk();
    let said = desk.run_with(&["vault", "rekey", "--passphrase", "stdin"], "a passphrase\n").succeeded();
    assert!(said.stdout.contains("passphrase = \"stdin\""), "{}", said.stdout);
    desk.run(&["vault", "status"]).ended_with(3);
    desk.write("p.toml", "[vault]\npassphrase = \"stdin\"\n");
    desk.run_with(&["--config", "p.toml", "vault", "verify"], "a passphrase\n").succeeded();
    let again = ["--config", "p.toml", "vault", "rekey", "--key-file", "fresh.key"];
    desk.run_with(&again, "a passphrase\n").succeeded();
    desk.write("f.toml", "[vault]\nmaster_key = { file = \"fresh.key\" }\n");
    desk.run(&["--config", "f.toml", "vault", "verify"]).succeeded();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn compromised_rekey_needs_a_stopped_server() {
    let installation = Installation::new("").await;
    let server = installation.serve().await;
    let refused = installation.run(&["vault", "rekey", "--compromised"]);
    assert!(refused.stderr().contains("another server"), "{}", refused.stderr());
    assert!(server.stop().success());
    installation.run(&["vault", "rekey", "--compromised"]).must_succeed();
    let server = installation.serve().await;
    assert!(server.stop().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rotation_and_rekey_reject_no_request() {
    let installation = Installation::new("").await;
    let key = installation.key("alice");
    let server = installation.serve().await;
    let ended = Arc::new(AtomicBool::new(false));
    let mut callers = Vec::new();
    for _ in 0..3 {
        let (url, key, ended) = (server.url.clone(), key.clone(), Arc::clone(&ended));
        callers.push(tokio::spawn(async move {
            let at = |path: &str| format!("{url}/v1/integrations/{path}");
            let ask = |method, path: &str| crate::support::http::Ask::new(method, at(path)).key(&key);
            let mut rounds = 0;
            while !ended.load(Ordering::Relaxed) || rounds == 0 {
                let body = json!({"type": "api_key", "api_key": "k", "title": "t"});
                let made = ask(Method::POST, "openai/credentials").json(&body).send().await.is(201).json();
                let path = format!("openai/credentials/{}", made["id"].as_str().unwrap());
                assert_eq!(ask(Method::GET, &format!("{path}/token")).send().await.is(200).json()["api_key"], "k");
                ask(Method::GET, "credentials").send().await.is(200);
                if rounds % 2 == 1 {
                    ask(Method::DELETE, &path).send().await.is(200);
                }
                rounds += 1;
            }
            rounds
        }));
    }
    for _ in 0..crate::support::campaign(2, 5, 30) {
        installation.run(&["vault", "rotate"]).must_succeed();
        installation.run(&["vault", "rekey"]).must_succeed();
    }
    ended.store(true, Ordering::Relaxed);
    for caller in callers {
        assert!(caller.await.unwrap() > 0);
    }
    assert!(server.stop().success());
    let report = installation.run(&["vault", "verify", "--json"]).must_succeed().json();
    assert_eq!(report["holds"], true, "{report}");
    let status = installation.run(&["vault", "status", "--json"]).must_succeed().json();
    assert!(status["due"].as_array().unwrap().is_empty() && status["rotation_left"].is_null(), "{status}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn server_detects_damage_on_its_own() {
    let installation = Installation::new("verify_every = \"1s\"\n").await;
    let key = installation.key("alice");
    let server = installation.serve().await;
    let body = json!({"type": "api_key", "api_key": "k", "title": "t"});
    let ask =
        crate::support::http::Ask::new(Method::POST, format!("{}/v1/integrations/openai/credentials", server.url));
    let made = ask.key(&key).json(&body).send().await.is(201).json();
    let id = made["id"].as_str().unwrap();
    crate::support::eventually("it says that all is well", async || server.log().contains("vault verification passed"))
        .await;
    let file = rusqlite::Connection::open(installation.path("strongroom.db")).unwrap();
    file.execute("UPDATE credential SET provider = 'github' WHERE id = ?", [id]).unwrap();
    crate::support::eventually("it says what is not", async || {
        let log = server.log();
        log.contains("vault verification failed") && log.contains(id)
    })
    .await;
    assert!(server.stop().success());
}

#[test]
fn excess_slot_leaves_no_useless_key_file() {
    let desk = Desk::initialised();
    for n in 2..=64 {
        desk.run(&["vault", "slot", "add", "--key-file", &format!("{n}.key")]).succeeded();
    }
    desk.run(&["vault", "slot", "add", "--key-file", "65.key"]).ended_with(1).complained("vault slot remove");
    assert!(!desk.path("65.key").exists());
    desk.run(&["vault", "slot", "add", "--key-file", "64.key"]).succeeded();
    assert_eq!(slots(&desk).len(), 64);
    // The new slot is there before the old one ends, so that one has to be free.
    desk.run(&["vault", "rekey"]).ended_with(1).complained("vault slot remove");
    assert!(!desk.path("strongroom.key.new").exists());
    desk.run(&["vault", "slot", "remove", "2"]).succeeded();
    desk.run(&["vault", "rekey"]).succeeded();
    assert_eq!(slots(&desk).len(), 63);
}
