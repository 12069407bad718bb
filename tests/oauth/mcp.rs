//! MCP servers as providers: one URL is all that a caller knows, and everything else is asked of the server and of the
//! authorization server that it names.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::support::flow::CALLBACK;
use crate::support::http::Reply;
use crate::support::provider::recording::Recording;
use crate::support::{Server, Setup};
use serde_json::{Value, json};
use strongroom::vault::AuditContext;

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

#[tokio::test]
async fn registrations_do_not_grow_with_the_query_of_the_callback() {
    let (mcp, server) = (Mcp::start().await, Server::start().await);
    let begin = async |callback: &str| {
        let body = json!({"callback_url": callback, "inputs": {"server_url": mcp.url()}});
        server.post(INITIATE).key(&server.key).json(&body).send().await.is(200).json()
    };
    let first = begin("http://localhost:3000/cb?a=1").await;
    begin("http://localhost:3000/cb?a=1").await;
    assert_eq!(mcp.registrations(), 1);
    mcp.registers("client-2", "secret-2", 0);
    for number in 2..5 {
        let callback = format!("http://localhost:3000/cb?a={number}");
        let started = begin(&callback).await;
        assert_eq!(query(&started)["redirect_uri"], callback);
        let registered: Value = serde_json::from_str(&mcp.0.asked("/register").last().unwrap().body).unwrap();
        assert_eq!(registered["redirect_uris"], json!([callback]), "the server compares the whole URI");
    }
    // The login that began with the client before still has it.
    complete(&server, &first).await.is(200);
    assert_eq!(mcp.0.asked("/token")[0].param("client_id").as_deref(), Some("client-1"));
    assert_eq!(server.vault.registrations().remove_all(|_| true, &AuditContext::system()).await.unwrap().count, 1);
}

#[tokio::test]
async fn registrations_are_dropped_with_their_last_use() {
    let (mcp, server) = (Mcp::start().await, Server::start().await);
    let kept = async || {
        server.broker.drop_old_unused_clients().await;
        mcp.begin(&server).await.is(200);
        mcp.registrations()
    };
    let credential = mcp.connect(&server).await;
    assert_eq!(kept().await, 1);
    let path = format!("/v1/integrations/mcp/credentials/{}", credential["credentials_id"].as_str().unwrap());
    server.delete(&path).key(&server.key).send().await.is(200);
    assert_eq!(kept().await, 1, "it is not a day old");
    server.clock.advance(Duration::from_secs(86_401));
    assert_eq!(kept().await, 1, "a pending login needs it");
    server.vault.logins().purge_expired(server.clock.now().plus(Duration::from_secs(86_400))).await.unwrap();
    assert_eq!(kept().await, 2);
    // Two users share it now; it goes with the second.
    mcp.connect(&server).await;
    let bob = server.key_of("bob").await;
    let body = json!({"callback_url": CALLBACK, "inputs": {"server_url": mcp.url()}});
    let post = async |path: &str, body: Value| server.post(path).key(&bob).json(&body).send().await.is(200).json();
    let started = post(INITIATE, body.clone()).await;
    post(COMPLETE, json!({"code": "the code", "state_token": started["state_token"]})).await;
    let remove = async |user: &str| server.broker.remove_user(&user.parse().unwrap(), |_, _| {}).await.unwrap();
    assert!(remove("alice").await);
    post(INITIATE, body).await;
    assert_eq!(mcp.registrations(), 2, "bob still uses it");
    assert!(remove("bob").await);
    assert_eq!(server.vault.registrations().remove_all(|_| true, &AuditContext::system()).await.unwrap().count, 0);
}

#[tokio::test]
async fn unused_client_is_deleted_at_its_server() {
    let mcp = Mcp::start().await;
    let server = Server::start().await;
    let register = |id: &str, uri: &str| {
        let answer = json!({
            "client_id": id, "client_secret": "s", "registration_client_uri": uri,
            "registration_access_token": format!("rat-{id}"),
        });
        mcp.0.answers_with("/register", "201 Created", "application/json", answer.to_string());
    };
    let deletes = || {
        let asked = mcp.0.asked("/clients").into_iter();
        asked.map(|one| (one.method.clone(), one.header("authorization").unwrap())).collect::<Vec<_>>()
    };
    let bearer = |id: &str| ("DELETE".to_owned(), format!("Bearer rat-{id}"));
    let uri = format!("{}/clients", mcp.0.base);
    mcp.0.answers_with("/clients", "204 No Content", "text/plain", "");
    let later = async || {
        let later = server.clock.now().plus(Duration::from_secs(86_400));
        server.vault.logins().purge_expired(later).await.unwrap();
        server.clock.advance(Duration::from_secs(86_401));
        server.broker.drop_old_unused_clients().await;
    };

    // In use by a credential: neither the daily pass nor the operator ends it.
    register("used", &uri);
    mcp.connect(&server).await;
    later().await;
    assert_eq!(server.broker.forget_clients().await.unwrap(), 1);
    assert_eq!(deletes(), []);

    // Unused.
    register("unused", &uri);
    mcp.begin(&server).await.is(200);
    later().await;
    assert_eq!(deletes(), [bearer("unused")]);

    // Forgotten. The server refuses, which is only logged.
    register("forgotten", &uri);
    mcp.begin(&server).await.is(200);
    server.vault.logins().purge_expired(server.clock.now().plus(Duration::from_secs(86_400))).await.unwrap();
    mcp.0.answers_with("/clients", "403 Forbidden", "text/plain", "no");
    assert_eq!(server.broker.forget_clients().await.unwrap(), 1);
    assert_eq!(deletes()[1..], [bearer("forgotten")]);

    // Of a removed user: after the revocation of its tokens, which need the client.
    register("removed", &uri);
    mcp.connect(&server).await;
    mcp.0.answers_with("/revoke", "503 Service Unavailable", "text/plain", "");
    let alice = "alice".parse().unwrap();
    assert!(server.broker.remove_user(&alice, |_, _| {}).await.unwrap());
    assert_eq!(deletes().len(), 2, "a queued revocation needs it");
    mcp.says("/revoke", &json!({}));
    server.clock.advance(Duration::from_secs(60));
    server.broker.housekeeping_round().await;
    later().await;
    assert_eq!(deletes()[2..], [bearer("removed")]);
}

#[tokio::test]
async fn server_without_client_management_is_left_alone() {
    let (mcp, server) = (Mcp::start().await, Server::start().await);
    let uri = format!("{}/clients", mcp.0.base);
    for members in [
        json!({}),
        json!({"registration_client_uri": uri}),
        json!({"registration_access_token": "rat"}),
        json!({"registration_client_uri": "/clients", "registration_access_token": "rat"}),
        json!({"registration_client_uri": 7, "registration_access_token": "rat"}),
        json!({"registration_client_uri": uri, "registration_access_token": "a\r\nb"}),
        // The egress guard refuses it.
        json!({"registration_client_uri": "https://10.0.0.1/clients", "registration_access_token": "rat"}),
    ] {
        let mut answer = json!({"client_id": "c", "client_secret": "s"});
        answer.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        mcp.0.answers_with("/register", "201 Created", "application/json", answer.to_string());
        mcp.begin(&server).await.is(200);
        server.vault.logins().purge_expired(server.clock.now().plus(Duration::from_secs(86_400))).await.unwrap();
        assert_eq!(server.broker.forget_clients().await.unwrap(), 1, "{members}");
    }
    assert!(mcp.0.asked("/clients").is_empty());
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
    assert_eq!(completed["title"], mcp.url().strip_prefix("http://").unwrap());
    let path = format!("/v1/integrations/mcp/credentials/{}", completed["credentials_id"].as_str().unwrap());
    assert_eq!(server.delete(&path).key(&server.key).send().await.is(200).json()["revoked"], Value::Null);
}

// The SDKs of MCP read `client_id` from the form.
#[tokio::test]
async fn registered_client_sends_its_id_in_the_form() {
    for (announced, basic, secret) in [
        (json!(["client_secret_basic"]), Some("client-1:secret-1"), None),
        (Value::Null, Some("client-1:secret-1"), None),
        (json!(["client_secret_basic", "client_secret_post"]), None, Some("secret-1")),
    ] {
        let (mcp, server) = (Mcp::start().await, Server::start().await);
        let mut metadata = mcp.metadata();
        metadata["token_endpoint_auth_methods_supported"] = announced.clone();
        mcp.says("/.well-known/oauth-authorization-server/as", &metadata);
        let completed = mcp.connect(&server).await;
        let path = format!("/v1/integrations/mcp/credentials/{}", completed["credentials_id"].as_str().unwrap());
        server.post(&format!("{path}/refresh")).key(&server.key).send().await.is(200);
        server.delete(&path).key(&server.key).send().await.is(200);
        let sent = [mcp.0.asked("/token"), mcp.0.asked("/revoke")].concat();
        assert_eq!(sent.len(), 4, "{announced}");
        for request in sent {
            assert_eq!(request.param("client_id").as_deref(), Some("client-1"), "{announced} {}", request.path);
            assert_eq!(request.param("client_secret").as_deref(), secret, "{announced} {}", request.path);
            assert_eq!(request.basic().as_deref(), basic, "{announced} {}", request.path);
        }
    }
}

// The revocation endpoint of the Python SDK requires `client_secret`.
#[tokio::test]
async fn public_client_revokes_with_an_empty_secret_if_needed() {
    for (methods, secret) in [(json!(["client_secret_post"]), Some("")), (json!(["none"]), None), (Value::Null, None)] {
        let (mcp, server) = (Mcp::start().await, Server::start().await);
        let mut metadata = mcp.metadata();
        metadata["token_endpoint_auth_methods_supported"] = json!(["none"]);
        metadata["revocation_endpoint_auth_methods_supported"] = methods.clone();
        mcp.says("/.well-known/oauth-authorization-server/as", &metadata);
        let answer = json!({"client_id": "public", "token_endpoint_auth_method": "none"});
        mcp.0.answers_with("/register", "201 Created", "application/json", answer.to_string());
        let completed = mcp.connect(&server).await;
        let path = format!("/v1/integrations/mcp/credentials/{}", completed["credentials_id"].as_str().unwrap());
        assert_eq!(server.delete(&path).key(&server.key).send().await.is(200).json()["revoked"], true);
        let sent = &mcp.0.asked("/revoke")[0];
        assert_eq!(sent.param("client_secret").as_deref(), secret, "{methods}");
        assert_eq!(mcp.0.asked("/token")[0].param("client_secret"), None);
    }
}

#[tokio::test]
async fn rejected_client_is_registered_again() {
    let error = |error: &str| json!({"error": error}).to_string();
    for (status, code) in [
        ("400 Bad Request", "invalid_client"),
        ("401 Unauthorized", "invalid_client"),
        ("401 Unauthorized", "unauthorized_client"),
    ] {
        let (mcp, server) = (Mcp::start().await, Server::start().await);
        let completed = mcp.connect(&server).await;
        let started = mcp.begin(&server).await.is(200).json();
        let tokens = json!({"access_token": "at", "token_type": "Bearer", "refresh_token": "rt", "expires_in": 3600});
        mcp.0.answers_with("/token", status, "application/json", error(code));
        complete(&server, &started).await.is(400);
        assert_eq!(mcp.registrations(), 1, "a failed complete registers no client");

        mcp.says("/token", &tokens);
        mcp.registers("client-2", "secret-2", 0);
        let again = mcp.begin(&server).await.is(200).json();
        assert_eq!(query(&again)["client_id"], "client-2", "{status} {code}");
        complete(&server, &again).await.is(200);
        // The older credential stays with its own client.
        let path = format!("/v1/integrations/mcp/credentials/{}", completed["credentials_id"].as_str().unwrap());
        server.post(&format!("{path}/refresh")).key(&server.key).send().await.is(200);
        let sent = mcp.0.asked("/token").pop().unwrap();
        assert_eq!(sent.param("client_id").as_deref(), Some("client-1"));
        assert_eq!(sent.param("client_secret").as_deref(), Some("secret-1"));

        mcp.0.answers_with("/token", status, "application/json", error(code));
        server.post(&format!("{path}/refresh")).key(&server.key).send().await.is(409);
    }
}

#[tokio::test]
async fn client_error_in_the_callback_drops_the_registration() {
    let (mcp, server) = (Mcp::start().await, Server::start().await);
    for (error, id) in [("access_denied", "client-1"), ("invalid_client", "client-2")] {
        let started = mcp.begin(&server).await.is(200).json();
        let body = json!({"state_token": started["state_token"], "callback_params": {"error": error}});
        server.post(COMPLETE).key(&server.key).json(&body).send().await.is(400);
        mcp.registers("client-2", "secret-2", 0);
        assert_eq!(query(&mcp.begin(&server).await.is(200).json())["client_id"], id, "{error}");
    }
    assert!(mcp.0.asked("/token").is_empty(), "nothing is sent");
}

#[tokio::test]
async fn server_that_rejects_all_clients_collects_no_registrations() {
    let (mcp, server) = (Mcp::start().await, Server::start().await);
    mcp.0.answers_with("/token", "401 Unauthorized", "application/json", r#"{"error":"invalid_client"}"#);
    for _ in 0..5 {
        let started = mcp.begin(&server).await.is(200).json();
        complete(&server, &started).await.is(400);
    }
    assert_eq!(mcp.registrations(), 2);
}

#[tokio::test]
async fn page_at_a_well_known_url_is_no_metadata() {
    for page in ["<html>Sorry!</html>", "{}", "[]", r#"{"issuer": 1}"#] {
        let (mcp, server) = (Mcp::start().await, Server::start().await);
        mcp.0.answers_with("/.well-known/oauth-authorization-server/as", "200 OK", "text/html", page);
        mcp.says("/as/.well-known/openid-configuration", &mcp.metadata());
        mcp.0.answers_with("/.well-known/oauth-protected-resource/mcp", "200 OK", "text/html", page);
        mcp.says("/.well-known/oauth-protected-resource", &mcp.resource(&mcp.issuer()));
        mcp.begin(&server).await.is(200);
    }
}

// FastMCP's RemoteAuthProvider writes the slash in one of two documents.
#[tokio::test]
async fn slash_after_a_bare_host_makes_no_other_issuer() {
    for (asked, named) in [("", "/"), ("/", "")] {
        let (mcp, server) = (Mcp::start().await, Server::start().await);
        let (asked, named) = (format!("{}{asked}", mcp.0.base), format!("{}{named}", mcp.0.base));
        mcp.says("/.well-known/oauth-protected-resource/mcp", &mcp.resource(&asked));
        let mut metadata = mcp.metadata();
        metadata["issuer"] = json!(named);
        metadata["authorization_response_iss_parameter_supported"] = json!(true);
        mcp.says("/.well-known/oauth-authorization-server", &metadata);
        let started = mcp.begin(&server).await.is(200).json();
        let body = json!({"code": "c", "state_token": started["state_token"], "callback_params": {"iss": named}});
        server.post(COMPLETE).key(&server.key).json(&body).send().await.is(200);
    }
    // Elsewhere a slash counts, and the message shows both.
    let (mcp, server) = (Mcp::start().await, Server::start().await);
    mcp.says("/.well-known/oauth-protected-resource/mcp", &mcp.resource(&format!("{}/", mcp.issuer())));
    let refused = mcp.begin(&server).await.is(502);
    let detail = refused.detail().as_str().unwrap().to_owned();
    assert!(
        detail.contains(&format!("{} ", mcp.issuer())) || detail.contains(&format!("{},", mcp.issuer())),
        "{detail}"
    );
    assert!(detail.ends_with(&format!("{}/", mcp.issuer())), "{detail}");
}

// Some servers challenge on POST only, or answer GET with an endless event stream.
#[tokio::test]
async fn challenge_on_post_only_is_followed() {
    use tokio::io::AsyncWriteExt as _;
    use tokio::net::TcpListener;

    for stream in [true, false] {
        let (mcp, server) = (Mcp::start().await, Server::start().await);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/mcp", listener.local_addr().unwrap());
        let document = json!({"resource": url, "authorization_servers": [mcp.issuer()], "scopes_supported": ["x"]});
        mcp.says("/hidden", &document);
        let challenge = format!("Bearer resource_metadata=\"{}/hidden\", scope=\"files:write\"", mcp.0.base);
        tokio::spawn(async move {
            while let Ok((mut connection, _)) = listener.accept().await {
                let challenge = challenge.clone();
                tokio::spawn(async move {
                    let request = crate::support::provider::peers::read_request(&mut connection).await;
                    let answer = if request.starts_with("POST ") {
                        assert!(request.contains("\"method\":\"initialize\""), "{request}");
                        format!(
                            "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: {challenge}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
                        )
                    } else if stream {
                        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n: hello\n\n".to_owned()
                    } else {
                        "HTTP/1.1 405 Method Not Allowed\r\nAllow: POST\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".to_owned()
                    };
                    connection.write_all(answer.as_bytes()).await.unwrap();
                    if answer.contains("event-stream") {
                        tokio::time::sleep(Duration::from_secs(60)).await;
                    }
                });
            }
        });
        let began = std::time::Instant::now();
        let started = begin(&server, &url, &[]).await.is(200).json();
        assert_eq!(query(&started)["scope"], "files:write");
        assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
    }
}

#[tokio::test]
async fn credentials_of_one_host_are_told_apart_by_the_server() {
    let (mcp, server) = (Mcp::start().await, Server::start().await);
    mcp.connect(&server).await;
    let other = format!("{}/other", mcp.0.base);
    let document = json!({"resource": other, "authorization_servers": [mcp.issuer()]});
    mcp.says("/.well-known/oauth-protected-resource/other", &document);
    let started = begin(&server, &other, &[]).await.is(200).json();
    complete(&server, &started).await.is(200);
    let listed = server.list().await;
    for (credential, url) in listed.as_array().unwrap().iter().zip([mcp.url(), other]) {
        assert_eq!(credential["host"], url);
        assert_eq!(credential["title"], url.strip_prefix("http://").unwrap());
    }
}

/// A provider whose server callers choose, beside `mcp`, with these further settings.
fn chosen_by_callers(further: &str) -> Setup {
    let config = format!("[providers.inner]\ndisplay_name = \"Inner\"\n{further}\n[providers.inner.mcp]\n");
    Setup { config, ..Setup::default() }
}

async fn begin_inner(server: &Server, url: &str) -> Reply {
    let body = json!({"callback_url": CALLBACK, "inputs": {"server_url": url}});
    server.post("/v1/integrations/inner/oauth/initiate").key(&server.key).json(&body).send().await
}

// Isolation: `egress.allow` is for URLs of the catalogue and of the operator.
#[tokio::test]
async fn egress_allow_does_not_cover_a_callers_server() {
    let mcp = Mcp::start().await;
    let fixed =
        format!("[providers.fixed]\ndisplay_name = \"Fixed\"\n[providers.fixed.mcp]\nserver_url = \"{}\"\n", mcp.url());
    let mut setup = chosen_by_callers("");
    setup.config.push_str(&fixed);
    let server = Server::with(setup).await;
    let body = json!({"callback_url": CALLBACK});
    server.post("/v1/integrations/fixed/oauth/initiate").key(&server.key).json(&body).send().await.is(200);
    let asked = mcp.0.asked("/mcp").len();
    let refused = begin_inner(&server, &mcp.url()).await.is(502);
    assert!(refused.detail().as_str().unwrap().contains("allow_private"), "{}", refused.text());
    assert_eq!(mcp.0.asked("/mcp").len(), asked, "neither sent nor read from what another provider found");

    let server = Server::with(chosen_by_callers("allow_private = [\"127.0.0.0/8\"]")).await;
    begin_inner(&server, &mcp.url()).await.is(200);
}

// Isolation: the caller's server names further servers; they are the caller's too.
#[tokio::test]
async fn servers_that_a_callers_server_names_are_guarded_too() {
    let (mcp, inside) = (Mcp::start().await, Mcp::start().await);
    let server = Server::with(chosen_by_callers("allow_private = [\"127.0.0.1\"]")).await;
    let port = url::Url::parse(&inside.0.base).unwrap().port().unwrap();
    let elsewhere = format!("http://127.0.0.2:{port}/as");
    mcp.says("/.well-known/oauth-protected-resource/mcp", &mcp.resource(&elsewhere));
    let refused = begin_inner(&server, &mcp.url()).await.is(502);
    assert!(refused.detail().as_str().unwrap().contains("allow_private"), "{}", refused.text());
}

// Isolation: a text of a server that a caller chose may come from an inner network.
#[tokio::test]
async fn only_registered_codes_of_a_callers_server_are_shown() {
    let (mcp, server) = (Mcp::start().await, Server::start().await);
    let answer = r#"{"error":"hunter2","error_description":"hunter2"}"#;
    mcp.0.answers_with("/register", "400 Bad Request", "application/json", answer);
    let refused = mcp.begin(&server).await.is(502);
    assert!(!refused.text().contains("hunter2"), "{}", refused.text());

    mcp.registers("client-1", "secret-1", 0);
    for (answer, shown) in [
        (answer, "an error without a registered code"),
        (r#"{"error":"invalid_grant","error_description":"hunter2"}"#, "invalid_grant"),
    ] {
        mcp.0.answers_with("/token", "400 Bad Request", "application/json", answer);
        let started = mcp.begin(&server).await.is(200).json();
        let refused = complete(&server, &started).await.is(400);
        assert!(refused.detail().as_str().unwrap().ends_with(shown), "{}", refused.text());
        assert!(!refused.text().contains("hunter2"), "{}", refused.text());
    }
}

// Isolation: the caller chose the server, so its announced `iss` must not be absent (RFC 9207 §2.4).
#[tokio::test]
async fn announced_iss_of_a_callers_server_is_required() {
    let (mcp, server) = (Mcp::start().await, Server::start().await);
    let mut metadata = mcp.metadata();
    metadata["authorization_response_iss_parameter_supported"] = json!(true);
    mcp.says("/.well-known/oauth-authorization-server/as", &metadata);
    let started = mcp.begin(&server).await.is(200).json();
    assert_eq!(complete(&server, &started).await.is(400).detail(), "Invalid or expired state token");
    assert!(mcp.0.asked("/token").is_empty());
    let started = mcp.begin(&server).await.is(200).json();
    let body = json!({
        "code": "c", "state_token": started["state_token"], "callback_params": {"iss": mcp.issuer()},
    });
    server.post(COMPLETE).key(&server.key).json(&body).send().await.is(200);
}

// Isolation: a reconnect compares issuer and resource.
#[tokio::test]
async fn reconnect_at_another_server_needs_permission() {
    let (mcp, other, server) = (Mcp::start().await, Mcp::start().await, Server::start().await);
    let id = mcp.connect(&server).await["credentials_id"].clone();
    let reconnect = async |at: &Mcp, allowed: bool| {
        let body = json!({
            "callback_url": CALLBACK, "inputs": {"server_url": at.url()}, "credential_id": id,
            "allow_account_change": allowed,
        });
        let started = server.post(INITIATE).key(&server.key).json(&body).send().await.is(200).json();
        complete(&server, &started).await
    };
    reconnect(&mcp, false).await.is(200);
    let refused = reconnect(&other, false).await.is(400).json();
    assert_eq!(refused["type"], "/problems/account-mismatch");
    let said = refused["detail"].as_str().unwrap();
    assert!(said.contains("at another server") && said.contains("allow_account_change"), "{said}");
    assert_eq!(reconnect(&other, true).await.is(200).json()["credentials_id"], id);
    let path = format!("/v1/integrations/mcp/credentials/{}/refresh", id.as_str().unwrap());
    server.post(&path).key(&server.key).send().await.is(200);
    assert_eq!(other.0.asked("/token").last().unwrap().param("resource"), Some(other.url()));
}

#[tokio::test]
async fn reconnect_without_a_server_is_at_the_credentials_own() {
    let (mcp, server) = (Mcp::start().await, Server::start().await);
    let id = mcp.connect(&server).await["credentials_id"].clone();
    let reconnect = async |key: &str, id: &Value| {
        let body = json!({"callback_url": CALLBACK, "credential_id": id});
        server.post(INITIATE).key(key).json(&body).send().await
    };
    let started = reconnect(&server.key, &id).await.is(200).json();
    assert_eq!(query(&started)["resource"], mcp.url());
    assert_eq!(complete(&server, &started).await.is(200).json()["credentials_id"], id);
    let bob = server.key_of("bob").await;
    reconnect(&bob, &id).await.is(404);
    let of_openai = server.create_api_key_credential("openai").await;
    reconnect(&server.key, &json!(of_openai)).await.is(404);
    let body = json!({"callback_url": CALLBACK});
    server.post(INITIATE).key(&server.key).json(&body).send().await.is(422);
}

/// Issue 4.1: the first URL that is no metadata document is no success.
#[tokio::test]
async fn challenge_without_metadata_falls_back_to_the_well_known_url() {
    let html = ("200 OK", "text/html", "<html>all paths are answered</html>");
    let empty = ("200 OK", "application/json", "{}");
    let absent = ("404 Not Found", "text/plain", "");
    for (named, (status, kind, body)) in [
        ("BASE/meta", html),
        ("BASE/meta", empty),
        ("BASE/meta", absent),
        ("/meta", html),
        ("", html),
        ("http://192.0.2.1/meta", html),
    ] {
        let (mcp, server) = (Mcp::start().await, Server::start().await);
        let named = named.replace("BASE", &mcp.0.base);
        let challenge =
            format!("text/plain\r\nWWW-Authenticate: Bearer resource_metadata=\"{named}\", scope=\"files:write\"");
        mcp.0.answers_with("/mcp", "401 Unauthorized", challenge.leak(), "no");
        mcp.0.answers_with("/meta", status, kind, body);
        let started = mcp.begin(&server).await.is(200).json();
        assert_eq!(query(&started)["scope"], "files:write", "{named} {body}");
        let well_known = mcp.0.asked("/.well-known/oauth-protected-resource/mcp");
        assert_eq!(
            (mcp.0.asked("/meta").len(), well_known.len()),
            (usize::from(named.ends_with("/meta") && named.starts_with(&mcp.0.base)), 1)
        );
    }
}

#[tokio::test]
async fn next_authorization_server_is_tried() {
    for status in ["404 Not Found", "503 Unavailable", "200 OK"] {
        let (mcp, server) = (Mcp::start().await, Server::start().await);
        let dead = |name: &str| format!("{}/{name}", mcp.0.base);
        let mut resource = mcp.resource(&mcp.issuer());
        let list = |servers: &[String]| json!(servers);
        mcp.0.answers_with("/.well-known/oauth-authorization-server/dead1", status, "text/html", "<html>");
        resource["authorization_servers"] = list(&[dead("dead1"), dead("dead2"), mcp.issuer()]);
        mcp.says("/.well-known/oauth-protected-resource/mcp", &resource);
        let started = mcp.begin(&server).await.is(200).json();
        assert_eq!(query(&started)["client_id"], "client-1");
        resource["authorization_servers"] = list(&[dead("dead1"), dead("dead2"), dead("dead3"), mcp.issuer()]);
        mcp.says("/.well-known/oauth-protected-resource/mcp", &resource);
        mcp.begin(&server).await.is(502);
        assert_eq!(mcp.0.asked("/.well-known/oauth-authorization-server/dead3").len(), 1, "at most three are asked");
    }
}

#[tokio::test]
async fn unreachable_server_is_said_once() {
    let (mcp, server) = (Mcp::start().await, Server::start().await);
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let nobody = format!("http://{free}");
    let said = |reply: Reply| reply.is(502).detail().as_str().unwrap().to_owned();
    let mut told = vec![said(begin(&server, &format!("{nobody}/mcp"), &[]).await)];
    mcp.says("/.well-known/oauth-protected-resource/mcp", &mcp.resource(&format!("{nobody}/as")));
    told.push(said(mcp.begin(&server).await));
    mcp.says("/.well-known/oauth-protected-resource/mcp", &mcp.resource(&mcp.issuer()));
    let mut metadata = mcp.metadata();
    metadata["registration_endpoint"] = json!(format!("{nobody}/register"));
    mcp.says("/.well-known/oauth-authorization-server/as", &metadata);
    told.push(said(mcp.begin(&server).await));
    for text in told {
        assert_eq!(text.matches("could not be reached").count(), 1, "{text}");
    }
}

/// The secret tells if a client is a public one, when the server does not.
#[tokio::test]
async fn registered_secret_is_used_if_no_method_is_named() {
    let (mcp, server) = (Mcp::start().await, Server::start().await);
    let mut metadata = mcp.metadata();
    metadata["token_endpoint_auth_methods_supported"] = json!(["none"]);
    mcp.says("/.well-known/oauth-authorization-server/as", &metadata);
    let answer = json!({"client_id": "client-1", "client_secret": "secret-1", "token_endpoint_auth_method": ""});
    mcp.0.answers_with("/register", "201 Created", "application/json", answer.to_string());
    mcp.connect(&server).await;
    let token = &mcp.0.asked("/token")[0];
    assert_eq!(token.basic().as_deref(), Some("client-1:secret-1"));
    assert_eq!(token.param("client_id").as_deref(), Some("client-1"));
}

#[tokio::test]
async fn mcp_provider_says_what_it_is() {
    let config = "[oauth]\ndevice = true".to_owned();
    let server = Server::with(Setup { config, ..Setup::default() }).await;
    let shown = server.get("/v1/integrations/providers/mcp").key(&server.key).send().await.is(200).json();
    let oauth = json!({
        "grants": ["oauth2"], "device_flow": false, "register_url": null, "missing": null, "api_base_url": null,
        "token_type": "Bearer", "revocation": null, "in": "header", "name": "Authorization", "prefix": "Bearer ",
        "base_url": null,
    });
    assert_eq!((&shown["oauth"], &shown["inputs"][0]["name"]), (&oauth, &json!("server_url")));
    let path = "/v1/integrations/mcp/oauth/device/initiate";
    let refused = server.post(path).key(&server.key).json(&json!({})).send().await.is(404).json();
    assert_eq!(refused["type"], "/problems/device-flow-not-offered");
    let path = "/v1/integrations/openai/oauth/device/initiate";
    let refused = server.post(path).key(&server.key).json(&json!({})).send().await.is(404).json();
    assert_eq!(refused["type"], "/problems/oauth-not-supported");
}

#[tokio::test]
async fn login_url_has_a_limit() {
    let (mcp, server) = (Mcp::start().await, Server::start().await);
    let scopes: Vec<String> = (0..10).map(|index| format!("{index}{}", "s".repeat(1000))).collect();
    let scopes: Vec<&str> = scopes.iter().map(String::as_str).collect();
    begin(&server, &mcp.url(), &scopes[..5]).await.is(200);
    begin(&server, &mcp.url(), &scopes).await.is(422);
}

fn with_mcp(setting: &str) -> Setup {
    Setup { config: format!("[providers.mcp]\n{setting}\n"), ..Setup::default() }
}

#[tokio::test]
async fn s256_is_assumed_only_by_the_operator() {
    let mcp = Mcp::start().await;
    let path = "/.well-known/oauth-authorization-server/as";
    let mut metadata = mcp.metadata();
    metadata.as_object_mut().unwrap().remove("code_challenge_methods_supported");
    mcp.says(path, &metadata);
    let refused = mcp.begin(&Server::start().await).await.is(502);
    assert!(refused.text().contains("providers.mcp.assume_s256 = true"), "{}", refused.text());

    let server = Server::with(with_mcp("assume_s256 = true")).await;
    let started = mcp.begin(&server).await.is(200).json();
    assert_eq!(query(&started)["code_challenge_method"], "S256");
    complete(&server, &started).await.is(200);
    assert!(mcp.0.asked("/token")[0].param("code_verifier").is_some());

    // A server that announces other methods only does not support it.
    metadata["code_challenge_methods_supported"] = json!(["plain"]);
    mcp.says(path, &metadata);
    let refused = mcp.begin(&server).await.is(502);
    assert!(!refused.text().contains("assume_s256"), "{}", refused.text());
}

#[tokio::test]
async fn legacy_server_is_its_own_authorization_server() {
    let legacy = Mcp(Recording::start().await);
    legacy.registers("client-1", "secret-1", 0);
    legacy.says("/token", &json!({"access_token": "at", "token_type": "Bearer", "expires_in": 3600}));
    let refused = legacy.begin(&Server::start().await).await.is(502);
    assert!(refused.text().contains("RFC 9728"), "{}", refused.text());

    // Without metadata: the paths that the revision fixes.
    let server = Server::with(with_mcp("legacy = true")).await;
    let started = legacy.begin(&server).await.is(200).json();
    let login = started["login_url"].as_str().unwrap();
    assert!(login.starts_with(&format!("{}/authorize?", legacy.0.base)), "{login}");
    assert_eq!(query(&started)["code_challenge_method"], "S256");
    complete(&server, &started).await.is(200);
    assert_eq!(legacy.0.asked("/token").len(), 1);

    // With metadata: those of its origin, by the same rules as everywhere.
    let at = |path: &str| format!("{}{path}", legacy.0.base);
    let mut metadata = json!({
        "issuer": legacy.0.base, "authorization_endpoint": at("/login"), "token_endpoint": at("/token"),
        "registration_endpoint": at("/register"), "code_challenge_methods_supported": ["S256"],
    });
    legacy.says("/.well-known/oauth-authorization-server", &metadata);
    let started = legacy.begin(&server).await.is(200).json();
    assert!(started["login_url"].as_str().unwrap().starts_with(&at("/login?")));
    metadata["issuer"] = json!("https://other.example");
    legacy.says("/.well-known/oauth-authorization-server", &metadata);
    legacy.begin(&server).await.is(502);
}

// Callers choose servers and callbacks, and each registration adds a row to the vault.
#[tokio::test]
async fn registrations_of_a_user_are_bounded_by_day() {
    let mcp = Mcp::start().await;
    let config = "[limits]\nregistrations_per_day = 2\n".to_owned();
    let server = Server::with(Setup { config, ..Setup::default() }).await;
    let initiate = async |key: &str, path: &str| {
        let body = json!({"callback_url": format!("{CALLBACK}{path}"), "inputs": {"server_url": mcp.url()}});
        server.post(INITIATE).key(key).json(&body).send().await
    };
    initiate(&server.key, "/1").await.is(200);
    initiate(&server.key, "/2").await.is(200);
    let refused = initiate(&server.key, "/3").await.is(429);
    assert!(refused.detail().as_str().unwrap().contains("limits.registrations_per_day"));
    assert!(refused.header("Retry-After").is_some());
    assert_eq!(mcp.registrations(), 2, "nothing is sent");
    initiate(&server.key, "/1").await.is(200);
    let bob = server.key_of("bob").await;
    initiate(&bob, "/3").await.is(200);
    server.clock.advance(Duration::from_secs(43_200));
    initiate(&server.key, "/4").await.is(200);
}
