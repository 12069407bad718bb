//! Preparation of a measurement: keys, credentials to delete, logins to complete.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use strongroom::id::CredentialId;

use super::client::{Client, request};
use super::fill::{FIVES, fill};
use super::installation::{Installation, Provider, Server};
use super::load::{Load, Requests};

/// Logins begun for one user.
const OF_EACH: usize = 500;

/// Logins prepared at a time: the sandbox remembers 4,096 codes.
const CODES: usize = 4_000;

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
        Self::of(Installation::new(Some(provider)), credentials, users)
    }

    /// The same with the limits that an operator has who sets none.
    pub fn with_default_limits(provider: &Provider, credentials: usize, users: usize) -> Self {
        Self::of(Installation::with_limits(Some(provider), ""), credentials, users)
    }

    fn of(installation: Installation, credentials: usize, users: usize) -> Self {
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

    /// Deletes of up to `most` API keys that the user `writer` has stored.
    pub fn deletes(&self, most: usize) -> Vec<Vec<u8>> {
        let (own, provider) = ([("X-API-Key", self.writer.as_str())], "openai");
        let path = |id: &str| format!("/v1/integrations/{provider}/credentials/{id}");
        self.ids(&own, provider, most).iter().map(|id| request("DELETE", &path(id), &own, "")).collect()
    }

    /// Forced refreshes of `count` credentials; what is not connected yet is connected before.
    pub fn refreshes(&self, provider: &Provider, count: usize) -> Vec<Vec<u8>> {
        loop {
            let refreshes = self.each_connected(count, |id, user| {
                request("POST", &format!("/v1/integrations/sandbox/credentials/{id}/refresh"), user, "{}")
            });
            if refreshes.len() >= count {
                return refreshes;
            }
            let missing = self.completes(provider, count - refreshes.len());
            let (address, right) = (self.address(), &[200]);
            let requests = Requests::Once(Arc::new(missing));
            let connected = Load { address, connections: 64, time: Duration::from_secs(60), requests, right }.run();
            assert_eq!(connected.failed, 0, "every login is completed");
        }
    }

    /// Deletes of up to `most` of what was connected.
    pub fn disconnects(&self, most: usize) -> Vec<Vec<u8>> {
        self.each_connected(most, |id, user| {
            request("DELETE", &format!("/v1/integrations/sandbox/credentials/{id}"), user, "")
        })
    }

    /// Up to `most` logins that were begun and approved, and wait to be completed: of many users, for a vault keeps the newest thousand
    /// of each; and no more than the sandbox remembers codes of.
    pub fn completes(&self, provider: &Provider, most: usize) -> Vec<Vec<u8>> {
        let count = most.min(CODES);
        let sandbox = provider.sandbox.base_url();
        let provider: SocketAddr = sandbox.trim_start_matches("http://").parse().expect("an address");
        on_a_runtime(async {
            let mut ours = Client::connect(self.address()).await.expect("it takes connections");
            let mut theirs = Client::connect(provider).await.expect("it takes connections");
            let mut completes = Vec::new();
            for number in 0..count {
                let user = login_user(number / OF_EACH);
                let user = self.acting_for(&user);
                let begin = json!({"callback_url": "http://localhost:3000/callback"}).to_string();
                let begin = request("POST", "/v1/integrations/sandbox/oauth/initiate", &user, &begin);
                let started = ours.ask(&begin).await.expect("an answer").json();
                let login = text(&started["login_url"]).replace(sandbox, "");
                let approve = request("GET", &format!("{login}&sandbox_decision=approve"), &[], "");
                let answer = theirs.ask(&approve).await.expect("an answer");
                let callback = url::Url::parse(answer.header("location").expect("a redirect")).expect("a URL");
                let value = |name| callback.query_pairs().find(|(found, _)| found == name).map(|(_, value)| value);
                let body = json!({"code": value("code"), "state_token": value("state"),
                    "callback_params": {"iss": value("iss")}});
                completes.push(request("POST", "/v1/integrations/sandbox/oauth/complete", &user, &body.to_string()));
            }
            completes
        })
    }

    /// Number of credentials of a key's user.
    pub fn count(&self, key: &str) -> u64 {
        self.ids(&[("X-API-Key", key)], "", usize::MAX).len() as u64
    }

    fn acting_for<'u>(&'u self, user: &'u str) -> [(&'u str, &'u str); 2] {
        [("X-API-Key", &self.service), ("Strongroom-User", user)]
    }

    /// A request for each of up to `most` credentials that came of logins, given its id and who asks for whom.
    fn each_connected(&self, most: usize, ask: impl Fn(&str, &[(&str, &str)]) -> Vec<u8>) -> Vec<Vec<u8>> {
        let mut requests = Vec::new();
        for user in (0..).map(login_user) {
            let acting = self.acting_for(&user);
            let ids = self.ids(&acting, "sandbox", most - requests.len());
            requests.extend(ids.iter().map(|id| ask(id, &acting)));
            if ids.is_empty() || requests.len() >= most {
                break;
            }
        }
        requests
    }

    /// The ids of up to `most` credentials, of a provider or of all, a page at a time: one list of all would be most of what the
    /// server needs of memory.
    fn ids(&self, who: &[(&str, &str)], provider: &str, most: usize) -> Vec<String> {
        const PAGE: usize = 1_000;
        let slash = if provider.is_empty() { "" } else { "/" };
        let mut ids: Vec<String> = Vec::new();
        loop {
            let after = ids.last().map(|last| format!("&after={last}")).unwrap_or_default();
            let limit = PAGE.min(most - ids.len());
            let path = format!("/v1/integrations{slash}{provider}/credentials?limit={limit}{after}");
            let list = self.ask(&request("GET", &path, who, ""));
            let page = list.as_array().expect("a list");
            ids.extend(page.iter().map(|one| text(&one["id"])));
            if page.len() < PAGE || ids.len() >= most {
                return ids;
            }
        }
    }

    fn ask(&self, request: &[u8]) -> Value {
        on_a_runtime(async {
            let mut client = Client::connect(self.address()).await.expect("it takes connections");
            client.ask(request).await.expect("an answer").json()
        })
    }
}

fn login_user(number: usize) -> String {
    format!("login-{number}")
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("a text, not {value}")).to_owned()
}

pub fn on_a_runtime<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(work)
}
