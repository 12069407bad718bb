//! Rollback protection: an older copy of the vault is detected by the epoch file.

use crate::support::process::{Finished, Installation};
use http::Method;
use serde_json::json;

/// A vault whose epoch file lies elsewhere, with two credentials of alice; gives her key and the second one's id.
async fn installation() -> (Installation, String, String) {
    let installation = Installation::new("epoch_file = \"elsewhere/strongroom.epoch\"").await;
    std::fs::create_dir(installation.path("elsewhere")).expect("a folder");
    let key = installation.key("alice");
    let server = installation.serve().await;
    let mut id = String::new();
    for _ in 0..2 {
        let body = json!({"type": "api_key", "api_key": "k", "title": "t"});
        let path = "/v1/integrations/openai/credentials";
        let made = server.ask(Method::POST, path).key(&key).json(&body).send().await.is(201).json();
        made["id"].as_str().expect("an id").clone_into(&mut id);
    }
    assert_eq!(server.stop().code(), Some(0));
    (installation, key, id)
}

async fn delete_and_die(installation: &Installation, key: &str, id: &str) {
    let server = installation.serve().await;
    server.ask(Method::DELETE, &format!("/v1/integrations/openai/credentials/{id}")).key(key).send().await.is(200);
    server.kill();
}

#[track_caller]
fn refused(finished: &Finished) {
    assert_eq!(finished.0.status.code(), Some(4), "{}", finished.stderr());
    let said = finished.stderr();
    assert!(said.contains("older copy of the vault") && said.contains("--accept-rollback"), "{said}");
}

fn ids(installation: &Installation) -> usize {
    let list = installation.run(&["credential", "list", "--json"]).must_succeed().json();
    list.as_array().expect("a list").len()
}

#[tokio::test]
async fn older_vault_opens_only_when_accepted() {
    let (installation, key, id) = installation().await;
    let older = std::fs::read(installation.path("strongroom.db")).expect("the vault");
    delete_and_die(&installation, &key, &id).await;
    assert_eq!(ids(&installation), 1);
    std::fs::write(installation.path("strongroom.db"), older).expect("it can be put back");
    for beside in ["strongroom.db-wal", "strongroom.db-shm"] {
        let _ = std::fs::remove_file(installation.path(beside));
    }

    refused(&installation.run(&["serve"]));
    refused(&installation.run(&["credential", "list"]));
    let doctor = installation.run(&["doctor"]);
    assert!(!doctor.0.status.success() && doctor.stdout().contains("older copy"), "{}", doctor.stdout());

    installation.run(&["vault", "status", "--accept-rollback"]).must_succeed();
    assert_eq!(ids(&installation), 2, "what was deleted is back, and that was accepted");
    assert_eq!(installation.audited("vault.accept_rollback"), 1);
    let server = installation.serve().await;
    server.ask(Method::GET, "/v1/integrations/credentials").key(&key).send().await.is(200);
}

#[tokio::test]
async fn vault_without_its_wal_is_an_older_copy() {
    let (installation, key, id) = installation().await;
    delete_and_die(&installation, &key, &id).await;
    std::fs::remove_file(installation.path("strongroom.db-wal")).expect("a server that was killed leaves its log");
    refused(&installation.run(&["serve"]));
}

#[tokio::test]
async fn unusable_epoch_file_says_so() {
    let (installation, ..) = installation().await;
    let file = installation.path("elsewhere/strongroom.epoch");
    let good = std::fs::read_to_string(&file).expect("the epoch file");
    assert!(good.starts_with("strongroom epoch file 1\nvault "), "{good}");
    let says = |code: i32, what: &str| {
        let finished = installation.run(&["vault", "status"]);
        let said = finished.stderr();
        assert!(finished.0.status.code() == Some(code) && said.contains(what), "{what}: {said}");
    };
    std::fs::write(&file, good.replace("epoch ", "epoch 1")).expect("it can be edited");
    says(4, "was edited");
    std::fs::remove_file(&file).expect("it can be removed");
    std::fs::create_dir(&file).expect("a folder in its place");
    says(1, "cannot read the epoch file");
    std::fs::remove_dir(&file).expect("it is empty");
    std::fs::remove_dir_all(installation.path("elsewhere")).expect("as of a disk that is not mounted");
    says(4, "is missing");
    std::fs::create_dir(installation.path("elsewhere")).expect("a folder");
    says(4, "--accept-rollback");
    installation.run(&["vault", "status", "--accept-rollback"]).must_succeed();
    assert!(file.is_file(), "a new one is begun");
    installation.run(&["vault", "status"]).must_succeed();
    assert_eq!(installation.audited("vault.accept_rollback"), 1);
    let beside = installation.path("strongroom.toml");
    let config = std::fs::read_to_string(&beside).expect("the configuration");
    std::fs::write(&beside, config.replace("elsewhere/", "")).expect("it can be written");
    says(4, "is missing");
    installation.run(&["vault", "status", "--accept-rollback"]).must_succeed();
    let doctor = installation.run(&["doctor"]);
    assert!(doctor.stdout().contains("is in the vault's folder"), "{}", doctor.stdout());

    let first = Installation::new("epoch_file = \"nowhere/strongroom.epoch\"").await.run(&["vault", "status"]);
    assert_eq!(first.0.status.code(), Some(1), "{}", first.stderr());
    assert!(first.stderr().contains("nowhere/strongroom.epoch"), "{}", first.stderr());
}

/// The old master key must not open an older copy, and the epoch file follows the new keys.
#[tokio::test]
async fn older_copy_with_old_keys_is_rejected() {
    let (installation, ..) = installation().await;
    let older = std::fs::read(installation.path("strongroom.db")).expect("the vault");
    let old_key = std::fs::read(installation.path("strongroom.key")).expect("the key");
    installation.run(&["vault", "rotate"]).must_succeed();
    installation.run(&["vault", "rekey", "--compromised"]).must_succeed();
    assert_eq!(ids(&installation), 2);
    std::fs::write(installation.path("strongroom.db"), older).expect("it can be put back");
    for beside in ["strongroom.db-wal", "strongroom.db-shm"] {
        let _ = std::fs::remove_file(installation.path(beside));
    }
    // `rekey` left the new one there, 0400.
    std::fs::remove_file(installation.path("strongroom.key")).expect("the new key");
    std::fs::write(installation.path("strongroom.key"), old_key).expect("whoever has the old key");
    for arguments in [&["credential", "list"][..], &["credential", "list", "--accept-rollback"]] {
        let finished = installation.run(arguments);
        let said = finished.stderr();
        assert!(finished.0.status.code() == Some(4) && said.contains("the vault is an older copy"), "{said}");
    }
}
