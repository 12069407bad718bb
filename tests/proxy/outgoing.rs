//! Outgoing connections: authorities of single providers, and the egress proxy.

use std::sync::{Arc, Mutex};

use http::Method;
use serde_json::json;
use strongroom::egress::{EgressLimits, Lookup};
use strongroom::permission::Permission;

use crate::origin::{BEARER, SECRET, response};
use crate::support::provider::authority::Authority;
use crate::support::provider::connect_proxy::ConnectProxy;
use crate::support::provider::peers;
use crate::support::{Server, Setup};

/// A provider with a certificate of its own authority.
struct Private {
    authority: Authority,
    base: String,
    port: u16,
    received: Arc<Mutex<Vec<String>>>,
}

impl Private {
    async fn start(name: &str) -> Self {
        let authority = Authority::new();
        let received: Arc<Mutex<Vec<String>>> = Arc::default();
        let to_note = received.clone();
        let port = peers::over_tls(authority.acceptor(name, 2020..2100), move |request| {
            to_note.lock().unwrap().push(request.to_owned());
            if request.starts_with("POST /token ") {
                let tokens = json!({"access_token": SECRET, "token_type": "bearer", "refresh_token": "r"}).to_string();
                return response("200 OK", "", &tokens).replace("text/plain", "application/json");
            }
            response("200 OK", "", "fine")
        })
        .await;
        let base = format!("https://{name}:{port}");
        Self { authority, base, port, received }
    }

    /// The entry of a provider at this server.
    fn entry(&self, name: &str, more: &str) -> String {
        let base = &self.base;
        format!(
            "[providers.{name}]\ndisplay_name = \"{name}\"\nclient_id = \"c\"\nclient_secret = \"s\"\n{more}\n\
             [providers.{name}.oauth]\nauthorize_url = \"{base}/authorize\"\ntoken_url = \"{base}/token\"\n\
             [providers.{name}.api_key]\nbase_url = \"{base}/v1\"\n{BEARER}\n"
        )
    }

    fn received(&self) -> Vec<String> {
        self.received.lock().unwrap().clone()
    }
}

async fn server(config: String) -> Server {
    // The certificates are checked at the real time.
    let clock = Some(strongroom::clock::Clock::system());
    // `localhost` is never looked up.
    let unknown: Lookup = Arc::new(|_| Box::pin(async { Err(std::io::ErrorKind::NotFound.into()) }));
    let egress = (EgressLimits::default(), Some(unknown));
    Server::with(Setup { config, egress, clock, ..Setup::default() }).await
}

/// Stores a key, and sends a request with it. Returns the status and the body.
async fn proxied(server: &Server, provider: &str) -> (u16, String) {
    let body = json!({"type": "api_key", "api_key": SECRET, "title": "t"});
    let made = server.post(&format!("/v1/integrations/{provider}/credentials")).key(&server.key).json(&body);
    let id = made.send().await.is(201).json()["id"].as_str().unwrap().to_owned();
    let agent = server.key_with(&[Permission::ProxyIntegrations]).await;
    let reply = server.ask(Method::GET, &format!("/v1/proxy/{id}/things")).key(&agent).send().await;
    (reply.status, reply.text())
}

/// Completes a login. Returns the status and the body.
async fn login(server: &Server, provider: &str) -> (u16, String) {
    let started = server.initiate(provider).await;
    let body = json!({"code": "the-code", "state_token": started.state});
    let path = format!("/v1/integrations/{provider}/oauth/complete");
    let reply = server.post(&path).key(&server.key).json(&body).send().await;
    (reply.status, reply.text())
}

#[tokio::test]
async fn authority_of_a_provider_counts_for_it_alone() {
    let private = Private::start("localhost").await;
    let own = private.entry("own", &format!("ca = {:?}", private.authority.file()));
    let config = format!("[egress]\nallow = [\"127.0.0.0/8\"]\n{own}{}", private.entry("other", ""));
    let server = server(config).await;
    assert_eq!(login(&server, "own").await.0, 200);
    assert_eq!(proxied(&server, "own").await, (200, "fine".to_owned()));
    let received = private.received().len();
    for (status, text) in [login(&server, "other").await, proxied(&server, "other").await] {
        assert!(status == 502 && text.contains("its certificate is not trusted"), "{status} {text}");
    }
    assert_eq!(private.received().len(), received, "the other provider sent nothing");
    assert_eq!(proxied(&server, "own").await.0, 200);
}

#[tokio::test]
async fn everything_leaves_through_the_egress_proxy() {
    let private = Private::start("provider.example").await;
    let proxy = ConnectProxy::start(private.port).await;
    let entry = private.entry("acme", &format!("ca = {:?}", private.authority.file()));
    let (egress, server) = {
        let folder = tempfile::tempdir().unwrap();
        let password = folder.path().join("password");
        std::fs::write(&password, "pass\n").unwrap();
        let egress = format!(
            "[egress]\nproxy = \"http://user@127.0.0.1:{}\"\nproxy_password = {{ file = {password:?} }}\n",
            proxy.port
        );
        (egress.clone(), server(format!("{egress}{entry}")).await)
    };
    assert!(!egress.contains("pass\n"));
    let authority = format!("provider.example:{}", private.port);
    let connect =
        format!("CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\nProxy-Authorization: Basic dXNlcjpwYXNz\r\n\r\n");
    assert_eq!(login(&server, "acme").await.0, 200);
    let asked = proxy.take_asked();
    assert!(asked.len() == 1 && asked[0].starts_with(&format!("CONNECT {authority} HTTP/1.1\r\n")), "{asked:?}");
    assert!(asked[0].contains(": Basic dXNlcjpwYXNz\r\n"), "{asked:?}");
    assert_eq!(proxied(&server, "acme").await, (200, "fine".to_owned()));
    assert_eq!(proxy.take_asked(), [connect]);
    let received = private.received();
    assert!(received.iter().all(|request| !request.contains("Proxy-Auth") && !request.contains("dXNlcjpwYXNz")));
    assert_eq!(received.len(), 2, "{received:#?}");

    for (refusal, said) in [
        (
            "HTTP/1.1 407 No\r\n\r\nhunter2",
            "the proxy of egress.proxy answered CONNECT with status 407; check the user",
        ),
        ("HTTP/1.1 503 Down\r\n\r\nhunter2", "the proxy of egress.proxy answered CONNECT with status 503"),
        ("", "the proxy of egress.proxy closed the connection"),
    ] {
        proxy.refuse(Some(refusal));
        for (at, (status, text)) in
            [login(&server, "acme").await, proxied(&server, "acme").await].into_iter().enumerate()
        {
            // reqwest, which logs in, knows no status but 407.
            let said = if at == 0 { said.split("answered CONNECT with status 503").next().unwrap() } else { said };
            assert!(status == 502 && text.contains(said) && !text.contains("hunter2"), "{status} {text}");
        }
    }
    assert_eq!(private.received().len(), received.len(), "nothing was sent");
}
