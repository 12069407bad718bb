//! Credentials whose secret is never given out, and the destinations of stored secrets.

use http::Method;
use serde_json::{Value, json};
use strongroom::permission::Permission::{ReadIntegrations, UseIntegrations};

use crate::support::http::Reply;
use crate::support::{Server, Setup};

const NOT_EXPORTABLE: &str = "/problems/not-exportable";

fn path(provider: &str, id: &str, rest: &str) -> String {
    format!("/v1/integrations/{provider}/credentials/{id}{rest}")
}

async fn create(server: &Server, provider: &str, body: &Value) -> Reply {
    server.post(&format!("/v1/integrations/{provider}/credentials")).key(&server.key).json(body).send().await
}

async fn created(server: &Server, provider: &str, body: &Value) -> String {
    create(server, provider, body).await.is(201).json()["id"].as_str().unwrap().to_owned()
}

async fn shown(server: &Server, provider: &str, id: &str) -> Value {
    server.get(&path(provider, id, "")).key(&server.key).send().await.is(200).json()
}

async fn token(server: &Server, provider: &str, id: &str) -> Reply {
    server.get(&path(provider, id, "/token")).key(&server.key).send().await
}

async fn patch(server: &Server, provider: &str, id: &str, body: Value) -> Reply {
    server.ask(Method::PATCH, &path(provider, id, "")).key(&server.key).json(&body).send().await
}

fn audited(server: &Server, action: &str) -> usize {
    let filter = strongroom::vault::AuditFilter { action: Some(action.into()), ..Default::default() };
    server.vault.audit().find(&filter).unwrap().len()
}

/// Bodies of all kinds with a secret that is stored as it was given.
fn kinds() -> [(&'static str, Value); 3] {
    [
        ("openai", json!({"type": "api_key", "api_key": "sk-canary", "title": "", "exportable": false})),
        (
            "smtp",
            json!({"type": "user_password", "username": "u-canary", "password": "p-canary", "title": "",
                "exportable": false}),
        ),
        (
            "http",
            json!({"type": "host_scoped", "host": "a.example", "headers": {"X-K": "h-canary"}, "title": "",
                "exportable": false}),
        ),
    ]
}

#[tokio::test]
async fn secret_of_such_a_credential_is_refused_and_not_read() {
    let server = Server::start().await;
    let user = server.key_with(&[UseIntegrations, ReadIntegrations]).await;
    for (number, (provider, body)) in kinds().into_iter().enumerate() {
        let id = created(&server, provider, &body).await;
        let ask = server.get(&path(provider, &id, "/token")).key(&user);
        let refused = ask.send().await.is(403);
        assert_eq!((&refused.json()["type"], refused.text().contains("canary")), (&json!(NOT_EXPORTABLE), false));
        let detail = shown(&server, provider, &id).await;
        assert_eq!((&detail["exportable"], &detail["last_used_at"]), (&json!(false), &Value::Null), "{provider}");
        // A secret of its own can replace it, and is not given out either.
        let (titled, secret) = (json!({"title": "new"}), body);
        let changed = patch(&server, provider, &id, titled).await.is(200);
        assert!(!changed.text().contains("canary"));
        let mut secret = secret.as_object().unwrap().clone();
        secret.remove("exportable");
        let changed = patch(&server, provider, &id, Value::Object(secret)).await.is(200);
        assert_eq!((&changed.json()["exportable"], changed.text().contains("canary")), (&json!(false), false));
        token(&server, provider, &id).await.is(403);
        // Without the right to see the credential, the answer does not tell about it.
        let bobs = server.key_of("bob").await;
        server.get(&path(provider, &id, "/token")).key(&bobs).send().await.is(404);
        token(&server, "github", &id).await.is(404);
        assert_eq!(audited(&server, "request.refuse"), 4 * (number + 1), "{provider}");
    }
    assert_eq!(audited(&server, "credential.read"), 0);
}

#[tokio::test]
async fn exportable_never_becomes_true_again() {
    let server = Server::start().await;
    let id = server.create_api_key_credential("openai").await;
    assert_eq!(shown(&server, "openai", &id).await["exportable"], true);
    patch(&server, "openai", &id, json!({"exportable": true})).await.is(200);
    token(&server, "openai", &id).await.is(200);
    assert_eq!(audited(&server, "credential.no_export"), 0);
    assert_eq!(patch(&server, "openai", &id, json!({"exportable": false})).await.is(200).json()["exportable"], false);
    assert_eq!(audited(&server, "credential.no_export"), 1);
    for body in [
        json!({"exportable": true}),
        json!({"exportable": true, "title": "lost?"}),
        json!({"exportable": true, "api_key": "new"}),
    ] {
        let fault = patch(&server, "openai", &id, body).await.is(422).detail()[0].clone();
        assert_eq!(fault["loc"], json!(["body", "exportable"]));
        assert!(fault["msg"].as_str().unwrap().contains("from true to false only"), "{fault}");
    }
    patch(&server, "openai", &id, json!({"exportable": "false"})).await.is(422);
    patch(&server, "openai", &id, json!({"exportable": null})).await.is(422);
    assert_ne!(shown(&server, "openai", &id).await["title"], "lost?");
    token(&server, "openai", &id).await.is(403);
    let both = server.create_api_key_credential("openai").await;
    patch(&server, "openai", &both, json!({"exportable": false, "title": "t", "api_key": "k"})).await.is(200);
    assert_eq!((audited(&server, "credential.no_export"), audited(&server, "credential.change")), (2, 1));
}

#[tokio::test]
async fn setting_of_a_provider_holds_for_all_its_credentials() {
    let config = "[providers.openai]\nexportable = false\n".to_owned();
    let server = Server::with(Setup { config, ..Setup::default() }).await;
    let key = |exportable: Value| json!({"type": "api_key", "api_key": "k", "title": "", "exportable": exportable});
    for exportable in [json!(true), json!(null), json!(false)] {
        let id = created(&server, "openai", &key(exportable)).await;
        assert_eq!(token(&server, "openai", &id).await.is(403).json()["type"], NOT_EXPORTABLE);
        assert_eq!(shown(&server, "openai", &id).await["exportable"], false);
        patch(&server, "openai", &id, json!({"exportable": true})).await.is(422);
    }
    let other = created(&server, "github", &key(json!(null))).await;
    token(&server, "github", &other).await.is(200);
}

#[tokio::test]
async fn inputs_of_a_key_are_checked_sealed_and_shown() {
    let server = Server::start().await;
    let key = |inputs: Value| json!({"type": "api_key", "api_key": "a@example.com:k", "title": "", "inputs": inputs});
    for (inputs, word) in [
        (json!({"subdomain": "evil.example/"}), "for example \"acme\""),
        (json!({"subdomian": "acme"}), "'subdomain', for example \"acme\""),
        (json!({"subdomain": ""}), "for example \"acme\""),
    ] {
        let fault = create(&server, "zendesk", &key(inputs.clone())).await.is(422).detail()[0].clone();
        let name = inputs.as_object().unwrap().keys().next().unwrap();
        assert_eq!(fault["loc"], json!(["body", "inputs", name]));
        assert!(fault["msg"].as_str().unwrap().contains(word), "{fault}");
    }
    create(&server, "openai", &key(json!({"a": "b"}))).await.is(422);
    create(&server, "zendesk", &key(json!({"subdomain": 1}))).await.is(422);
    let many: Value =
        (0..33).map(|number| (format!("i{number}"), json!("x"))).collect::<serde_json::Map<_, _>>().into();
    create(&server, "zendesk", &key(many)).await.is(422);

    let id = created(&server, "zendesk", &key(json!({"subdomain": "acme"}))).await;
    assert_eq!(shown(&server, "zendesk", &id).await["inputs"], json!({"subdomain": "acme"}));
    let secret = token(&server, "zendesk", &id).await.is(200).json();
    let expected = json!({"api_key": "a@example.com:k", "in": "basic", "name": null, "prefix": null,
        "base_url": "https://acme.zendesk.com/api/v2"});
    assert_eq!(secret, expected);
    // Without them the key can be stored, and its base URL is not known.
    let without = created(&server, "zendesk", &key(json!({}))).await;
    assert_eq!(token(&server, "zendesk", &without).await.is(200).json()["base_url"], Value::Null);
    assert_eq!(shown(&server, "zendesk", &without).await["inputs"], Value::Null);
    let added = json!({"api_key": "a@example.com:new", "inputs": {"subdomain": "acme-2"}});
    let changed = patch(&server, "zendesk", &without, added).await.is(200).json();
    assert_eq!(changed["inputs"], json!({"subdomain": "acme-2"}));
    let kept = patch(&server, "zendesk", &without, json!({"api_key": "a@example.com:k3"})).await.is(200).json();
    assert_eq!(kept["inputs"], json!({"subdomain": "acme-2"}), "a new key is for the same place");
}

#[tokio::test]
async fn new_destination_needs_the_secret() {
    let server = Server::start().await;
    let key = json!({"type": "api_key", "api_key": "a:k", "title": "", "inputs": {"subdomain": "acme"}});
    let id = created(&server, "zendesk", &key).await;
    let evil = json!({"subdomain": "evil"});
    for body in
        [json!({"inputs": evil}), json!({"inputs": evil, "title": "t"}), json!({"inputs": {}, "exportable": false})]
    {
        patch(&server, "zendesk", &id, body).await.is(422);
    }
    assert_eq!(shown(&server, "zendesk", &id).await["inputs"], json!({"subdomain": "acme"}));
    let headers = json!({"type": "host_scoped", "host": "a.example", "headers": {"X-K": "v"}, "title": ""});
    let id = created(&server, "http", &headers).await;
    for body in [json!({"host": "evil.example"}), json!({"type": "host_scoped", "host": "evil.example", "title": "t"})]
    {
        let fault = patch(&server, "http", &id, body).await.is(422).detail()[0].clone();
        assert_eq!(fault["type"], "missing");
    }
    assert_eq!(shown(&server, "http", &id).await["host"], "a.example");
    patch(&server, "http", &id, json!({"host": "b.example", "headers": {"X-K": "v2"}})).await.is(200);
    let password = json!({"type": "user_password", "username": "u", "password": "p", "title": "",
        "inputs": {"instance": "dev1"}});
    let id = created(&server, "servicenow", &password).await;
    for body in [json!({"inputs": {"instance": "evil"}, "password": "p2"}), json!({"inputs": {}, "username": "u2"})] {
        patch(&server, "servicenow", &id, body).await.is(422);
    }
    let shown = shown(&server, "servicenow", &id).await;
    assert_eq!(shown["inputs"], json!({"instance": "dev1"}));
}
