//! MCP servers as providers: one URL is all that a caller knows, and everything else is asked of the server and of the
//! authorization server that it names.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::support::flow::CALLBACK;
use crate::support::http::Reply;
use crate::support::provider::recording::Recording;
use crate::support::{Server, Setup};
use serde_json::{Value, json};

const INITIATE: &str = "/v1/integrations/mcp/oauth/initiate";
const COMPLETE: &str = "/v1/integrations/mcp/oauth/complete";

/// An MCP server at `/mcp` and the authorization server that it names, at one address.
struct Mcp(Recording);

impl Mcp {
    async fn start() -> Self {
        let mcp = Self(Recording::start().await);
        mcp.says("/.well-known/oauth-protected-resource/mcp", &mcp.resource(&mcp.issuer()));
        mcp.says("/.well-known/oauth-authorization-server/as", &mcp.metadata());
        mcp.registers("client-1", "secret-1", 0);
        mcp.says("/token", &json!({
            "access_token": "at", "token_type": "Bearer", "refresh_token": "rt", "expires_in": 3600, "scope": "files:read",
        }));
        mcp.says("/revoke", &json!({}));
        mcp
    }

    fn says(&self, path: &str, answer: &Value) {
        self.0.says(path, answer);
    }

    fn url(&self) -> String {
        format!("{}/mcp", self.0.base)
    }

    fn issuer(&self) -> String {
        format!("{}/as", self.0.base)
    }

    fn resource(&self, issuer: &str) -> Value {
        json!({"resource": self.url(), "authorization_servers": [issuer], "scopes_supported": ["files:read", "files:write"]})
    }

    fn metadata(&self) -> Value {
        let at = |path: &str| format!("{}{path}", self.0.base);
        json!({
            "issuer": self.issuer(),
            "authorization_endpoint": at("/authorize"),
            "token_endpoint": at("/token"),
            "registration_endpoint": at("/register"),
            "revocation_endpoint": at("/revoke"),
            "code_challenge_methods_supported": ["S256"],
            "token_endpoint_auth_methods_supported": ["client_secret_post", "none"],
        })
    }

    fn registers(&self, id: &str, secret: &str, expires_at: i64) {
        let answer = json!({"client_id": id, "client_secret": secret, "client_secret_expires_at": expires_at});
        self.0.answers_with("/register", "201 Created", "application/json", answer.to_string());
    }

    async fn begin(&self, server: &Server) -> Reply {
        begin(server, &self.url(), &[]).await
    }

    async fn connect(&self, server: &Server) -> Value {
        let started = self.begin(server).await.is(200).json();
        complete(server, &started).await.is(200).json()
    }

    fn registrations(&self) -> usize {
        self.0.asked("/register").len()
    }
}

async fn begin(server: &Server, url: &str, scopes: &[&str]) -> Reply {
    let body = json!({"callback_url": CALLBACK, "inputs": {"server_url": url}, "scopes": scopes});
    server.post(INITIATE).key(&server.key).json(&body).send().await
}

async fn complete(server: &Server, started: &Value) -> Reply {
    let body = json!({"code": "the code", "state_token": started["state_token"]});
    server.post(COMPLETE).key(&server.key).json(&body).send().await
}

fn query(started: &Value) -> BTreeMap<String, String> {
    let url = url::Url::parse(started["login_url"].as_str().unwrap()).unwrap();
    url.query_pairs().into_owned().collect()
}

// docs/standards.md: 38.
#[tokio::test]
async fn account_is_connected_by_the_servers_url_alone() {
    let (mcp, server) = (Mcp::start().await, Server::start().await);
    let started = mcp.begin(&server).await.is(200).json();
    let asked_for = query(&started);
    assert!(started["login_url"].as_str().unwrap().starts_with(&format!("{}/authorize?", mcp.0.base)));
    for (name, value) in [
        ("client_id", "client-1"),
        ("resource", mcp.url().as_str()),
        ("scope", "files:read files:write"),
        ("code_challenge_method", "S256"),
        ("redirect_uri", CALLBACK),
    ] {
        assert_eq!(asked_for[name], value, "{name}");
    }
    let registration: Value = serde_json::from_str(&mcp.0.asked("/register")[0].body).unwrap();
    assert_eq!(registration["redirect_uris"], json!([CALLBACK]));
    assert_eq!(registration["token_endpoint_auth_method"], "client_secret_post");

    let completed = complete(&server, &started).await.is(200).json();
    assert_eq!((&completed["provider"], &completed["scopes"]), (&json!("mcp"), &json!(["files:read"])));
    assert_eq!(completed["missing_scopes"], json!(["files:write"]));
    let token = &mcp.0.asked("/token")[0];
    for (name, value) in [("client_id", "client-1"), ("client_secret", "secret-1"), ("resource", mcp.url().as_str())] {
        assert_eq!(token.param(name).as_deref(), Some(value), "{name}");
    }
    assert!(token.param("code_verifier").is_some());

    let path = format!("/v1/integrations/mcp/credentials/{}", completed["credentials_id"].as_str().unwrap());
    let deleted = server.delete(&path).key(&server.key).send().await.is(200).json();
    assert_eq!(deleted["revoked"], true);
    let revoked: Vec<_> = mcp.0.asked("/revoke").iter().map(|asked| asked.param("token").unwrap()).collect();
    assert_eq!(revoked, ["rt", "at"]);
    assert_eq!(mcp.0.asked("/revoke")[0].param("client_secret").as_deref(), Some("secret-1"));
}

// docs/standards.md: 38.
#[tokio::test]
async fn registration_serves_every_login_at_its_issuer() {
    let (mcp, server) = (Mcp::start().await, Server::start().await);
    mcp.connect(&server).await;
    mcp.connect(&server).await;
    assert_eq!(mcp.registrations(), 1);
    let other = json!({"callback_url": "http://localhost:3000/other", "inputs": {"server_url": mcp.url()}});
    mcp.registers("client-2", "secret-2", 0);
    let started = server.post(INITIATE).key(&server.key).json(&other).send().await.is(200).json();
    assert_eq!((query(&started)["client_id"].as_str(), mcp.registrations()), ("client-2", 2));
    let again = mcp.begin(&server).await.is(200).json();
    assert_eq!((query(&again)["client_id"].as_str(), mcp.registrations()), ("client-1", 2));
}

// docs/standards.md: 39.
#[tokio::test]
async fn expiring_client_secret_is_replaced_before_use() {
    let (mcp, server) = (Mcp::start().await, Server::start().await);
    let ends = server.clock.now().0 + 3600;
    mcp.registers("client-1", "secret-1", ends);
    mcp.connect(&server).await;
    server.clock.advance(Duration::from_secs(1800));
    mcp.connect(&server).await;
    assert_eq!(mcp.registrations(), 1);
    server.clock.advance(Duration::from_secs(1000));
    mcp.registers("client-2", "secret-2", 0);
    mcp.connect(&server).await;
    assert_eq!((mcp.registrations(), mcp.0.asked("/token")[2].param("client_id").as_deref()), (2, Some("client-2")));
}

// docs/standards.md: 39, 41.
#[tokio::test]
async fn manual_client_goes_to_its_own_issuer_only() {
    let mcp = Mcp::start().await;
    let config = format!(
        "[providers.acme_mcp]\ndisplay_name = \"Acme\"\nclient_id = \"by hand\"\nclient_secret = \"kept\"\n\
         [providers.acme_mcp.mcp]\nserver_url = \"{}\"\nissuer = \"{}\"\n",
        mcp.url(),
        mcp.issuer()
    );
    let server = Server::with(Setup { config, ..Setup::default() }).await;
    let connect = async || {
        let path = "/v1/integrations/acme_mcp/oauth";
        let body = json!({"callback_url": CALLBACK});
        let started = server.post(&format!("{path}/initiate")).key(&server.key).json(&body).send().await.is(200).json();
        let body = json!({"code": "the code", "state_token": started["state_token"]});
        server.post(&format!("{path}/complete")).key(&server.key).json(&body).send().await.is(200);
    };
    connect().await;
    let sent = &mcp.0.asked("/token")[0];
    assert_eq!(
        (sent.param("client_id").as_deref(), sent.param("client_secret").as_deref()),
        (Some("by hand"), Some("kept"))
    );
    assert_eq!(mcp.registrations(), 0);

    let elsewhere = Recording::start().await;
    let other = Mcp(elsewhere);
    other.says("/.well-known/oauth-authorization-server/as", &other.metadata());
    other.registers("registered", "there", 0);
    mcp.says("/.well-known/oauth-protected-resource/mcp", &mcp.resource(&other.issuer()));
    connect().await;
    let sent = &other.0.asked("/token")[0];
    assert_eq!(sent.param("client_id").as_deref(), Some("registered"));
    for asked in other.0.asked("/token").iter().chain(&other.0.asked("/register")) {
        assert!(!asked.body.contains("kept") && !asked.head.contains("Authorization"), "{}", asked.head);
    }
}

// docs/standards.md: 40.
#[tokio::test]
async fn challenge_metadata_must_be_of_the_server() {
    let (mcp, server) = (Mcp::start().await, Server::start().await);
    let challenge = format!(
        "text/plain\r\nWWW-Authenticate: Bearer resource_metadata=\"{}/meta\", scope=\"files:write\"",
        mcp.0.base
    );
    mcp.0.answers_with("/mcp", "401 Unauthorized", challenge.leak(), "no");
    mcp.says("/meta", &mcp.resource(&mcp.issuer()));
    let started = mcp.begin(&server).await.is(200).json();
    assert_eq!(query(&started)["scope"], "files:write", "what the challenge asks for");
    assert!(mcp.0.asked("/.well-known/oauth-protected-resource/mcp").is_empty());

    let (wrong, server) = (Mcp::start().await, Server::start().await);
    for document in [
        json!({"resource": format!("{}/", wrong.0.base), "authorization_servers": [wrong.issuer()]}),
        json!({"resource": "https://elsewhere.example/mcp", "authorization_servers": [wrong.issuer()]}),
        json!({"resource": wrong.url(), "authorization_servers": []}),
        json!({"resource": wrong.url(), "authorization_servers": ["http://10.0.0.1"]}),
        json!({"resource": wrong.url(), "authorization_servers": ["https://as.example/?a=b"]}),
        json!([]),
    ] {
        wrong.says("/.well-known/oauth-protected-resource/mcp", &document);
        let refused = wrong.begin(&server).await.is(502);
        assert!(refused.detail().as_str().unwrap().len() > 20, "{}", refused.text());
        server.clock.advance(Duration::from_secs(3601));
    }
    assert_eq!((wrong.registrations(), server.list().await), (0, json!([])));
}

#[tokio::test]
async fn server_url_must_be_fetchable() {
    let server = Server::start().await;
    let body = json!({"callback_url": CALLBACK});
    let missing = server.post(INITIATE).key(&server.key).json(&body).send().await.is(422).json();
    assert_eq!(missing["detail"][0]["loc"], json!(["body", "inputs", "server_url"]));
    assert!(missing["detail"][0]["msg"].as_str().unwrap().contains("https://mcp.example.com/mcp"));
    for url in
        ["", "mcp", "ftp://mcp.example/", "http://mcp.example/", "https://a:b@mcp.example/", "https://mcp.example/#x"]
    {
        begin(&server, url, &[]).await.is(422);
    }
    for url in ["https://10.0.0.1/mcp", "https://[::1]:1/mcp", "https://169.254.169.254/latest"] {
        begin(&server, url, &[]).await.is(502);
    }
    let listed = server.get("/v1/integrations/providers").key(&server.key).send().await.is(200).json();
    let mcp = listed.as_array().unwrap().iter().find(|provider| provider["name"] == "mcp").unwrap();
    assert_eq!((&mcp["supports_oauth"], &mcp["configured"]), (&json!(true), &json!(true)));
    assert_eq!(mcp["inputs"][0]["name"], "server_url");
}

#[tokio::test]
async fn login_needs_pkce_and_a_way_to_register() {
    let mcp = Mcp::start().await;
    for (member, value) in [
        ("code_challenge_methods_supported", json!(["plain"])),
        ("code_challenge_methods_supported", Value::Null),
        ("registration_endpoint", Value::Null),
        ("token_endpoint_auth_methods_supported", json!(["tls_client_auth"])),
        ("authorization_endpoint", Value::Null),
        ("issuer", json!("https://elsewhere.example")),
    ] {
        let mut metadata = mcp.metadata();
        metadata[member] = value;
        mcp.says("/.well-known/oauth-authorization-server/as", &metadata);
        mcp.begin(&Server::start().await).await.is(502);
    }
    mcp.says("/.well-known/oauth-authorization-server/as", &mcp.metadata());
    mcp.0.answers_with("/register", "403 Forbidden", "application/json", r#"{"error":"access_denied"}"#);
    let refused = mcp.begin(&Server::start().await).await.is(502);
    assert!(refused.detail().as_str().unwrap().contains("access_denied"), "{}", refused.text());
}

// docs/standards.md: 39.
#[tokio::test]
async fn client_metadata_url_is_the_client_id_if_fetched() {
    let mcp = Mcp::start().await;
    let mut metadata = mcp.metadata();
    metadata["client_id_metadata_document_supported"] = json!(true);
    metadata["token_endpoint_auth_methods_supported"] = json!(["private_key_jwt", "none"]);
    mcp.says("/.well-known/oauth-authorization-server/as", &metadata);
    let config = format!(
        "[server]\npublic_url = \"https://vault.example\"\n[oauth]\ncallback_origins = [\"http://localhost\"]\nredirect_uris = [\"{CALLBACK}\"]\n"
    );
    let server = Server::with(Setup { config, ..Setup::default() }).await;
    let started = mcp.begin(&server).await.is(200).json();
    assert_eq!(query(&started)["client_id"], "https://vault.example/v1/oauth/client.json");
    complete(&server, &started).await.is(200);
    let sent = &mcp.0.asked("/token")[0];
    assert!(sent.param("client_assertion").is_some() && sent.param("client_secret").is_none());
    assert_eq!(mcp.registrations(), 0);
}

// docs/standards.md: 22, 39.
#[tokio::test]
async fn refresh_names_the_resource_and_may_register_again() {
    let (mcp, server) = (Mcp::start().await, Server::start().await);
    let completed = mcp.connect(&server).await;
    let path = format!("/v1/integrations/mcp/credentials/{}", completed["credentials_id"].as_str().unwrap());
    let refresh = async || server.post(&format!("{path}/refresh")).key(&server.key).send().await;
    refresh().await.is(200);
    let sent = mcp.0.asked("/token").pop().unwrap();
    assert_eq!(sent.param("grant_type").as_deref(), Some("refresh_token"));
    assert_eq!((sent.param("resource"), sent.param("client_id").as_deref()), (Some(mcp.url()), Some("client-1")));

    mcp.registers("client-2", "secret-2", 0);
    mcp.0.answers_with("/token", "401 Unauthorized", "application/json", r#"{"error":"invalid_client"}"#);
    refresh().await.is(409);
    let tried: Vec<_> = mcp.0.asked("/token").iter().skip(2).map(|asked| asked.param("client_id").unwrap()).collect();
    assert_eq!((tried, mcp.registrations()), (vec!["client-1".to_owned(), "client-2".to_owned()], 2));
    let shown = server.get(&path).key(&server.key).send().await.is(200).json();
    assert_eq!(shown["status"], "needs_reauth");
    refresh().await.is(409);
    assert_eq!(mcp.registrations(), 2, "it is no loop");
    let again = mcp.begin(&server).await.is(200).json();
    assert_eq!(query(&again)["client_id"], "client-2", "the next login is the new client's");
}

// docs/standards.md: 42.
#[tokio::test]
async fn step_up_asks_for_granted_and_needed_scopes() {
    let (mcp, server) = (Mcp::start().await, Server::start().await);
    let completed = mcp.connect(&server).await;
    let body = json!({
        "callback_url": CALLBACK, "inputs": {"server_url": mcp.url()}, "scopes": ["admin"],
        "credential_id": completed["credentials_id"],
    });
    let started = server.post(INITIATE).key(&server.key).json(&body).send().await.is(200).json();
    let asked_for = query(&started)["scope"].clone();
    assert!(asked_for.split(' ').eq(["admin", "files:read"]), "{asked_for}");
    let again = complete(&server, &started).await.is(200).json();
    assert_eq!(again["credentials_id"], completed["credentials_id"]);
}

#[tokio::test]
async fn missing_revocation_endpoint_claims_nothing() {
    let (mcp, server) = (Mcp::start().await, Server::start().await);
    let mut metadata = mcp.metadata();
    metadata["revocation_endpoint"] = Value::Null;
    mcp.says("/.well-known/oauth-authorization-server/as", &metadata);
    let completed = mcp.connect(&server).await;
    assert_eq!(completed["title"], "127.0.0.1");
    let path = format!("/v1/integrations/mcp/credentials/{}", completed["credentials_id"].as_str().unwrap());
    assert_eq!(server.delete(&path).key(&server.key).send().await.is(200).json()["revoked"], Value::Null);
}
