//! Tests of the sandbox over its port.

mod authorization;
mod browser;
mod entry;
mod tokens;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::Value;
use sha2::{Digest, Sha256};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::{Behaviour, Sandbox};
use crate::clock::{Clock, UnixTime};
use crate::random::Random;

const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CALLBACK: &str = "http://localhost:3000/callback?tenant=7";

/// A sandbox and its clock.
struct Bench {
    sandbox: Sandbox,
    clock: Clock,
}

/// A complete response.
struct Reply {
    status: u16,
    headers: BTreeMap<String, String>,
    body: String,
}

impl Reply {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    /// Returns the query of a redirect.
    fn redirect(&self) -> BTreeMap<String, String> {
        assert_eq!(self.status, 303, "{}", self.body);
        let to = url::Url::parse(&self.headers["location"]).unwrap();
        assert!(to.as_str().starts_with(CALLBACK), "{to}");
        to.query_pairs().into_owned().collect()
    }

    /// Returns status and `error` of an error response (RFC 6749 §5.2).
    fn refused(&self) -> (u16, String) {
        (self.status, self.json()["error"].as_str().unwrap_or_default().to_owned())
    }
}

async fn bench() -> Bench {
    bench_with(|_| {}).await
}

async fn bench_with(change: impl FnOnce(&mut Behaviour)) -> Bench {
    let clock = Clock::manual(UnixTime(1_800_000_000));
    let sandbox = Sandbox::start(clock.clone(), Random).await.unwrap();
    sandbox.adjust(change);
    Bench { sandbox, clock }
}

fn encoded(parameters: &[(&str, &str)]) -> String {
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish()
}

fn basic(id: &str, secret: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{id}:{secret}")))
}

fn challenge() -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(VERIFIER))
}

impl Bench {
    async fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Reply {
        let address = self.sandbox.base_url().strip_prefix("http://").unwrap();
        let mut request = format!("{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n");
        for (name, value) in headers {
            write!(request, "{name}: {value}\r\n").unwrap();
        }
        write!(request, "Content-Length: {}\r\n\r\n{body}", body.len()).unwrap();
        let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        tokio::time::timeout(Duration::from_secs(5), stream.read_to_string(&mut answer)).await.unwrap().unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let mut lines = head.lines();
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let headers = lines.map(|line| line.split_once(": ").unwrap()).map(|(n, v)| (n.to_owned(), v.to_owned()));
        Reply { status, headers: headers.collect(), body: body.to_owned() }
    }

    /// Sends a valid request to `GET /authorize`. `change` replaces, adds or (empty value) removes
    /// parameters.
    async fn authorize(&self, change: &[(&str, &str)]) -> Reply {
        let challenge = challenge();
        let mut parameters = BTreeMap::from([
            ("response_type", "code"),
            ("client_id", self.sandbox.client_id()),
            ("redirect_uri", CALLBACK),
            ("scope", "read write"),
            ("state", "s t&te"),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
        ]);
        parameters.extend(change.iter().copied());
        let query = encoded(&parameters.into_iter().collect::<Vec<_>>());
        self.ask("GET", &format!("/authorize?{query}"), &[], "").await
    }

    /// Returns a new code for alice.
    async fn code(&self) -> String {
        let reply = self.authorize(&[("sandbox_decision", "approve"), ("sandbox_user", "alice")]).await;
        reply.redirect()["code"].clone()
    }

    /// Posts a form as the client.
    async fn post(&self, path: &str, form: &[(&str, &str)]) -> Reply {
        let basic = basic(self.sandbox.client_id(), self.sandbox.client_secret().expose());
        let headers = [("Content-Type", "application/x-www-form-urlencoded"), ("Authorization", basic.as_str())];
        self.ask("POST", path, &headers, &encoded(form)).await
    }

    /// Sends the token request for this code. `change` replaces, adds or (empty value) removes
    /// parameters.
    async fn exchange(&self, code: &str, change: &[(&str, &str)]) -> Reply {
        let mut form = BTreeMap::from([
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", CALLBACK),
            ("code_verifier", VERIFIER),
        ]);
        form.extend(change.iter().copied());
        self.post("/token", &form.into_iter().collect::<Vec<_>>()).await
    }

    /// Returns the token response for a new code.
    async fn tokens(&self) -> Value {
        let reply = self.exchange(&self.code().await, &[]).await;
        assert_eq!(reply.status, 200, "{}", reply.body);
        reply.json()
    }

    async fn refresh(&self, token: &Value) -> Reply {
        let form = [("grant_type", "refresh_token"), ("refresh_token", token.as_str().unwrap())];
        self.post("/token", &form).await
    }

    async fn revoke(&self, token: &Value) -> Reply {
        self.post("/revoke", &[("token", token.as_str().unwrap())]).await
    }

    fn is_active(&self, token: &Value) -> bool {
        self.sandbox.server.grants().active(token.as_str().unwrap()).is_some()
    }
}
