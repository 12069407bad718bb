//! A provider that answers as it is told, and remembers to the letter what it was asked.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use serde_json::{Value, json};

use super::peers;
use crate::support::flow::CALLBACK;
use crate::support::http::Reply;
use crate::support::{Server, Setup};

/// The provider `acme`: its token endpoint gives a token, everything else is 404 until it is told otherwise.
pub struct Recording {
    pub base: String,
    answers: Arc<Mutex<HashMap<String, Told>>>,
    asked: Arc<Mutex<Vec<Asked>>>,
}

type Told = (&'static str, &'static str, String);

/// A request that came.
#[derive(Clone, Debug)]
pub struct Asked {
    pub method: String,
    pub path: String,
    pub head: String,
    pub body: String,
}

impl Recording {
    pub async fn start() -> Self {
        let answers: Arc<Mutex<HashMap<String, Told>>> = Arc::default();
        let asked: Arc<Mutex<Vec<Asked>>> = Arc::default();
        let (to_give, to_note) = (answers.clone(), asked.clone());
        let base = peers::answering(move |request| {
            let request = Asked::read(request);
            let answer = to_give.lock().expect("no holder panics").get(&request.path).cloned();
            to_note.lock().expect("no holder panics").push(request);
            answer.unwrap_or_else(|| ("404 Not Found", "text/plain", "nothing here".to_owned()))
        })
        .await;
        let this = Self { base, answers, asked };
        this.says("/token", &json!({"access_token": "at", "token_type": "bearer"}));
        this
    }

    /// A server whose provider `acme` is this one; `oauth` is put under its `[providers.acme.oauth]`, and every `BASE` in
    /// it becomes the address.
    pub async fn server(&self, oauth: &str) -> Server {
        self.server_with(
            oauth,
            "client_id = \"my id\"\nclient_secret = \"s+c/r\"\nlend_client = true\nlend_scopes = []",
            Setup::default(),
        )
        .await
    }

    pub async fn server_with(&self, oauth: &str, client: &str, setup: Setup) -> Server {
        let url = |key: &str, path: &str| {
            if oauth.contains(key) { String::new() } else { format!("{key} = \"BASE{path}\"\n") }
        };
        let urls = url("authorize_url", "/authorize") + &url("token_url", "/token");
        let config = format!(
            "[providers.acme]\ndisplay_name = \"Acme Inc.\"\n{client}\n\
             [providers.acme.oauth]\n{urls}{oauth}\n{}",
            setup.config
        );
        Server::with(Setup { config: config.replace("BASE", &self.base), ..setup }).await
    }

    /// From now on this path answers 200 with this JSON.
    pub fn says(&self, path: &str, answer: &Value) {
        self.answers_with(path, "200 OK", "application/json", answer.to_string());
    }

    pub fn answers_with(&self, path: &str, status: &'static str, kind: &'static str, body: impl Into<String>) {
        self.answers.lock().expect("no holder panics").insert(path.to_owned(), (status, kind, body.into()));
    }

    /// All requests to this path.
    pub fn asked(&self, path: &str) -> Vec<Asked> {
        self.asked.lock().expect("no holder panics").iter().filter(|asked| asked.path == path).cloned().collect()
    }
}

impl Asked {
    pub fn read(request: &str) -> Self {
        let (head, body) = request.split_once("\r\n\r\n").unwrap_or((request, ""));
        let mut words = head.split(' ').map(str::to_owned);
        let mut word = || words.next().unwrap_or_default();
        Self { method: word(), path: word(), head: head.to_owned(), body: body.to_owned() }
    }

    pub fn header(&self, name: &str) -> Option<String> {
        let of = |line: &str| line.split_once(": ").map(|(name, value)| (name.to_lowercase(), value.to_owned()));
        self.head.lines().filter_map(of).find(|(there, _)| there == name).map(|(_, value)| value)
    }

    /// `id:secret` of an `Authorization: Basic` header.
    pub fn basic(&self) -> Option<String> {
        let header = self.header("authorization")?;
        let pair = base64::engine::general_purpose::STANDARD.decode(header.strip_prefix("Basic ")?).ok()?;
        String::from_utf8(pair).ok()
    }

    pub fn form(&self) -> Vec<(String, String)> {
        url::form_urlencoded::parse(self.body.as_bytes()).into_owned().collect()
    }

    /// The only parameter of that name.
    pub fn param(&self, name: &str) -> Option<String> {
        let mut values = self.form().into_iter().filter(|(there, _)| there == name).map(|(_, value)| value);
        let first = values.next();
        assert!(values.next().is_none(), "{name} is there twice: {}", self.body);
        first
    }
}

impl Server {
    /// Both halves of the code flow at `acme`, where a user would have logged in between; gives the answer of complete.
    pub async fn connect_acme(&self, scopes: &[&str]) -> Reply {
        let started = self.initiate_with("acme", &json!({"callback_url": CALLBACK, "scopes": scopes})).await;
        self.complete_acme(&self.key, &started.state).await
    }

    pub async fn complete_acme(&self, key: &str, state: &str) -> Reply {
        let body = json!({"code": "the code/1", "state_token": state});
        self.post("/v1/integrations/acme/oauth/complete").key(key).json(&body).send().await
    }

    pub async fn delete_acme(&self, completed: &Reply) -> Value {
        let id = completed.json()["credentials_id"].as_str().expect("an id").to_owned();
        let path = format!("/v1/integrations/acme/credentials/{id}");
        self.delete(&path).key(&self.key).send().await.is(200).json()["revoked"].clone()
    }
}
