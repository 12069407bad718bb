//! OAuth tokens in the proxy: refreshed before they expire and after a 401, once.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::future::join_all;
use http::Method;
use serde_json::json;
use strongroom::permission::Permission;

use crate::origin::{Origin, audited, response, values};
use crate::support::flow::CALLBACK;
use crate::support::{Server, Setup};

/// An account of a provider whose API and authorization server are one origin.
struct Account {
    server: Server,
    id: String,
    agent: String,
}

impl Account {
    async fn connect(origin: &Origin) -> Self {
        let base = &origin.base;
        let config = format!(
            "[egress]\nallow = [\"127.0.0.0/8\"]\n[providers.acme]\ndisplay_name = \"Acme\"\nclient_id = \"c\"\n\
             client_secret = \"s\"\n[providers.acme.oauth]\nauthorize_url = \"{base}/authorize\"\n\
             token_url = \"{base}/token\"\napi_base_url = \"{base}/api\"\n"
        );
        let server = Server::with(Setup { config, ..Setup::default() }).await;
        let started = server.initiate_with("acme", &json!({"callback_url": CALLBACK})).await;
        let body = json!({"code": "code-123456", "state_token": started.state});
        let path = "/v1/integrations/acme/oauth/complete";
        let completed = server.post(path).key(&server.key).json(&body).send().await.is(200).json();
        let agent = server.key_with(&[Permission::ProxyIntegrations]).await;
        Self { server, id: completed["credentials_id"].as_str().unwrap().to_owned(), agent }
    }

    async fn send(&self, method: Method, body: &str) -> u16 {
        let ask = self.server.ask(method, &format!("/v1/proxy/{}/me", self.id)).key(&self.agent);
        ask.bytes(body.to_owned()).send().await.status
    }
}

/// An origin that gives the tokens `token-1`, `token-2`, … and accepts only those that `accepts` allows.
async fn origin(accepts: impl Fn(&str) -> bool + Send + Sync + 'static) -> (Origin, Arc<AtomicUsize>) {
    let given = Arc::new(AtomicUsize::new(0));
    let count = given.clone();
    let origin = Origin::start(move |request| {
        if request.starts_with("POST /token ") {
            let number = count.fetch_add(1, Ordering::SeqCst) + 1;
            let tokens = json!({"access_token": format!("token-{number}"), "token_type": "Bearer",
                "refresh_token": format!("refresh-{number}"), "expires_in": 3600});
            return response("200 OK", "", &tokens.to_string()).replace("text/plain", "application/json");
        }
        let token = values(request, "Authorization").join("").replace("Bearer ", "");
        if accepts(&token) { response("200 OK", "", "fine") } else { response("401 Unauthorized", "", "no") }
    })
    .await;
    (origin, given)
}

#[tokio::test]
async fn rejected_token_is_renewed_and_the_request_sent_again() {
    let (origin, given) = origin(|token| token == "token-2").await;
    let account = Account::connect(&origin).await;
    assert_eq!(account.send(Method::POST, "the body").await, 200);
    assert_eq!(given.load(Ordering::SeqCst), 2);
    let sent: Vec<_> = origin.received().into_iter().filter(|request| request.starts_with("POST /api/me ")).collect();
    assert_eq!(sent.len(), 2);
    assert!(sent.iter().all(|request| request.ends_with("the body")), "{sent:#?}");
}

#[tokio::test]
async fn provider_that_always_rejects_is_asked_twice() {
    let (origin, given) = origin(|_| false).await;
    let account = Account::connect(&origin).await;
    assert_eq!(account.send(Method::GET, "").await, 401);
    let sent = || origin.received().iter().filter(|request| request.starts_with("GET /api/me ")).count();
    assert_eq!((sent(), given.load(Ordering::SeqCst)), (2, 2));
    // Within a minute the credential is not renewed again.
    assert_eq!(account.send(Method::GET, "").await, 401);
    assert_eq!((sent(), given.load(Ordering::SeqCst)), (3, 2));
}

#[tokio::test]
async fn many_rejected_requests_cost_one_refresh() {
    let (origin, given) = origin(|token| token == "token-2").await;
    let account = Account::connect(&origin).await;
    let statuses = join_all((0..30).map(|_| account.send(Method::GET, ""))).await;
    assert!(statuses.iter().all(|status| *status == 200), "{statuses:?}");
    assert_eq!(given.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn long_body_is_sent_once() {
    let (origin, given) = origin(|token| token == "token-2").await;
    let account = Account::connect(&origin).await;
    assert_eq!(account.send(Method::POST, &"x".repeat(65 * 1024)).await, 401);
    let sent = origin.received().iter().filter(|request| request.starts_with("POST /api/me ")).count();
    assert_eq!((sent, given.load(Ordering::SeqCst)), (1, 1));
}

#[tokio::test]
async fn account_to_connect_again_needs_no_approval() {
    let origin = Origin::start(|request| {
        let (status, body) = if request.contains("grant_type=refresh_token") {
            ("400 Bad Request", json!({"error": "invalid_grant"}))
        } else if request.starts_with("POST /token ") {
            ("200 OK", json!({"access_token": "a", "token_type": "Bearer", "refresh_token": "r", "expires_in": 3600}))
        } else {
            ("401 Unauthorized", json!({}))
        };
        response(status, "", &body.to_string()).replace("text/plain", "application/json")
    })
    .await;
    let account = Account::connect(&origin).await;
    let server = &account.server;
    assert_eq!(account.send(Method::GET, "").await, 401);
    let admin = server.service_key_with(&[], &[Permission::Admin]).await;
    let agent = server.vault.api_keys().authenticate(&account.agent).unwrap().unwrap().id;
    let grant = json!({"key": agent, "effect": "allow", "approval": "always"});
    server.post("/v1/grants").key(&admin).json(&grant).send().await.is(201);
    assert_eq!(account.send(Method::GET, "").await, 409);
    assert!(audited(server, "approval.request").is_empty());
}
