//! Commands beside a running server: what the one changes, the other sees at once, and nothing is revoked by halves.

use crate::support::eventually;
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
async fn server_sees_a_changed_key_at_once() {
    let installation = Installation::new("").await;
    let server = installation.serve().await;
    let all = ["READ_INTEGRATIONS", "MANAGE_INTEGRATIONS", "USE_INTEGRATIONS"];
    let create =
        [&["key", "create", "--user", "alice", "--json", "--provider", "openai", "github", "--permission"], &all[..]]
            .concat();
    let made = installation.run(&create).must_succeed().json();
    assert_eq!((&made["providers"], &made["credentials"]), (&json!(["github", "openai"]), &json!([])));
    let (key, id) = (made["api_key"].as_str().expect("a key"), made["id"].as_str().expect("an id"));
    let path = |provider: &str| format!("/v1/integrations/{provider}/credentials");
    let create = async |provider: &str| {
        let body = json!({"type": "api_key", "api_key": "k", "title": "t"});
        server.ask(Method::POST, &path(provider)).key(key).json(&body).send().await
    };
    let (openai, github) = (create("openai").await.is(201).json(), create("github").await.is(201).json());
    create("anthropic").await.is(403);
    let token = |provider: &str, made: &serde_json::Value| {
        let id = made["id"].as_str().expect("an id");
        server.ask(Method::GET, &format!("{}/{id}/token", path(provider))).key(key).send()
    };
    token("github", &github).await.is(200);

    installation.run(&["key", "update", id, "--provider", "openai"]).must_succeed();
    token("github", &github).await.is(403);
    let shown = server.ask(Method::GET, "/v1/integrations/credentials").key(key).send().await.is(200).json();
    assert_eq!(shown.as_array().map(Vec::len), Some(1));
    let id_of_openai = openai["id"].as_str().expect("an id");
    let changed = installation.run(&["key", "update", id, "--credential", id_of_openai, "--name", "ci", "--json"]);
    let changed = changed.must_succeed().json();
    assert_eq!((&changed["name"], &changed["credentials"]), (&json!("ci"), &json!([id_of_openai])));
    create("openai").await.is(403);
    token("openai", &openai).await.is(200);
    let listed = installation.run(&["key", "list", "--json"]).must_succeed().json();
    assert_eq!(listed[0], changed);
    let table = installation.run(&["key", "list"]).must_succeed().stdout();
    assert!(table.contains(&format!("providers openai; credentials {id_of_openai}")), "{table}");

    installation.run(&["key", "update", id, "--permission", "READ_INTEGRATIONS"]).must_succeed();
    token("openai", &openai).await.is(403);
    installation
        .run(&["key", "update", id, "--all-providers", "--all-credentials", "--expires", "never"])
        .must_succeed();
    let shown = server.ask(Method::GET, "/v1/integrations/credentials").key(key).send().await.is(200).json();
    assert_eq!(shown.as_array().map(Vec::len), Some(2));
    installation.run(&["key", "update", id, "--expires", "1s"]).must_succeed();
    eventually("the key expires", async || token("openai", &openai).await.status == 401).await;
    installation.run(&["key", "update", id, "--expires", "never"]).must_succeed();
    assert_eq!(token("openai", &openai).await.status, 403);

    let log = installation.run(&["audit", "list", "--key", id, "--action", "key.*", "--json"]).must_succeed().stdout();
    assert!(log.contains(&format!("key:{id} providers:github,openai")), "{log}");
    assert!(log.contains(&format!("key:{id} name credentials:{id_of_openai}")), "{log}");
    installation.run(&["key", "revoke", id]).must_succeed();
    let refused = installation.run(&["key", "update", id, "--expires", "never"]);
    assert_eq!(refused.0.status.code(), Some(1));
    assert!(refused.stderr().contains("is revoked and cannot be changed"), "{}", refused.stderr());
    assert!(installation.run(&["vault", "verify"]).0.status.success());
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
        server.signal(name);
        eventually("the log says so", async || server.log().contains(&format!("SIG{name} is ignored"))).await;
        server.ask(Method::GET, "/readyz").send().await.is(200);
    }
    assert_eq!(server.stop().code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn restore_without_the_configuration_names_its_providers() {
    let sandbox = sandbox().await;
    let settings = sandbox_settings(&sandbox);
    let installation = Installation::new(&settings).await;
    let key = installation.key("alice");
    let server = installation.serve().await;
    server.connect_sandbox(&key).await;
    let body = json!({"type": "api_key", "api_key": "k", "title": "t"});
    server.ask(Method::POST, "/v1/integrations/openai/credentials").key(&key).json(&body).send().await.is(201);
    let made = installation.run(&["vault", "backup", "b.backup"]).must_succeed();
    for text in
        ["not in the backup: the configuration, client secrets and the master key", "strongroom.toml", "strongroom.key"]
    {
        assert!(made.stderr().contains(text), "{text}: {}", made.stderr());
    }
    let whole = installation.run(&["doctor"]).stdout() + &installation.run(&["vault", "status"]).stdout();
    assert!(!whole.contains("credentials of sandbox"), "{whole}");

    let vault = "[vault]\nmaster_key = { file = \"strongroom.key\" }\n";
    let without_client = settings.lines().filter(|line| !line.starts_with("client_") && !line.starts_with("lend"));
    let without_client = without_client.collect::<Vec<_>>().join("\n");
    for (name, more, fix) in [
        ("bare", "", "describe it in [providers.sandbox]"),
        ("half", without_client.as_str(), "set client_id and client_secret in [providers.sandbox]"),
    ] {
        let (config, target) = (format!("{name}.toml"), format!("{name}.db"));
        std::fs::write(installation.path(&config), format!("{vault}{more}")).expect("the configuration");
        let with = ["--config", &config, "--vault", &target];
        let restored = installation.run(&[&with[..], &["vault", "restore", "b.backup"]].concat()).must_succeed();
        let what = "sandbox: 1 credential(s), ";
        assert!(restored.stderr().contains(what) && restored.stderr().contains(fix), "{}", restored.stderr());
        let doctor = installation.run(&[&with[..], &["doctor"]].concat());
        assert!(doctor.stdout().contains(what), "{}", doctor.stdout());
        let status = installation.run(&[&with[..], &["vault", "status"]].concat()).must_succeed();
        assert!(status.stdout().contains(what), "{}", status.stdout());
        assert!(!status.stdout().contains("openai: "));
    }
}
