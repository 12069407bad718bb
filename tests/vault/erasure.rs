//! Deleting means deleting: what was erased is in no file any more, not even sealed; and of a user that was removed nothing
//! is left but the trace of it, and what a provider has not yet confirmed.

use crate::support::process::{Installation, Process, sandbox, sandbox_settings};
use http::Method;
use rusqlite::Connection;
use serde_json::json;
use strongroom::sandbox::{Conduct, SandboxEndpoint};

/// Every sealed record of this user's, as it is in the file: the random part of each, which nothing else has.
fn sealed_of(installation: &Installation, user: &str) -> Vec<Vec<u8>> {
    let file = Connection::open(installation.path("strongroom.db")).unwrap();
    let mut found = Vec::new();
    for (table, column, whose) in [
        ("credential", "summary", "user"),
        ("credential_secret", "secret", "user"),
        ("pending_authorization", "sealed", "user"),
        ("revocation", "sealed", "user"),
        ("user", "sealed", "id"),
        ("api_key", "lookup", "user"),
    ] {
        let mut statement = file.prepare(&format!("SELECT {column} FROM {table} WHERE {whose} = ?")).unwrap();
        let rows = statement.query_map([user], |row| row.get::<_, Vec<u8>>(0)).unwrap();
        found.extend(rows.map(Result::unwrap));
    }
    found
}

/// Number of these records that are still in the vault's files after a checkpoint, whole or in any part of 24 bytes.
fn still_there(installation: &Installation, records: &[Vec<u8>]) -> usize {
    let file = Connection::open(installation.path("strongroom.db")).unwrap();
    let busy: i64 = file.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0)).unwrap();
    assert_eq!(busy, 0, "the checkpoint got through");
    let mut bytes = Vec::new();
    for name in ["strongroom.db", "strongroom.db-wal"] {
        bytes.extend(std::fs::read(installation.path(name)).unwrap_or_default());
    }
    // The header of a record (format and key version) is the same in all.
    let parts = |record: &Vec<u8>| record[5..].chunks_exact(24).map(<[u8]>::to_vec).collect::<Vec<_>>();
    let windows: std::collections::HashSet<&[u8]> = bytes.windows(24).collect();
    records.iter().filter(|record| parts(record).iter().any(|part| windows.contains(part.as_slice()))).count()
}

async fn store(server: &Process, key: &str, secret: &str) -> String {
    let body = json!({"type": "api_key", "api_key": secret, "title": "t"});
    let made = server.ask(Method::POST, "/v1/integrations/openai/credentials").key(key).json(&body).send().await;
    made.is(201).json()["id"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn deleted_secret_is_in_no_file() {
    let installation = Installation::new("").await;
    let (alice, bob) = (installation.key("alice"), installation.key("bob"));
    let server = installation.serve().await;
    // Small ones share pages with others; large ones have pages of their own.
    let mut ids = Vec::new();
    for size in [1, 500, 5_000, 50_000].into_iter().cycle().take(24) {
        ids.push(store(&server, &alice, &"s".repeat(size)).await);
        store(&server, &bob, &"s".repeat(size)).await;
    }
    let of_bob = sealed_of(&installation, "bob");
    let before = sealed_of(&installation, "alice");
    assert_eq!(still_there(&installation, &before), before.len());
    for id in &ids[..12] {
        let path = format!("/v1/integrations/openai/credentials/{id}");
        server.ask(Method::DELETE, &path).key(&alice).send().await.is(200);
    }
    let left = sealed_of(&installation, "alice");
    let gone: Vec<_> = before.iter().filter(|record| !left.contains(record)).cloned().collect();
    assert_eq!(gone.len(), 24, "a summary and a secret of each");
    assert_eq!(still_there(&installation, &gone), 0);
    // What was replaced is deleted too.
    let path = format!("/v1/integrations/openai/credentials/{}", ids[12]);
    let body = json!({"api_key": "another"});
    server.ask(Method::PATCH, &path).key(&alice).json(&body).send().await.is(200);
    let changed: Vec<_> = left.iter().filter(|one| !sealed_of(&installation, "alice").contains(one)).cloned().collect();
    assert_eq!((changed.len(), still_there(&installation, &changed)), (2, 0));
    assert_eq!(still_there(&installation, &of_bob), of_bob.len(), "another user's are untouched");
}

#[tokio::test(flavor = "multi_thread")]
async fn removed_user_leaves_only_its_audit_trail() {
    let sandbox = sandbox().await;
    let installation = Installation::new(&sandbox_settings(&sandbox)).await;
    let (alice, bob) = (installation.key("alice"), installation.key("bob"));
    let server = installation.serve().await;
    let earlier = server.connect_sandbox(&alice).await;
    sandbox.conduct(SandboxEndpoint::Revoke, Conduct::Down);
    let path = format!("/v1/integrations/sandbox/credentials/{earlier}");
    let deleted = server.ask(Method::DELETE, &path).key(&alice).send().await.is(200).json();
    assert_eq!(deleted["revoked"], false);
    let later = server.connect_sandbox(&alice).await;
    store(&server, &alice, "sk").await;
    store(&server, &bob, "sk").await;
    let body = json!({"callback_url": crate::support::flow::CALLBACK});
    let begin = "/v1/integrations/sandbox/oauth/initiate";
    server.ask(Method::POST, begin).key(&alice).json(&body).send().await.is(200);
    let (of_alice, of_bob) = (sealed_of(&installation, "alice"), sealed_of(&installation, "bob"));

    let said = installation.run(&["user", "remove", "alice"]).must_succeed().stdout();
    assert!(said.contains("removed user alice with 2 credentials"), "{said}");
    for id in [&earlier, &later] {
        assert!(
            said.contains(&format!("not revoked: sandbox {id}; its sealed token stays in the revocation queue")),
            "{said}"
        );
    }
    assert!(!said.contains("not revoked: openai"), "{said}");
    server.ask(Method::GET, "/v1/integrations/credentials").key(&alice).send().await.is(401);

    // Only the queue, whose records were rewritten or are older, and the audit log.
    let queued = installation.rows("revocation");
    let kept = sealed_of(&installation, "alice");
    assert_eq!((kept.len(), queued), (2, 2), "the tokens that are still to be revoked");
    let gone: Vec<_> = of_alice.iter().filter(|record| !kept.contains(record)).cloned().collect();
    assert_eq!(still_there(&installation, &gone), 0);
    assert_eq!(still_there(&installation, &of_bob), of_bob.len());
    assert_eq!(installation.audited("user.remove"), 1);

    sandbox.conduct(SandboxEndpoint::Revoke, Conduct::Normal);
    installation.run(&["credential", "revocations", "--retry"]).must_succeed();
    assert_eq!(sealed_of(&installation, "alice").len(), 0);
    assert_eq!((still_there(&installation, &kept), sandbox.live_grants()), (0, 0));
}
