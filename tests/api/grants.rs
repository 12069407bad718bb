//! `/v1/grants`: adding, listing, removing and explaining grants, and who may do so.

use crate::support::http::Reply;
use crate::support::{Server, new_key};
use http::Method;
use serde_json::{Value, json};
use strongroom::permission::Permission;
use strongroom::vault::{AuditContext, KeyHolder};

const GRANTS: &str = "/v1/grants";

/// A key that a user's agent holds: its id.
async fn agent(server: &Server, user: &str) -> String {
    let holder = KeyHolder::User(user.parse().unwrap());
    agent_of(server, holder, &[Permission::ProxyIntegrations]).await
}

async fn agent_of(server: &Server, holder: KeyHolder, permissions: &[Permission]) -> String {
    let new = new_key(holder, permissions, None);
    server.vault.api_keys().create(new, &AuditContext::command_line()).await.unwrap().0.id.to_string()
}

async fn operator(server: &Server) -> String {
    server.service_key_with(&[], &[Permission::Admin]).await
}

async fn add(server: &Server, admin: &str, body: Value) -> Reply {
    server.post(GRANTS).key(admin).json(&body).send().await
}

fn places(reply: &Reply) -> Vec<Value> {
    reply.json()["detail"].as_array().unwrap().iter().map(|fault| fault["loc"].clone()).collect()
}

#[tokio::test]
async fn grant_is_added_listed_explained_and_removed() {
    let server = Server::start().await;
    let (admin, key) = (operator(&server).await, agent(&server, "alice").await);
    let credential = server.create_api_key_credential("openai").await;
    let whole = json!({
        "key": key, "effect": "allow", "providers": ["openai"], "credentials": [credential],
        "hosts": ["api.openai.com"], "methods": ["GET"], "paths": ["/v1/**"], "rate": "60/m",
        "expires": 1_900_000_000, "approval": "always",
    });
    let added = add(&server, &admin, whole.clone()).await.is(201).json();
    let id = added["id"].as_str().unwrap();
    let mut expected = whole;
    expected["id"] = id.into();
    assert_eq!(added, expected);
    let deny =
        add(&server, &admin, json!({"key": key, "effect": "deny", "paths": ["/v1/admin/**"]})).await.is(201).json();
    assert_eq!((&deny["rate"], &deny["expires"], &deny["approval"]), (&json!(null), &json!(null), &json!("never")));

    let one = format!("{GRANTS}/{id}");
    assert_eq!(server.get(&one).key(&admin).send().await.is(200).json(), added);
    let listed = server.get(&format!("{GRANTS}?key={key}")).key(&admin).send().await.is(200).json();
    assert_eq!(listed, json!([added, deny]));

    let explain = async |method: &str, url: &str| {
        let body = json!({"key": key, "credential": credential, "method": method, "url": url});
        server.post("/v1/grants/explain").key(&admin).json(&body).send().await.is(200).json()
    };
    let asks = explain("HEAD", "https://api.openai.com/v1/models?x=1").await;
    assert_eq!((&asks["decision"], &asks["grant"]), (&json!("needs_approval"), &added["id"]));
    let denied = explain("GET", "https://api.openai.com/v1/admin/keys").await;
    assert_eq!((&denied["decision"], &denied["grant"]), (&json!("denied"), &deny["id"]));
    let default = explain("POST", "https://api.openai.com/v1/models").await;
    assert_eq!((&default["decision"], &default["grant"]), (&json!("denied"), &json!(null)));
    assert_eq!(default["missed"][0], json!({"grant": id, "reason": "the method is not in it"}));
    let respelled = explain("GET", "https://api.openai.com/v1/%6dodels").await;
    assert!(respelled["reason"].as_str().unwrap().contains("canonical spelling"), "{respelled}");

    assert_eq!(server.delete(&one).key(&admin).send().await.is(200).json(), added);
    for method in [Method::GET, Method::DELETE] {
        let gone = server.ask(method, &one).key(&admin).send().await.is(404).json();
        assert_eq!(gone["type"], "/problems/grant-not-found");
    }
    let now = explain("GET", "https://api.openai.com/v1/models").await;
    assert_eq!((&now["decision"], &now["grant"]), (&json!("denied"), &json!(null)), "the key stays limited");
}

#[tokio::test]
async fn grant_with_faults_is_refused_as_a_whole() {
    let server = Server::start().await;
    let (admin, key) = (operator(&server).await, agent(&server, "alice").await);
    let of_bob = server.post("/v1/integrations/openai/credentials").key(&server.key_of("bob").await);
    let of_bob = of_bob.json(&json!({"type": "api_key", "api_key": "k", "title": ""})).send().await.is(201).json();
    let own = server.create_api_key_credential("openai").await;
    let unknown = "0192d3f0-7c3a-7000-8000-00000000000f";
    for (member, value, place) in [
        ("providers", json!(["openai", "githb"]), json!(["body", "providers", 1])),
        ("credentials", json!([own, unknown]), json!(["body", "credentials", 1])),
        ("credentials", json!([of_bob["id"]]), json!(["body", "credentials", 0])),
        ("key", json!(unknown), json!(["body", "key"])),
        ("path", json!(["/v1/**"]), json!(["body", "path"])),
        ("hosts", json!(["*"]), json!(["body", "hosts", 0])),
        ("methods", json!(["get"]), json!(["body", "methods", 0])),
        ("paths", json!(["/a/../b"]), json!(["body", "paths", 0])),
        ("rate", json!("60"), json!(["body", "rate"])),
        ("approval", json!("maybe"), json!(["body", "approval"])),
        ("paths", json!(vec!["/x"; 101]), json!(["body", "paths"])),
    ] {
        let mut body = json!({"key": key, "effect": "allow"});
        body[member] = value;
        let refused = add(&server, &admin, body).await.is(422);
        assert_eq!(places(&refused), [place], "{}", refused.text());
    }
    for (member, value) in [("rate", json!("1/s")), ("expires", json!(1_900_000_000)), ("approval", json!("always"))] {
        let mut body = json!({"key": key, "effect": "deny"});
        body[member] = value;
        assert_eq!(places(&add(&server, &admin, body).await.is(422)), [json!(["body", member])]);
    }
    let near = add(&server, &admin, json!({"key": key, "effect": "allow", "providers": ["githb"]})).await;
    assert!(near.text().contains("did you mean 'github'?"), "{}", near.text());
    let other = json!({"key": key, "effect": "allow", "providers": ["github"], "credentials": [own]});
    assert!(add(&server, &admin, other).await.is(422).text().contains("which is not in the grant"));
    assert_eq!(server.get(GRANTS).key(&admin).send().await.is(200).json(), json!([]));
}

#[tokio::test]
async fn every_fault_is_named_at_once() {
    let server = Server::start().await;
    let (admin, key) = (operator(&server).await, agent(&server, "alice").await);
    let unknown = "0192d3f0-7c3a-7000-8000-00000000000f";
    let explain = "/v1/grants/explain";
    let junk = json!({"key": "x", "credential": 1, "method": "G T", "url": "nope"});
    for (path, body, members) in [
        (GRANTS, json!({}), &["key", "effect"][..]),
        (GRANTS, json!({"key": 1, "effect": 2, "approval": {}}), &["key", "effect", "approval"]),
        (GRANTS, json!({"key": key, "effect": "deny", "rate": "1/s", "expires": 1}), &["rate", "expires"]),
        (
            GRANTS,
            json!({"key": unknown, "effect": "allow", "providers": ["githb"], "expires": 1}),
            &["key", "providers", "expires"],
        ),
        (explain, json!({}), &["key", "credential", "method", "url"]),
        (explain, junk, &["key", "credential", "method", "url"]),
        (explain, json!({"method": 1, "url": "https://a b/"}), &["key", "credential", "method", "url"]),
    ] {
        let refused = server.post(path).key(&admin).json(&body).send().await.is(422);
        let found: Vec<Value> = places(&refused).into_iter().map(|place| place[1].clone()).collect();
        assert_eq!(found, members, "{body}: {}", refused.text());
        for (member, words) in [("effect", "'allow', 'deny'"), ("approval", "'never', 'always'")] {
            if body[member].is_number() || body[member].is_object() {
                assert!(refused.text().contains(words), "{}", refused.text());
            }
        }
        if body["url"] == "nope" {
            assert!(refused.text().contains("a whole URL is needed"), "{}", refused.text());
        }
    }
}

#[tokio::test]
async fn grant_that_has_ended_is_not_added() {
    let server = Server::start().await;
    let (admin, key) = (operator(&server).await, agent(&server, "alice").await);
    for expires in [json!(1), json!(-1), json!("1")] {
        let refused = add(&server, &admin, json!({"key": key, "effect": "allow", "expires": expires})).await.is(422);
        assert_eq!(places(&refused), [json!(["body", "expires"])]);
        assert!(refused.text().contains("in the past"), "{}", refused.text());
    }
    let explain = json!({"key": key, "credential": server.create_api_key_credential("openai").await, "method": "GET",
        "url": "https://api.openai.com/v1/models"});
    let explained = server.post("/v1/grants/explain").key(&admin).json(&explain).send().await.is(200).json();
    assert_eq!(explained["decision"], "allowed", "the key is not limited to grants");
}

#[tokio::test]
async fn key_with_use_gets_no_grants() {
    let server = Server::start().await;
    let admin = operator(&server).await;
    let holder = KeyHolder::User("alice".parse().unwrap());
    let key = agent_of(&server, holder, &[Permission::UseIntegrations]).await;
    let refused = add(&server, &admin, json!({"key": key, "effect": "allow"})).await.is(422);
    assert_eq!(places(&refused), [json!(["body", "key"])]);
    assert!(refused.text().contains("strongroom key update"), "it says what to do: {}", refused.text());
}

// E, and "no permission implies another": an administrator does not reach further than its own key.
#[tokio::test]
async fn administrator_manages_keys_of_its_users_only() {
    let server = Server::start().await;
    let operator = operator(&server).await;
    let (of_alice, of_bob) = (agent(&server, "alice").await, agent(&server, "bob").await);
    let service = KeyHolder::Service { users: vec!["team-*".parse().unwrap()] };
    let of_service = agent_of(&server, service, &[Permission::ProxyIntegrations]).await;
    let mut ids = Vec::new();
    for key in [&of_alice, &of_bob, &of_service] {
        let added = add(&server, &operator, json!({"key": key, "effect": "allow"})).await.is(201).json();
        ids.push(added["id"].as_str().unwrap().to_owned());
    }
    let admin_of_alice = server.key_with(&[Permission::Admin]).await;
    let admin_of_team = server.service_key_with(&["team-*"], &[Permission::Admin]).await;
    for (admin, covered) in [(&admin_of_alice, 0), (&admin_of_team, 2)] {
        let listed = server.get(GRANTS).key(admin).send().await.is(200).json();
        let listed: Vec<_> = listed.as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap()).collect();
        assert_eq!(listed, [ids[covered].as_str()]);
        for (index, key) in [&of_alice, &of_bob, &of_service].into_iter().enumerate() {
            let status = if index == covered { [201, 200, 200] } else { [422, 404, 404] };
            let added = add(&server, admin, json!({"key": key, "effect": "deny"})).await;
            let one = format!("{GRANTS}/{}", ids[index]);
            let got = server.get(&one).key(admin).send().await;
            let removed = server.delete(&one).key(admin).send().await;
            assert_eq!([added.status, got.status, removed.status], status, "{index}");
        }
    }
}

#[tokio::test]
async fn limited_administrator_and_own_key_are_refused() {
    let server = Server::start().await;
    let operator = operator(&server).await;
    let key = agent(&server, "alice").await;
    let limited = server.limited_key("alice", &["openai"], &[]).await;
    let own = server.key_with(&[Permission::Admin]).await;
    let own_id = server.vault.api_keys().authenticate(&own).unwrap().unwrap().id.to_string();
    let body = json!({"key": key, "effect": "allow"});
    let own_body = json!({"key": own_id, "effect": "allow"});
    let added = add(&server, &operator, own_body.clone()).await.is(201).json();
    let own_grant = format!("{GRANTS}/{}", added["id"].as_str().unwrap());
    for refused in [
        add(&server, &limited, body).await,
        server.get(GRANTS).key(&limited).send().await,
        add(&server, &own, own_body).await,
        server.delete(&own_grant).key(&own).send().await,
    ] {
        assert_eq!(refused.is(403).json()["type"], "/problems/not-granted");
    }
    server.get(&own_grant).key(&own).send().await.is(200);
}

#[tokio::test]
async fn list_of_grants_has_pages() {
    let server = Server::start().await;
    let (admin, key) = (operator(&server).await, agent(&server, "alice").await);
    let mut ids = Vec::new();
    for _ in 0..5 {
        let added = add(&server, &admin, json!({"key": key, "effect": "deny"})).await.is(201).json();
        ids.push(added["id"].as_str().unwrap().to_owned());
    }
    let (mut next, mut seen) = (Some(format!("{GRANTS}?key={key}&limit=2")), Vec::new());
    while let Some(path) = next {
        let page = server.get(&path).key(&admin).send().await.is(200);
        let listed = page.json();
        seen.extend(listed.as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap().to_owned()));
        let link = page.header("link").map(str::to_owned);
        next = link.map(|link| link.trim_start_matches('<').split('>').next().unwrap().to_owned());
    }
    assert_eq!(seen, ids);
    for query in ["limit=0", "after=x", "key=x"] {
        server.get(&format!("{GRANTS}?{query}")).key(&admin).send().await.is(422);
    }
}
