//! The code flow as an application and its user go through it, at the sandbox.

use std::collections::BTreeMap;

use http::Method;
use serde_json::{Value, json};
use strongroom::sandbox::{Conduct, Sandbox, SandboxEndpoint};

use super::Server;
use super::http::{Ask, Reply};

/// A callback that the servers of these tests allow.
pub const CALLBACK: &str = "http://localhost:3000/callback";

/// Response of initiate.
pub struct Started {
    pub login_url: String,
    pub state: String,
    pub expires_at: i64,
}

/// Parameters of the callback.
pub struct Callback {
    pub code: String,
    pub state: String,
    /// The other query parameters.
    pub params: BTreeMap<String, String>,
}

impl Server {
    pub async fn initiate(&self, provider: &str) -> Started {
        let body = json!({"callback_url": CALLBACK, "state_metadata": {"from": "the test"}});
        self.initiate_with(provider, &body).await
    }

    pub async fn initiate_with(&self, provider: &str, body: &Value) -> Started {
        let path = format!("/v1/integrations/{provider}/oauth/initiate");
        let started = self.post(&path).key(&self.key).json(body).send().await.is(200).json();
        Started {
            login_url: started["login_url"].as_str().expect("a text").to_owned(),
            state: started["state_token"].as_str().expect("a text").to_owned(),
            expires_at: started["expires_at"].as_i64().expect("Unix seconds"),
        }
    }

    /// The user approves at the sandbox, whose answer is the redirect itself.
    pub async fn log_in(&self, started: &Started) -> Callback {
        let url = format!("{}&sandbox_decision=approve", started.login_url);
        let redirect = Ask::new(Method::GET, url).send().await.is(303);
        let target = redirect.header("Location").expect("a redirect").to_owned();
        assert!(target.starts_with(CALLBACK), "{target}");
        let target = url::Url::parse(&target).expect("a URL");
        let mut params: BTreeMap<String, String> = target.query_pairs().into_owned().collect();
        Callback {
            code: params.remove("code").expect("a code"),
            state: params.remove("state").expect("a state"),
            params,
        }
    }

    pub async fn complete(&self, provider: &str, callback: &Callback) -> Reply {
        let body = json!({"code": callback.code, "state_token": callback.state, "callback_params": callback.params});
        let path = format!("/v1/integrations/{provider}/oauth/complete");
        self.post(&path).key(&self.key).json(&body).send().await
    }

    /// A connected account; gives the credential's id.
    pub async fn connect(&self, provider: &str) -> String {
        let started = self.initiate(provider).await;
        let callback = self.log_in(&started).await;
        let completed = self.complete(provider, &callback).await.is(200).json();
        completed["credentials_id"].as_str().expect("an id").to_owned()
    }

    /// A stored API key; gives the credential's id.
    pub async fn create_api_key_credential(&self, provider: &str) -> String {
        let body = json!({"type": "api_key", "api_key": "k", "title": "t"});
        let path = format!("/v1/integrations/{provider}/credentials");
        let made = self.post(&path).key(&self.key).json(&body).send().await.is(201).json();
        made["id"].as_str().expect("an id").to_owned()
    }

    /// Number of token requests at the sandbox.
    pub fn token_requests(&self) -> u64 {
        self.sandbox.requests(SandboxEndpoint::Token)
    }

    pub fn sandbox_fails_revocations(&self, fails: bool) {
        self.sandbox.conduct(SandboxEndpoint::Revoke, if fails { Conduct::Down } else { Conduct::Normal });
    }

    pub fn sandbox_holds_token_answers(&self, holds: bool) {
        self.sandbox.conduct(SandboxEndpoint::Token, if holds { Conduct::Held } else { Conduct::Normal });
    }

    pub fn sandbox_grants_only(&self, scopes: &[&str]) {
        let granted = scopes.iter().map(|scope| (*scope).to_owned()).collect();
        self.sandbox.adjust(|behaviour| behaviour.granted_scopes = Some(granted));
    }
}

/// The provider `acme` as the sandbox is, with its token endpoint at `token`: its section of a configuration.
pub fn acme_like(sandbox: &Sandbox, token: &str, further: &str) -> String {
    let entry = sandbox.entry_toml().replace("\n[oauth", "\n[providers.acme.oauth").replace("\n[api_key]", "");
    let url = format!("{}/token\"", sandbox.base_url());
    let entry = entry.replace(&format!("token_url = \"{url}"), &format!("token_url = \"{token}/token\""));
    let secret = sandbox.client_secret().expose();
    format!(
        "[oauth]\ncallback_origins = [\"http://localhost\"]\n[egress]\nallow = [\"127.0.0.0/8\"]\n{further}\n\
         [providers.acme]\nclient_id = \"{}\"\nclient_secret = \"{secret}\"\n{entry}",
        sandbox.client_id()
    )
}
