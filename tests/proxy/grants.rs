//! Grants decide about requests through the proxy, from the next request on.

use http::Method;
use serde_json::{Value, json};
use strongroom::permission::Permission;

use crate::origin::{BEARER, Origin, Scene, audited};

/// The scene, an administrator's key, and the id of the agent's key.
async fn scene(origin: &Origin) -> (Scene, String, String) {
    scene_with(origin, BEARER).await
}

/// The same, with this section of the entry.
async fn scene_with(origin: &Origin, section: &str) -> (Scene, String, String) {
    let scene = Scene::new(origin, section).await;
    let admin = scene.server.service_key_with(&[], &[Permission::Admin]).await;
    let agent = scene.server.vault.api_keys().authenticate(&scene.agent).unwrap().unwrap().id.to_string();
    (scene, admin, agent)
}

async fn add(scene: &Scene, admin: &str, body: Value) -> String {
    let added = scene.server.post("/v1/grants").key(admin).json(&body).send().await.is(201).json();
    added["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn request_needs_an_allow_and_no_deny() {
    let origin = Origin::fine().await;
    let (scene, admin, agent) = scene(&origin).await;
    scene.get("/free").await.is(200);
    let allow =
        add(&scene, &admin, json!({"key": agent, "effect": "allow", "methods": ["GET"], "paths": ["/v1/a/**"]})).await;
    let deny = add(&scene, &admin, json!({"key": agent, "effect": "deny", "paths": ["/v1/a/secret"]})).await;
    let sent = origin.received().len();
    scene.get("/a/b").await.is(200);
    scene.ask(Method::HEAD, "/a").key(&scene.agent).send().await.is(200);
    for (method, path) in [
        (Method::GET, "/free"),
        (Method::POST, "/a/b"),
        (Method::GET, "/a/secret"),
        (Method::GET, "/a/secret;x=1"),
        (Method::GET, "/a%2Fsecret"),
        (Method::GET, "/b/a/c"),
    ] {
        let refused = scene.ask(method.clone(), path).key(&scene.agent).send().await.is(403);
        assert_eq!(refused.json()["type"], "/problems/not-granted", "{method} {path}");
    }
    assert_eq!(origin.received().len(), sent + 2, "the origin sees no refused request");
    let explained = scene.get("/a/secret").await.is(403).json();
    assert!(explained["detail"].as_str().unwrap().contains(&format!("denied by grant {deny}")), "{explained}");
    scene.server.delete(&format!("/v1/grants/{allow}")).key(&admin).send().await.is(200);
    scene.get("/a/b").await.is(403);
}

#[tokio::test]
async fn grant_of_a_command_counts_for_the_next_request() {
    let origin = Origin::fine().await;
    let (scene, admin, agent) = scene(&origin).await;
    let deny = add(&scene, &admin, json!({"key": agent, "effect": "deny", "methods": ["DELETE"]})).await;
    scene.get("/x").await.is(403);
    let allow = add(&scene, &admin, json!({"key": agent, "effect": "allow", "rate": "2/h"})).await;
    scene.get("/x").await.is(200);
    scene.get("/x").await.is(200);
    let limited = scene.get("/x").await.is(429);
    assert!(limited.header("Retry-After").is_some());
    for id in [&deny, &allow] {
        scene.server.delete(&format!("/v1/grants/{id}")).key(&admin).send().await.is(200);
        scene.get("/x").await;
    }
    scene.get("/x").await.is(403);
    let added =
        [format!("key:{agent} grant:{deny} deny methods:DELETE"), format!("key:{agent} grant:{allow} allow rate:2/h")];
    assert_eq!(audited(&scene.server, "grant.add"), added);
    assert_eq!(audited(&scene.server, "grant.remove"), added);
}

#[tokio::test]
async fn grant_with_approval_sends_nothing_unasked() {
    let origin = Origin::fine().await;
    let (scene, admin, agent) = scene(&origin).await;
    add(&scene, &admin, json!({"key": agent, "effect": "allow", "approval": "always"})).await;
    scene.get("/x").await.is(403);
    assert!(origin.received().is_empty());
}

#[tokio::test]
async fn approval_is_for_one_request_as_it_was_shown() {
    let origin = Origin::fine().await;
    let (scene, admin, agent) = scene(&origin).await;
    add(&scene, &admin, json!({"key": agent, "effect": "allow", "approval": "always"})).await;
    let send = async |body: &str| scene.ask(Method::POST, "/x").key(&scene.agent).bytes(body.to_owned()).send().await;
    let pending = send("one").await.is(403);
    assert!(pending.header("Retry-After").is_some());
    let pending = pending.json();
    assert_eq!(pending["type"], "/problems/approval-pending");
    assert_eq!(send("one").await.is(403).json()["approval_id"], pending["approval_id"], "the same request");
    let other = send("two").await.is(403).json();
    assert_ne!(other["approval_id"], pending["approval_id"]);
    let decide = async |id: &Value, how: &str| {
        let path = format!("/v1/approvals/{}/{how}", id.as_str().unwrap());
        scene.server.post(&path).key(&admin).send().await.is(200);
    };
    decide(&pending["approval_id"], "approve").await;
    decide(&other["approval_id"], "deny").await;
    assert!(origin.received().is_empty(), "nothing is sent before");
    send("one").await.is(200);
    assert!(origin.only().ends_with("one"));
    assert_eq!(send("two").await.is(403).json()["type"], "/problems/approval-denied");
    assert_ne!(send("one").await.is(403).json()["approval_id"], pending["approval_id"], "an approval is used once");
    assert_eq!(origin.received().len(), 1);
    let names =
        |row: &Value, id: &Value| row.as_str().unwrap().contains(&format!(" approval:{}", id.as_str().unwrap()));
    let passed = audited(&scene.server, "proxy.request");
    assert!(passed.len() == 1 && names(&passed[0], &pending["approval_id"]), "{passed:?}");
    let refused = audited(&scene.server, "proxy.refuse");
    let [one, two] = [&pending, &other].map(|one| refused.iter().filter(|row| names(row, &one["approval_id"])).count());
    assert_eq!((refused.len(), one, two), (5, 2, 2), "{refused:?}");
}

// The person is not asked, or an approval used up, for a request that cannot be sent.
#[tokio::test]
async fn request_without_a_place_for_the_secret_needs_no_approval() {
    let origin = Origin::fine().await;
    let (scene, admin, agent) = scene_with(&origin, "in = \"body\"\nname = \"token\"").await;
    add(&scene, &admin, json!({"key": agent, "effect": "allow", "approval": "always"})).await;
    let send = async |body: &str| scene.ask(Method::POST, "/x").key(&scene.agent).bytes(body.to_owned()).send().await;
    send("no form").await.is(400);
    assert!(audited(&scene.server, "approval.request").is_empty());
}

#[tokio::test]
async fn requests_that_wait_for_approval_use_up_no_rate() {
    let origin = Origin::fine().await;
    let (scene, admin, agent) = scene(&origin).await;
    add(&scene, &admin, json!({"key": agent, "effect": "allow", "approval": "always", "rate": "1/h"})).await;
    let pending = scene.get("/x").await.is(403).json();
    for _ in 0..3 {
        assert_eq!(scene.get("/x").await.is(403).json()["type"], "/problems/approval-pending");
    }
    let path = format!("/v1/approvals/{}/approve", pending["approval_id"].as_str().unwrap());
    scene.server.post(&path).key(&admin).send().await.is(200);
    scene.get("/x").await.is(200);
}

#[tokio::test]
async fn destinations_are_those_that_grants_allow() {
    let origin = Origin::fine().await;
    let (scene, admin, agent) = scene(&origin).await;
    let body = json!({"type": "api_key", "api_key": "sk-another-one-0123456789", "title": "u"});
    let made = scene.server.post("/v1/integrations/acme/credentials").key(&scene.server.key).json(&body);
    let other = made.send().await.is(201).json()["id"].clone();
    let listed = async || {
        let found = scene.server.get("/v1/proxy/destinations").key(&scene.agent).send().await.is(200).json();
        found["providers"].as_object().unwrap().len()
    };
    assert_eq!(listed().await, 2);
    add(&scene, &admin, json!({"key": agent, "effect": "allow", "credentials": [other]})).await;
    assert_eq!(listed().await, 1);
}

#[tokio::test]
async fn caller_can_wait_for_the_decision() {
    let origin = Origin::fine().await;
    let (scene, admin, agent) = scene(&origin).await;
    add(&scene, &admin, json!({"key": agent, "effect": "allow", "approval": "always"})).await;
    let pending = scene.get("/x").await.is(403).json();
    let path = format!("/v1/approvals/{}/approve", pending["approval_id"].as_str().unwrap());
    let waiting = scene.ask(Method::GET, "/x").key(&scene.agent).header("Prefer", "wait=50").send();
    let approving = async {
        // Nothing shows that the request waits; whichever is first, the answer is the same.
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        scene.server.post(&path).key(&admin).send().await.is(200)
    };
    let (reply, _) = tokio::join!(waiting, approving);
    reply.is(200);
    assert_eq!(origin.received().len(), 1);
    let again = scene.ask(Method::GET, "/x").key(&scene.agent).header("Prefer", "wait=0").send().await.is(403);
    assert_eq!(again.json()["type"], "/problems/approval-pending");
}
