//! OpenID Connect at a provider: the entry that says an issuer and nothing else, the nonce, and every ID token that is not
//! this login's.

use crate::support::flow::{CALLBACK, Started};
use crate::support::http::Reply;
use crate::support::provider::recording::Recording;
use crate::support::{Server, Setup, eventually};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};
use std::time::Duration;
use strongroom::jose::{Algorithm, Header, SigningKey, sign};

const WELL_KNOWN: &str = "/.well-known/oauth-authorization-server";
const CLIENT: &str = "client_id = \"us\"\nclient_secret = \"s\"";

/// An issuer that a test can change the words of.
struct Issuer {
    recording: Recording,
    key: SigningKey,
}

impl Issuer {
    async fn start() -> Self {
        let this = Self { recording: Recording::start().await, key: SigningKey::generate() };
        this.recording.says(WELL_KNOWN, &this.metadata());
        this.publishes(&[&this.key]);
        this
    }

    fn base(&self) -> &str {
        &self.recording.base
    }

    fn metadata(&self) -> Value {
        let base = self.base();
        json!({
            "issuer": base,
            "authorization_endpoint": format!("{base}/authorize"),
            "token_endpoint": format!("{base}/token"),
            "jwks_uri": format!("{base}/jwks"),
            "userinfo_endpoint": format!("{base}/me"),
            "revocation_endpoint": format!("{base}/revoke"),
            "token_endpoint_auth_methods_supported": ["client_secret_post"],
            "authorization_response_iss_parameter_supported": true,
        })
    }

    fn publishes(&self, keys: &[&SigningKey]) {
        let keys: Vec<_> = keys.iter().map(|key| key.public_jwk()).collect();
        self.recording.says("/jwks", &json!({"keys": keys}));
    }

    /// A server for which this issuer is all that the entry of `acme` says, and `further`.
    async fn server(&self, further: &str) -> Server {
        let config = format!(
            "[providers.acme]\ndisplay_name = \"Acme\"\n{CLIENT}\n[providers.acme.oauth]\nissuer = \"{}\"\n\
             default_scopes = [\"openid\"]\n{further}",
            self.base()
        );
        Server::with(Setup { config, ..Setup::default() }).await
    }

    /// The claims of a good ID token for this login.
    fn claims(&self, server: &Server, started: &Started) -> Map<String, Value> {
        let now = server.clock.now().0;
        let nonce = url::Url::parse(&started.login_url).unwrap();
        let nonce = nonce.query_pairs().find(|(name, _)| name == "nonce").unwrap().1.into_owned();
        let claims = json!({
            "iss": self.base(), "aud": "us", "sub": "subject-1", "exp": now + 300, "iat": now, "nonce": nonce,
            "at_hash": URL_SAFE_NO_PAD.encode(&Sha256::digest("at")[..16]),
            "preferred_username": "alice", "name": "Alice of Acme",
        });
        let Value::Object(claims) = claims else { unreachable!() };
        claims
    }

    /// The answer of the token endpoint has this ID token from now on.
    fn gives(&self, id_token: &str) {
        let answer = json!({"access_token": "at", "token_type": "bearer", "id_token": id_token});
        self.recording.says("/token", &answer);
    }

    fn signed(&self, claims: &Map<String, Value>) -> String {
        signed_by(&self.key, claims)
    }
}

fn signed_by(key: &SigningKey, claims: &Map<String, Value>) -> String {
    let header = Header { key_id: Some(key.id().to_owned()), ..Header::default() };
    sign(&header, claims, key, Algorithm::Es256).unwrap().expose().to_owned()
}

async fn begin(server: &Server) -> Started {
    server.initiate_with("acme", &json!({"callback_url": CALLBACK})).await
}

async fn complete(server: &Server, started: &Started) -> Reply {
    server.complete_acme(&server.key, &started.state).await
}

// docs/standards.md: 26, 27.
#[tokio::test]
async fn entry_with_only_an_issuer_connects_and_revokes() {
    let issuer = Issuer::start().await;
    let server = issuer.server("").await;
    let started = begin(&server).await;
    assert!(started.login_url.starts_with(&format!("{}/authorize?", issuer.base())));
    issuer.gives(&issuer.signed(&issuer.claims(&server, &started)));
    let completed = complete(&server, &started).await.is(200);
    assert_eq!((&completed.json()["username"], &completed.json()["title"]), (&json!("alice"), &json!("Alice of Acme")));
    let asked = issuer.recording.asked("/token").pop().unwrap();
    assert_eq!(asked.param("client_secret").as_deref(), Some("s"), "post, as the server announces");
    assert_eq!(asked.header("authorization"), None);
    issuer.recording.says("/revoke", &json!({}));
    assert_eq!(server.delete_acme(&completed).await, json!(true));
    assert_eq!(issuer.recording.asked("/me").len(), 0, "the ID token said it all");
}

// docs/standards.md: 26.
#[tokio::test]
async fn metadata_of_another_issuer_is_rejected() {
    let issuer = Issuer::start().await;
    // A slash after the bare host would make no other issuer.
    for wrong in [format!("{}/other", issuer.base()), "https://evil.example".to_owned()] {
        let mut document = issuer.metadata();
        document["issuer"] = json!(wrong);
        issuer.recording.says(WELL_KNOWN, &document);
        let server = issuer.server("").await;
        let body = json!({"callback_url": CALLBACK});
        let refused = server.post("/v1/integrations/acme/oauth/initiate").key(&server.key).json(&body).send().await;
        assert_eq!(refused.is(502).json()["type"], "/problems/provider-unavailable");
    }
    issuer.recording.answers_with(WELL_KNOWN, "404 Not Found", "text/plain", "");
    issuer.recording.says("/.well-known/openid-configuration", &issuer.metadata());
    begin(&issuer.server("").await).await;
}

// docs/standards.md: 28.
#[tokio::test]
async fn metadata_is_cached_and_renewed_in_the_background() {
    let issuer = Issuer::start().await;
    let server = issuer.server("").await;
    let fetched = || issuer.recording.asked(WELL_KNOWN).len();
    for _ in 0..3 {
        begin(&server).await;
    }
    assert_eq!(fetched(), 1);
    server.clock.advance(Duration::from_secs(3601));
    begin(&server).await;
    eventually("old metadata are renewed", async || fetched() == 2).await;

    issuer.recording.answers_with(WELL_KNOWN, "503 Service Unavailable", "text/plain", "");
    server.clock.advance(Duration::from_secs(3601));
    begin(&server).await;
    begin(&server).await;
}

#[tokio::test]
async fn entry_overrides_the_metadata() {
    let issuer = Issuer::start().await;
    let further = format!("token_url = \"{}/other\"\ntoken_auth = \"none\"\npkce = false", issuer.base());
    let server = issuer.server(&further).await;
    issuer.recording.says("/other", &json!({"access_token": "at", "token_type": "bearer"}));
    let started = begin(&server).await;
    assert!(!started.login_url.contains("code_challenge"));
    complete(&server, &started).await.is(200);
    let asked = issuer.recording.asked("/other").pop().unwrap();
    assert_eq!((asked.param("client_id").as_deref(), asked.param("client_secret")), (Some("us"), None));
}

// docs/standards.md: 18.
#[tokio::test]
async fn missing_announced_iss_is_rejected() {
    let issuer = Issuer::start().await;
    let server = issuer.server("").await;
    for (params, status) in
        [(json!({}), 400), (json!({"iss": "https://evil.example"}), 400), (json!({"iss": issuer.base()}), 200)]
    {
        let started = begin(&server).await;
        issuer.gives(&issuer.signed(&issuer.claims(&server, &started)));
        let body = json!({"code": "c", "state_token": started.state, "callback_params": params});
        server.post("/v1/integrations/acme/oauth/complete").key(&server.key).json(&body).send().await.is(status);
    }
}

// docs/standards.md: 50.
#[tokio::test]
async fn openid_login_has_its_own_nonce() {
    let issuer = Issuer::start().await;
    let server = issuer.server("").await;
    let nonce = |started: &Started| {
        let url = url::Url::parse(&started.login_url).unwrap();
        url.query_pairs().find(|(name, _)| name == "nonce").map(|(_, value)| value.into_owned())
    };
    let (one, other) = (begin(&server).await, begin(&server).await);
    assert_eq!(nonce(&one).unwrap().len(), 43);
    assert_ne!(nonce(&one), nonce(&other));
    assert!(!one.login_url.replace(&one.state, "").contains(&one.state));
    let body = json!({"callback_url": CALLBACK, "scopes": ["read"]});
    assert_eq!(nonce(&server.initiate_with("acme", &body).await), None);
}

// docs/standards.md: 48.
#[tokio::test]
async fn foreign_id_token_is_an_error_and_stores_nothing() {
    let issuer = Issuer::start().await;
    let server = issuer.server("").await;
    let now = server.clock.now().0;
    let wrong: &[(&str, Value)] = &[
        ("iss", json!("https://evil.example")),
        ("aud", json!("them")),
        ("aud", json!(["us", "them"])),
        ("azp", json!("them")),
        ("exp", json!(now - 61)),
        ("exp", Value::Null),
        ("iat", json!(now + 61)),
        ("iat", Value::Null),
        ("nonce", json!("of another login")),
        ("nonce", Value::Null),
        ("at_hash", json!("AAAAAAAAAAAAAAAAAAAAAA")),
        ("sub", json!("")),
        ("sub", json!("s".repeat(256))),
        ("sub", Value::Null),
    ];
    for (name, value) in wrong {
        let started = begin(&server).await;
        let mut claims = issuer.claims(&server, &started);
        claims.remove(*name);
        claims.extend((!value.is_null()).then(|| ((*name).to_owned(), value.clone())));
        issuer.gives(&issuer.signed(&claims));
        let refused = complete(&server, &started).await.is(502).json();
        assert_eq!(refused["type"], "/problems/provider-unavailable", "{name} = {value}");
        assert!(refused["detail"].as_str().unwrap().contains("ID token"), "{refused}");
    }
    let started = begin(&server).await;
    let claims = issuer.claims(&server, &started);
    let unsigned = format!(
        "{}.{}.",
        URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#),
        URL_SAFE_NO_PAD.encode(json!(claims).to_string())
    );
    for token in
        [unsigned.as_str(), "not a token", &signed_by(&SigningKey::generate().with_id(issuer.key.id()), &claims)]
    {
        let started = begin(&server).await;
        issuer.gives(token);
        complete(&server, &started).await.is(502);
    }
    assert_eq!(server.list().await, json!([]));
}

#[tokio::test]
async fn tokens_beside_a_bad_id_token_are_revoked() {
    let issuer = Issuer::start().await;
    let revoke = format!("revoke = {{ url = \"{}/{{leaf}}\" }}", issuer.base());
    let leaf =
        "inputs.leaf = { from = \"token\", pattern = \"[a-z]+\", example = \"revoke\" }\ntoken_metadata = [\"leaf\"]";
    let server = issuer.server(&format!("{revoke}\n{leaf}")).await;
    let answer = json!({
        "access_token": "at", "refresh_token": "rt", "token_type": "bearer", "id_token": "not a token",
        "leaf": "revoke",
    });
    let revoked = || {
        let asked = issuer.recording.asked("/revoke");
        asked.iter().map(|one| one.param("token").unwrap()).collect::<Vec<_>>()
    };
    issuer.recording.says("/token", &answer);
    issuer.recording.answers_with("/revoke", "503 Service Unavailable", "text/plain", "");
    complete(&server, &begin(&server).await).await.is(502);
    assert_eq!((revoked(), server.list().await), (vec!["rt".to_owned(), "at".to_owned()], json!([])));
    assert_eq!(server.vault.status().unwrap().revocations, 1, "it is retried");
    issuer.recording.says("/revoke", &json!({}));
    server.clock.advance(Duration::from_secs(120));
    assert_eq!(server.broker.retry_revocations().await.unwrap(), 1);

    // A credential of the user may share the grant, and a revocation would end it.
    let started = begin(&server).await;
    issuer.gives(&issuer.signed(&issuer.claims(&server, &started)));
    complete(&server, &started).await.is(200);
    let before = revoked().len();
    issuer.recording.says("/token", &answer);
    complete(&server, &begin(&server).await).await.is(502);
    assert_eq!((revoked().len(), server.vault.status().unwrap().revocations), (before, 0));
}

#[tokio::test]
async fn shared_id_token_is_accepted_if_issued_to_us() {
    let issuer = Issuer::start().await;
    let server = issuer.server("").await;
    let started = begin(&server).await;
    let mut claims = issuer.claims(&server, &started);
    claims.insert("aud".to_owned(), json!(["them", "us"]));
    claims.insert("azp".to_owned(), json!("us"));
    issuer.gives(&issuer.signed(&claims));
    complete(&server, &started).await.is(200);
}

// docs/standards.md: 49.
#[tokio::test]
async fn unknown_key_is_fetched_once_then_rate_limited() {
    let issuer = Issuer::start().await;
    let server = issuer.server("").await;
    let connected = async |key: &SigningKey| {
        let started = begin(&server).await;
        issuer.gives(&signed_by(key, &issuer.claims(&server, &started)));
        complete(&server, &started).await.status
    };
    assert_eq!(connected(&issuer.key).await, 200);
    server.clock.advance(Duration::from_secs(61));
    let new = SigningKey::generate();
    issuer.publishes(&[&issuer.key, &new]);
    assert_eq!(connected(&new).await, 200, "keys are rotated without warning");
    assert_eq!(issuer.recording.asked("/jwks").len(), 2);
    for _ in 0..3 {
        assert_eq!(connected(&SigningKey::generate()).await, 502);
    }
    assert_eq!(issuer.recording.asked("/jwks").len(), 2, "a stranger can write any kid into a token");
}

// docs/standards.md: 49.
#[tokio::test]
async fn userinfo_must_match_the_id_tokens_account() {
    let issuer = Issuer::start().await;
    let server = issuer.server("").await;
    for (subject, username) in [("subject-1", json!("from-userinfo")), ("subject-2", Value::Null)] {
        issuer.recording.says("/me", &json!({"sub": subject, "preferred_username": "from-userinfo"}));
        let started = begin(&server).await;
        let mut claims = issuer.claims(&server, &started);
        claims.remove("preferred_username");
        issuer.gives(&issuer.signed(&claims));
        assert_eq!(complete(&server, &started).await.is(200).json()["username"], username, "{subject}");
    }
}

#[tokio::test]
async fn entry_maps_claims_to_username_title_and_account() {
    let issuer = Issuer::start().await;
    let identity = "[providers.acme.oauth.identity]\nfrom_id_token = true\nusername = \"/email\"\naccount = \"/oid\"";
    let server = issuer.server(identity).await;
    let started = begin(&server).await;
    let mut claims = issuer.claims(&server, &started);
    claims.insert("email".to_owned(), json!("alice@acme.example"));
    issuer.gives(&issuer.signed(&claims));
    let completed = complete(&server, &started).await.is(200).json();
    assert_eq!(
        (&completed["username"], &completed["title"]),
        (&json!("alice@acme.example"), &json!("alice@acme.example"))
    );
}

#[tokio::test]
async fn unneeded_id_token_is_ignored() {
    let issuer = Issuer::start().await;
    let identity = format!("[providers.acme.oauth.identity]\nurl = \"{}/me\"\nusername = \"/login\"", issuer.base());
    let server = issuer.server(&identity).await;
    issuer.recording.says("/me", &json!({"login": "carol"}));
    issuer.gives("rubbish");
    let started = begin(&server).await;
    assert_eq!(complete(&server, &started).await.is(200).json()["username"], "carol");
}
