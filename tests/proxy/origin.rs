//! A provider's API that records every byte that it receives.

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use strongroom::http::Limits;
use strongroom::permission::Permission;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;

use crate::support::http::{Ask, Reply};
use crate::support::provider::peers;
use crate::support::{Server, Setup};

/// The secret of the tests.
pub const SECRET: &str = "sk-live-0123456789abcdef";

/// An origin at a loopback port.
pub struct Origin {
    /// `http://127.0.0.1:port`
    pub base: String,
    received: Arc<Mutex<Vec<String>>>,
}

impl Origin {
    /// Starts an origin that answers each request with the raw response that `answer` returns.
    pub async fn start<B: Into<Vec<u8>>>(answer: impl Fn(&str) -> B + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let received: Arc<Mutex<Vec<String>>> = Arc::default();
        let (to_note, answer) = (received.clone(), Arc::new(answer));
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let (to_note, answer) = (to_note.clone(), answer.clone());
                tokio::spawn(async move {
                    let request = peers::read_request(&mut stream).await;
                    if request.is_empty() {
                        return;
                    }
                    to_note.lock().unwrap().push(request.clone());
                    let answer = answer(&request).into();
                    stream.write_all(&answer).await.ok();
                });
            }
        });
        Self { base, received }
    }

    /// An origin that the test itself serves.
    pub fn at(base: String) -> Self {
        Self { base, received: Arc::default() }
    }

    /// Starts an origin that answers everything with 200 and a short text.
    pub async fn fine() -> Self {
        Self::start(|_| response("200 OK", "", "fine")).await
    }

    /// Returns the requests so far, as text.
    pub fn received(&self) -> Vec<String> {
        self.received.lock().unwrap().clone()
    }

    /// Returns the only request.
    pub fn only(&self) -> String {
        let received = self.received();
        assert_eq!(received.len(), 1, "{received:#?}");
        received[0].clone()
    }

    /// Returns the values of a header in the only request.
    pub fn header(&self, name: &str) -> Vec<String> {
        values(&self.only(), name)
    }

    /// A server with the provider `acme`, whose API is this origin. `section` is its `[api_key]`.
    pub async fn server(&self, section: &str) -> Server {
        self.server_within(section, Limits::default()).await
    }

    /// The same with other limits.
    pub async fn server_within(&self, section: &str, limits: Limits) -> Server {
        let config = format!(
            "[egress]\nallow = [\"127.0.0.0/8\"]\n[providers.acme]\ndisplay_name = \"Acme\"\n\
             [providers.acme.api_key]\nbase_url = \"{}/v1\"\n{section}\n",
            self.base
        );
        Server::with(Setup { config, ..Setup::limits(limits) }).await
    }
}

/// The section of a key that is a bearer.
pub const BEARER: &str = "in = \"header\"\nname = \"Authorization\"\nprefix = \"Bearer \"";

/// Returns the values of a header in a request.
pub fn values(request: &str, name: &str) -> Vec<String> {
    let head = request.split("\r\n\r\n").next().unwrap();
    let lines = head.lines().skip(1).filter_map(|line| line.split_once(": "));
    lines.filter(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.to_owned()).collect()
}

/// Writes a response with a length.
pub fn response(status: &str, headers: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/plain\r\n{headers}Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
}

/// A server, a stored key of `acme`, and an API key that may only send requests with it.
pub struct Scene {
    pub server: Server,
    pub id: String,
    pub agent: String,
}

impl Scene {
    pub async fn new(origin: &Origin, section: &str) -> Self {
        Self::with_key(origin, section, SECRET).await
    }

    pub async fn with_key(origin: &Origin, section: &str, secret: &str) -> Self {
        Self::on(origin.server(section).await, secret).await
    }

    /// The scene on a running server that has the provider.
    pub async fn on(server: Server, secret: &str) -> Self {
        let body = json!({"type": "api_key", "api_key": secret, "title": "t"});
        let path = "/v1/integrations/acme/credentials";
        let made = server.post(path).key(&server.key).json(&body).send().await.is(201).json();
        let agent = server.key_with(&[Permission::ProxyIntegrations]).await;
        Self { server, id: made["id"].as_str().unwrap().to_owned(), agent }
    }

    /// Returns a request to the provider.
    pub fn ask(&self, method: http::Method, path: &str) -> Ask {
        self.server.ask(method, &format!("/v1/proxy/{}{path}", self.id))
    }

    pub async fn get(&self, path: &str) -> Reply {
        self.ask(http::Method::GET, path).key(&self.agent).send().await
    }
}

/// Returns the audit rows of an action: their subjects.
pub fn audited(server: &Server, action: &str) -> Vec<Value> {
    let filter = strongroom::broker::AuditFilter { action: Some(action.to_owned()), ..Default::default() };
    let rows = server.vault.audit().find(&filter).unwrap();
    rows.iter().map(|row| serde_json::to_value(&row.row.subject).unwrap()).collect()
}
