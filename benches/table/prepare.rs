//! What has to be there before something can be measured: keys, credentials to delete, logins to complete.

use std::net::SocketAddr;

use serde_json::{Value, json};
use strongroom::id::CredentialId;

use super::client::{Client, request};
use super::fill::{FIVES, fill};
use super::installation::{Installation, Provider, Server};

/// A filled vault, its server, and who may ask it.
pub struct Stage {
    pub server: Server,
    pub installation: Installation,
    pub alice: String,
    pub hundred: String,
    pub writer: String,
    service: String,
    ids: Vec<CredentialId>,
}

impl Stage {
    /// A vault of so many credentials of so many users.
    pub fn new(provider: &Provider, credentials: usize, users: usize) -> Self {
        let installation = Installation::new(Some(provider));
        let ids = fill(&installation.vault(), credentials, users);
        let key = |user: &str| installation.key(&["--user", user]);
        let (alice, hundred, writer) = (key("alice"), key("hundred"), key("writer"));
        let service = installation.key(&["--service"]);
        let (server, _) = installation.serve();
        Self { server, installation, alice, hundred, writer, service, ids }
    }

    pub fn address(&self) -> SocketAddr {
        self.installation.address
    }

    pub fn get(key: &str, path: &str) -> Vec<u8> {
        request("GET", &format!("/v1/integrations{path}"), &[("X-API-Key", key)], "")
    }

    pub fn post(key: &str, path: &str, body: &Value) -> Vec<u8> {
        request("POST", &format!("/v1/integrations{path}"), &[("X-API-Key", key)], &body.to_string())
    }

    /// Stores an API key for the user `writer`.
    pub fn create(&self) -> Vec<u8> {
        let body = json!({"type": "api_key", "api_key": "sk-0123456789", "title": "t"});
        Self::post(&self.writer, "/openai/credentials", &body)
    }

    /// Begins a login.
    pub fn initiate(key: &str) -> Vec<u8> {
        let body = json!({"callback_url": "http://localhost:3000/callback", "state_metadata": {"from": "the bench"}});
        Self::post(key, "/sandbox/oauth/initiate", &body)
    }

    /// The lists of fifty users in turn, by a service key.
    pub fn lists_in_turn(&self) -> Vec<Vec<u8>> {
        let of = |number| {
            let headers = [("X-API-Key", self.service.as_str()), ("Strongroom-User", &format!("five-{number}"))];
            request("GET", "/v1/integrations/credentials", &headers, "")
        };
        (0..FIVES).map(of).collect()
    }

    /// Each of alice's five in turn.
    pub fn each_of_alice(&self, suffix: &str) -> Vec<Vec<u8>> {
        let path = |id: &CredentialId| format!("/sandbox/credentials/{id}{suffix}");
        self.ids.iter().map(|id| Self::get(&self.alice, &path(id))).collect()
    }

    /// Deletes of up to `most` credentials that the user `writer` has of a provider.
    pub fn deletes(&self, provider: &str, most: usize) -> Vec<Vec<u8>> {
        let path = |id: &str| format!("/v1/integrations/{provider}/credentials/{id}");
        let request = |id: String| request("DELETE", &path(&id), &[("X-API-Key", &self.writer)], "");
        self.ids_of_writer(provider, most).map(request).collect()
    }

    /// Forced refreshes of what the user `writer` has connected.
    pub fn refreshes(&self, most: usize) -> Vec<Vec<u8>> {
        let path = |id: &str| format!("/sandbox/credentials/{id}/refresh");
        let ids = self.ids_of_writer("sandbox", most);
        ids.map(|id| Self::post(&self.writer, &path(&id), &json!({}))).collect()
    }

    fn ids_of_writer(&self, provider: &str, most: usize) -> impl Iterator<Item = String> {
        let list = self.ask(&Self::get(&self.writer, &format!("/{provider}/credentials?limit={most}")));
        let list = list.as_array().expect("a list").clone();
        list.into_iter().map(|one| text(&one["id"]))
    }

    /// Logins that were begun and approved, and wait to be completed.
    pub fn completes(&self, provider: &Provider, count: usize) -> Vec<Vec<u8>> {
        let sandbox = provider.sandbox.base_url();
        let provider: SocketAddr = sandbox.trim_start_matches("http://").parse().expect("an address");
        let begin = Self::initiate(&self.writer);
        on_a_runtime(async {
            let mut ours = Client::connect(self.address()).await.expect("it takes connections");
            let mut theirs = Client::connect(provider).await.expect("it takes connections");
            let mut completes = Vec::new();
            for _ in 0..count {
                let started = ours.ask(&begin).await.expect("an answer").json();
                let login = text(&started["login_url"]).replace(sandbox, "");
                let approve = request("GET", &format!("{login}&sandbox_decision=approve"), &[], "");
                let answer = theirs.ask(&approve).await.expect("an answer");
                let callback = url::Url::parse(answer.header("location").expect("a redirect")).expect("a URL");
                let value = |name| callback.query_pairs().find(|(found, _)| found == name).map(|(_, value)| value);
                let body = json!({"code": value("code"), "state_token": value("state"),
                    "callback_params": {"iss": value("iss")}});
                completes.push(Self::post(&self.writer, "/sandbox/oauth/complete", &body));
            }
            completes
        })
    }

    /// How many credentials a key's user has.
    pub fn count(&self, key: &str) -> u64 {
        self.ask(&Self::get(key, "/credentials")).as_array().expect("a list").len() as u64
    }

    fn ask(&self, request: &[u8]) -> Value {
        on_a_runtime(async {
            let mut client = Client::connect(self.address()).await.expect("it takes connections");
            client.ask(request).await.expect("an answer").json()
        })
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("a text, not {value}")).to_owned()
}

pub fn on_a_runtime<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(work)
}
