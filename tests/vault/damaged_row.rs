//! One row of the vault is damaged: its user sees the others, the operator erases it.

use crate::support::process::Installation;
use http::Method;
use serde_json::json;

#[tokio::test]
async fn damaged_credential_is_omitted_reported_and_erased() {
    let installation = Installation::new("").await;
    let key = installation.key("alice");
    let server = installation.serve().await;
    let mut ids = Vec::new();
    for _ in 0..2 {
        let body = json!({"type": "api_key", "api_key": "k", "title": "t"});
        let path = "/v1/integrations/openai/credentials";
        let made = server.ask(Method::POST, path).key(&key).json(&body).send().await.is(201).json();
        ids.push(made["id"].as_str().expect("an id").to_owned());
    }
    let whole = server.ask(Method::GET, "/v1/integrations/credentials").key(&key).send().await.is(200);
    assert_eq!(whole.header("Strongroom-Damaged"), None);
    let file = rusqlite::Connection::open(installation.path("strongroom.db")).expect("the vault's file");
    file.execute("UPDATE credential SET summary = randomblob(109), revision = 7 WHERE id = ?", [&ids[0]]).expect("SQL");

    for path in
        ["/v1/integrations/credentials", "/v1/integrations/openai/credentials", "/v1/integrations/credentials?limit=2"]
    {
        let list = server.ask(Method::GET, path).key(&key).send().await.is(200);
        assert_eq!(list.header("Strongroom-Damaged"), Some("1"), "{path}");
        assert_eq!(
            (list.json().as_array().expect("a list").len(), &list.json()[0]["id"]),
            (1, &json!(ids[1])),
            "{path}"
        );
    }
    let first = server.ask(Method::GET, "/v1/integrations/credentials?limit=1").key(&key).send().await.is(200);
    assert!(first.json() == json!([]) && first.header("Link").is_some_and(|link| link.contains(&ids[0])), "it goes on");
    assert!(server.log().contains(&ids[0]), "the log names it");
    let at = format!("/v1/integrations/openai/credentials/{}", ids[0]);
    for (method, path) in
        [(Method::GET, at.clone()), (Method::DELETE, at.clone()), (Method::GET, format!("{at}/token"))]
    {
        let reply = server.ask(method, &path).key(&key).send().await.is(500);
        assert_eq!(reply.json()["type"], "/problems/credential-damaged", "{path}");
    }

    let listed = installation.run(&["credential", "list", "--json"]);
    assert_eq!(listed.0.status.code(), Some(4));
    assert!(listed.json()[0]["id"] == json!(ids[1]) && listed.stderr().contains("vault repair"), "{}", listed.stderr());
    let erased = installation.run(&["vault", "repair", "--json"]).must_succeed();
    assert_eq!(erased.json()["erased"][0]["row"], json!(ids[0]));
    assert!(erased.stderr().contains("was not revoked"), "{}", erased.stderr());
    let copy = erased.json()["copy"].as_str().expect("a path").to_owned();
    assert!(std::fs::metadata(copy).expect("the copy").len() > 0);
    installation.run(&["vault", "verify"]).must_succeed();
    let list = server.ask(Method::GET, "/v1/integrations/credentials").key(&key).send().await.is(200);
    assert_eq!((list.header("Strongroom-Damaged"), list.json().as_array().expect("a list").len()), (None, 1));
    server.ask(Method::GET, &at).key(&key).send().await.is(404);
}

#[tokio::test]
async fn damaged_recreatable_rows_are_reported_and_erased() {
    let settings = "[oauth]\ncallback_origins = [\"http://localhost\"]\n[providers.github]\nclient_id = \"c\"\nclient_secret = \"s\"\n";
    let installation = Installation::new(settings).await;
    let key = installation.key("alice");
    let admin = installation.run(&["key", "create", "--user", "alice", "--permission", "ADMIN"]).must_succeed();
    let server = installation.serve().await;
    let begin = async || {
        let body = json!({"callback_url": crate::support::flow::CALLBACK});
        server.ask(Method::POST, "/v1/integrations/github/oauth/initiate").key(&key).json(&body).send().await
    };
    begin().await.is(200);
    let file = rusqlite::Connection::open(installation.path("strongroom.db")).expect("the vault's file");
    file.execute("UPDATE pending_authorization SET revision = 7", []).expect("SQL");
    let row = "INSERT INTO revocation VALUES ('x', 'alice', 'github', 'y', 0, 0, 9999999999, 1, 1, randomblob(99))";
    file.execute(row, []).expect("SQL");

    let queue = server.ask(Method::GET, "/v1/revocations").key(admin.stdout().trim()).send().await.is(200);
    assert_eq!((queue.header("Strongroom-Damaged"), queue.json()), (Some("1"), json!([])));
    let listed = installation.run(&["credential", "revocations"]);
    assert_eq!(listed.0.status.code(), Some(4));
    assert!(listed.stderr().contains("vault repair"), "{}", listed.stderr());
    assert_eq!(installation.run(&["vault", "verify"]).0.status.code(), Some(4));
    // One was counted and one was not: what else is missing is not known.
    let refused = installation.run(&["vault", "repair", "--yes"]);
    assert_eq!(refused.0.status.code(), Some(4));
    for text in
        ["does not open: table pending_authorization, row ", "does not open: table revocation, row ", "--accept-rest"]
    {
        assert!(refused.stderr().contains(text), "{}", refused.stderr());
    }
    assert_eq!(installation.run(&["vault", "verify"]).0.status.code(), Some(4));
    installation.run(&["vault", "repair", "--yes", "--accept-rest"]).must_succeed();
    installation.run(&["vault", "verify"]).must_succeed();
    let again = installation.run(&["vault", "repair", "--json"]).must_succeed();
    assert_eq!(again.json(), json!({"copy": null, "erased": [], "rest": []}));
    begin().await.is(200);
    server.ask(Method::GET, "/readyz").send().await.is(200);
}

#[tokio::test]
async fn damaged_credential_does_not_stop_a_user_removal() {
    let installation = Installation::new("").await;
    let key = installation.key("alice");
    let server = installation.serve().await;
    for title in ["first", "second"] {
        let body = json!({"type": "api_key", "api_key": "k", "title": title});
        let path = "/v1/integrations/openai/credentials";
        server.ask(Method::POST, path).key(&key).json(&body).send().await.is(201);
    }
    let file = rusqlite::Connection::open(installation.path("strongroom.db")).expect("the vault's file");
    let row = "id = (SELECT min(id) FROM credential_secret)";
    file.execute(&format!("UPDATE credential_secret SET secret = randomblob(109) WHERE {row}"), []).expect("SQL");

    let removed = installation.run(&["user", "remove", "alice"]);
    assert_eq!(removed.0.status.code(), Some(4));
    for text in ["1 of the user's credentials are damaged", "strongroom vault repair", "strongroom user remove"] {
        assert!(removed.stderr().contains(text), "{}", removed.stderr());
    }
    server.ask(Method::GET, "/v1/integrations/credentials").key(&key).send().await.is(401);
    let left = || file.query_row("SELECT count(*) FROM credential", [], |row| row.get::<_, i64>(0)).expect("SQL");
    assert_eq!((left(), installation.audited("credential.delete"), installation.audited("user.remove")), (1, 1, 1));
    installation.run(&["vault", "repair", "--yes"]).must_succeed();
    installation.run(&["user", "remove", "alice"]).must_succeed();
    assert_eq!((left(), installation.run(&["user", "list", "--json"]).json()), (0, json!([])));
    installation.run(&["vault", "verify"]).must_succeed();
}

#[tokio::test]
async fn damaged_approval_hides_no_other_and_lets_its_key_end() {
    let installation = Installation::new("").await;
    let key = installation.key("alice");
    let admin = installation.run(&["key", "create", "--user", "alice", "--permission", "ADMIN"]).must_succeed();
    let keys = installation.run(&["key", "list", "--json"]).must_succeed().json();
    let id = keys[0]["id"].as_str().expect("an id");
    let server = installation.serve().await;
    let file = rusqlite::Connection::open(installation.path("strongroom.db")).expect("the vault's file");
    let row = format!("INSERT INTO approval VALUES ('x', '{id}', 'y', 'z', 'pending', 0, 1, 1, 9, randomblob(99))");
    file.execute(&row, []).expect("SQL");

    let list = server.ask(Method::GET, "/v1/approvals").key(admin.stdout().trim()).send().await.is(200);
    assert_eq!((list.header("Strongroom-Damaged"), list.json()), (Some("1"), json!([])));
    let listed = installation.run(&["approval", "list"]);
    assert_eq!(listed.0.status.code(), Some(4));
    assert!(listed.stderr().contains("vault repair"), "{}", listed.stderr());
    installation.run(&["key", "revoke", id, "--yes"]).must_succeed();
    server.ask(Method::GET, "/v1/integrations/credentials").key(&key).send().await.is(401);
    installation.run(&["vault", "repair", "--yes"]).must_succeed();
    installation.run(&["vault", "verify"]).must_succeed();
}
