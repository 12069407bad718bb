//! A user is removed while a provider still thinks: no credential appears afterwards, and what the provider gives is revoked
//! there.

use std::time::Duration;

use futures_util::join;
use http::Method;
use serde_json::json;
use strongroom::clock::{Clock, UnixTime};
use strongroom::random::Random;
use strongroom::sandbox::{Conduct, Sandbox, SandboxEndpoint};

use crate::support::flow::{CALLBACK, acme_like};
use crate::support::http::{Ask, Reply};
use crate::support::{Server, Setup, eventually};

const LIST: &str = "/v1/integrations/credentials";

/// Removes a user while the token endpoint holds its answers, then adds the user again if `again`.
async fn remove_while_held(server: &Server, user: &str, token_requests: u64, again: bool) {
    eventually("the token endpoint is asked", async || server.token_requests() == token_requests).await;
    assert!(server.broker.remove_user(&user.parse().unwrap(), |_, _| {}).await.unwrap());
    if again {
        server.key_of(user).await;
    }
    server.sandbox_holds_token_answers(false);
}

async fn nothing_appeared(server: &Server, user: &str, again: bool) {
    eventually("what the provider gave is revoked", async || server.sandbox.live_grants() == 0).await;
    assert_eq!(server.vault.users().exists(&user.parse().unwrap()).unwrap(), again);
    let key = server.key_of(user).await;
    assert_eq!(server.get(LIST).key(&key).send().await.is(200).json(), json!([]));
    assert_eq!(server.vault.integrity().verify().unwrap().findings, []);
    let status = server.vault.status().unwrap();
    assert_eq!((status.credentials, status.pending), (0, 0));
    let confirmed = async || server.vault.status().unwrap().revocations == 0;
    eventually("the revocation has left the queue", confirmed).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn login_of_a_removed_user_is_revoked() {
    for again in [false, true] {
        let server = Server::start().await;
        let started = server.initiate("sandbox").await;
        let callback = server.log_in(&started).await;
        server.sandbox_holds_token_answers(true);
        let (reply, ()) = join!(server.complete("sandbox", &callback), remove_while_held(&server, "alice", 1, again));
        assert_eq!(reply.is(400).detail(), "Invalid or expired state token");
        nothing_appeared(&server, "alice", again).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn service_keys_login_of_a_removed_user_is_revoked() {
    let server = Server::start().await;
    let service = server.service_key(&[]).await;
    let post = |path: &str| server.post(path).key(&service).header("Strongroom-User", "bob");
    // The user exists only after the login began.
    let started = post("/v1/integrations/sandbox/oauth/initiate").json(&json!({"callback_url": CALLBACK})).send().await;
    let started = started.is(200).json();
    let url = format!("{}&sandbox_decision=approve", started["login_url"].as_str().unwrap());
    let sent = Ask::new(Method::GET, url).send().await;
    let location = url::Url::parse(sent.header("Location").unwrap()).unwrap();
    let params: std::collections::BTreeMap<String, String> = location.query_pairs().into_owned().collect();
    let body = json!({"code": params["code"], "state_token": started["state_token"], "callback_params": params});
    server.sandbox_holds_token_answers(true);
    let complete = post("/v1/integrations/sandbox/oauth/complete").json(&body).send();
    let remove = async {
        let plain = json!({"type": "api_key", "api_key": "k", "title": "t"});
        post("/v1/integrations/openai/credentials").json(&plain).send().await.is(201);
        remove_while_held(&server, "bob", 1, false).await;
    };
    let (reply, ()) = join!(complete, remove);
    reply.is(400);
    nothing_appeared(&server, "bob", false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn refresh_of_a_removed_or_deleted_credential_is_revoked() {
    for deleted in [false, true] {
        let server = Server::start().await;
        let id = server.connect("sandbox").await;
        let path = format!("/v1/integrations/sandbox/credentials/{id}");
        server.sandbox_holds_token_answers(true);
        let refresh = server.post(&format!("{path}/refresh")).key(&server.key).send();
        let end = async {
            if deleted {
                eventually("the token endpoint is asked", async || server.token_requests() == 2).await;
                server.delete(&path).key(&server.key).send().await.is(200);
                server.sandbox_holds_token_answers(false);
            } else {
                remove_while_held(&server, "alice", 2, false).await;
            }
        };
        let (reply, ()) = join!(refresh, end);
        assert_ne!(reply.status, 200, "{}", reply.text());
        nothing_appeared(&server, "alice", deleted).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn device_login_of_a_removed_user_is_revoked() {
    let config = "[oauth]\ndevice = true".to_owned();
    let server = Server::with(Setup { config, ..Setup::default() }).await;
    let post = async |path: &str, body| -> Reply {
        let path = format!("/v1/integrations/sandbox/oauth/device/{path}");
        server.post(&path).key(&server.key).json(&body).send().await
    };
    let begun = post("initiate", json!({})).await.is(200).json();
    let link = begun["verification_uri_complete"].as_str().unwrap();
    Ask::new(Method::GET, format!("{link}&sandbox_decision=approve&sandbox_user=alice")).send().await.is(200);
    server.clock.advance(Duration::from_secs(5));
    server.sandbox_holds_token_answers(true);
    let poll = post("poll", json!({"device_token": begun["device_token"]}));
    let (reply, ()) = join!(poll, remove_while_held(&server, "alice", 1, true));
    assert_eq!(reply.is(400).json()["type"], "/problems/invalid-state");
    nothing_appeared(&server, "alice", true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn client_credentials_of_a_removed_user_are_revoked() {
    let server = Server::start().await;
    let body = json!({"type": "client_credentials", "title": "the robot", "scopes": ["read"]});
    server.sandbox_holds_token_answers(true);
    let create = server.post("/v1/integrations/sandbox/credentials").key(&server.key).json(&body).send();
    let (reply, ()) = join!(create, remove_while_held(&server, "alice", 1, false));
    assert_eq!(reply.is(409).json()["type"], "/problems/user-removed");
    nothing_appeared(&server, "alice", false).await;
}

/// Tokens that no credential was made from are revoked at a URL that has the caller's value.
#[tokio::test(flavor = "multi_thread")]
async fn revocation_url_with_an_input_is_filled() {
    let clock = Clock::manual(UnixTime(1_800_000_000));
    let provider = Sandbox::start(clock.clone(), Random).await.unwrap();
    let acme = acme_like(&provider, provider.base_url(), "").replace("[oauth]", "[oauth]\ndevice = true");
    let acme = acme.replace("client_id = ", "lend_client = true\nlend_scopes = [\"read\"]\nclient_id = ");
    let input = "[providers.acme.oauth.inputs.leaf]\npattern = \"[a-z]+\"\nexample = \"revoke\"";
    let config = format!("{}\n{input}", acme.replace("/revoke\"", "/{leaf}\""));
    let server = Server::with(Setup { config, ..Setup::default() }).await;
    let inputs = json!({"leaf": "revoke"});
    for (device, user) in [(true, "bob"), (false, "carol")] {
        let key = server.key_of(user).await;
        let post = async |path: &str, body| -> Reply {
            server.post(&format!("/v1/integrations/acme/{path}")).key(&key).json(&body).send().await
        };
        let begun = post("oauth/device/initiate", json!({"inputs": inputs})).await.is(200).json();
        let link = begun["verification_uri_complete"].as_str().unwrap();
        Ask::new(Method::GET, format!("{link}&sandbox_decision=approve&sandbox_user=alice")).send().await.is(200);
        server.clock.advance(Duration::from_secs(5));
        clock.advance(Duration::from_secs(5));
        let asked = provider.requests(SandboxEndpoint::Token);
        provider.conduct(SandboxEndpoint::Token, Conduct::Held);
        let request = async {
            if device {
                post("oauth/device/poll", json!({"device_token": begun["device_token"]})).await
            } else {
                let body = json!({"type": "client_credentials", "title": "t", "scopes": ["read"], "inputs": inputs});
                post("credentials", body).await
            }
        };
        let remove = async {
            eventually("a token is asked for", async || provider.requests(SandboxEndpoint::Token) > asked).await;
            assert!(server.broker.remove_user(&user.parse().unwrap(), |_, _| {}).await.unwrap());
            provider.conduct(SandboxEndpoint::Revoke, Conduct::Down);
            provider.conduct(SandboxEndpoint::Token, Conduct::Normal);
        };
        let (reply, ()) = join!(request, remove);
        reply.is(if device { 400 } else { 409 });
        assert_eq!((provider.live_grants(), server.vault.status().unwrap().revocations), (1, 1), "it is queued");
        provider.conduct(SandboxEndpoint::Revoke, Conduct::Normal);
        server.clock.advance(Duration::from_secs(120));
        assert_eq!(server.broker.retry_revocations().await.unwrap(), 1);
        assert_eq!(provider.live_grants(), 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn body_that_ends_after_the_removal_stores_nothing() {
    let server = Server::start().await;
    let body = json!({"type": "api_key", "api_key": "k", "title": "t"}).to_string();
    let mut slow = server.raw().await;
    let head = format!(
        "POST /v1/integrations/openai/credentials HTTP/1.1\r\nHost: x\r\nX-API-Key: {}\r\nContent-Length: {}\r\n\
         Expect: 100-continue\r\n\r\n",
        server.key,
        body.len()
    );
    // The server asks for the body when it has authenticated the request.
    assert_eq!(slow.ask(head).await.status, 100);
    slow.send(&body[..5]).await;
    assert!(server.broker.remove_user(&"alice".parse().unwrap(), |_, _| {}).await.unwrap());
    let answer = slow.ask(&body[5..]).await;
    assert_eq!(answer.status, 409, "{}", answer.body);
    nothing_appeared(&server, "alice", false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_of_a_removed_user_end_before_its_revocations() {
    let server = Server::start().await;
    for _ in 0..3 {
        server.connect("sandbox").await;
    }
    server.initiate("sandbox").await;
    let service = server.service_key(&[]).await;
    server.sandbox.conduct(SandboxEndpoint::Revoke, Conduct::Held);
    let mut deleted = Vec::new();
    let alice = "alice".parse().unwrap();
    let remove = server.broker.remove_user(&alice, |_, gone| deleted.push(gone.revoked));
    let look = async {
        eventually("a revocation is sent", async || server.sandbox.requests(SandboxEndpoint::Revoke) > 0).await;
        server.get(LIST).key(&server.key).send().await.is(401);
        let listed = server.get(LIST).key(&service).header("Strongroom-User", "alice").send().await.is(200).json();
        let status = server.vault.status().unwrap();
        assert_eq!((listed, status.users, status.pending, status.credentials), (json!([]), 0, 0, 0));
        server.sandbox.conduct(SandboxEndpoint::Revoke, Conduct::Normal);
    };
    let (removed, ()) = join!(remove, look);
    assert!(removed.unwrap());
    // They have one grant, which ends with one revocation.
    assert_eq!(deleted, [None, None, Some(true)]);
    assert_eq!(server.vault.status().unwrap().revocations, 0);
}
