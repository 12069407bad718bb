//! Commands beside a running server: what the one changes, the other sees at once, and nothing is revoked by halves.

use crate::support::process::{Installation, sandbox, sandbox_settings};
use http::Method;
use serde_json::json;
use strongroom::sandbox::{Conduct, SandboxEndpoint};

#[tokio::test(flavor = "multi_thread")]
async fn user_remove_revokes_every_account() {
    let sandbox = sandbox().await;
    let installation = Installation::new(&sandbox_settings(&sandbox)).await;
    let key = installation.key("alice");
    let server = installation.serve().await;
    server.connect_sandbox(&key).await;
    server.connect_sandbox(&key).await;
    let user = installation.run(&["user", "list", "--json"]).json();
    assert_eq!(user[0]["credentials"], 2);
    assert!(sandbox.live_grants() > 0);

    let said = installation.run(&["user", "remove", "alice"]).must_succeed().stdout();
    // Both hang on one grant: deleting the first revokes nothing, deleting the last ends it.
    assert_eq!(said.matches("deleted and revoked").count(), 1, "{said}");
    assert_eq!(said.matches("deleted; there was nothing to revoke").count(), 1, "{said}");
    assert_eq!(sandbox.live_grants(), 0);
    let gone = server.ask(Method::GET, "/v1/integrations/credentials").key(&key).send().await;
    assert_eq!(gone.status, 401, "the user's API keys go with the user");
    assert!(server.stop().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn failed_revocation_is_reported_and_queued() {
    let sandbox = sandbox().await;
    let installation = Installation::new(&sandbox_settings(&sandbox)).await;
    let key = installation.key("alice");
    let server = installation.serve().await;
    server.connect_sandbox(&key).await;
    sandbox.conduct(SandboxEndpoint::Revoke, Conduct::Down);
    let said = installation.run(&["user", "remove", "alice"]).must_succeed().stdout();
    assert!(said.contains("the revocation failed and will be retried by the server"), "{said}");
    assert_eq!(sandbox.live_grants(), 1);
    assert_eq!(installation.run(&["user", "list", "--json"]).json(), json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn server_sees_new_and_revoked_keys_at_once() {
    let installation = Installation::new("").await;
    let server = installation.serve().await;
    let create = ["key", "create", "--user", "alice", "--permission", "READ_INTEGRATIONS", "--json"];
    let made = installation.run(&create).must_succeed().json();
    let key = made["api_key"].as_str().expect("a key");
    let ask = || server.ask(Method::GET, "/v1/integrations/credentials").key(key).send();
    assert_eq!(ask().await.status, 200);
    installation.run(&["key", "revoke", made["id"].as_str().expect("an id")]).must_succeed();
    assert_eq!(ask().await.status, 401);
    let doctor = installation.run(&["doctor"]).must_succeed().stdout();
    assert!(doctor.contains("is ready"), "{doctor}");
    let second = installation.run(&["serve"]);
    assert_eq!(second.0.status.code(), Some(1));
    assert!(second.stderr().contains("another server"), "{}", second.stderr());
}

#[tokio::test]
async fn hangup_and_user_signals_do_not_end_the_server() {
    let installation = Installation::new("").await;
    let server = installation.serve().await;
    for name in ["HUP", "USR1", "USR2"] {
        let sent = std::process::Command::new("kill").args([format!("-{name}"), server.id().to_string()]).status();
        assert!(sent.expect("kill runs").success());
        for _ in 0..100 {
            if server.log().contains(&format!("SIG{name} is ignored")) {
                break;
            }
        }
        assert!(server.log().contains(&format!("SIG{name} is ignored")), "{}", server.log());
        server.ask(Method::GET, "/readyz").send().await.is(200);
    }
    assert_eq!(server.stop().code(), Some(0));
}
