//! The code flow as a provider sees it: the lines of the bar (RFC 6749, 7636, 9700) over the wire, and what the contract
//! says of providers that differ.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::support::flow::CALLBACK;
use crate::support::provider::recording::Recording;
use crate::support::{Server, Setup};
use base64::Engine as _;
use serde_json::{Value, json};
use sha2::Digest as _;

const PREFIX: &str = "OAuth2 callback failed to exchange code for tokens: ";

/// The query of a login URL; a name that is there twice fails.
fn query(login_url: &str) -> BTreeMap<String, String> {
    let url = url::Url::parse(login_url).unwrap();
    assert_eq!(url.fragment(), None);
    let mut query = BTreeMap::new();
    for (name, value) in url.query_pairs().into_owned() {
        assert_eq!(query.insert(name.clone(), value), None, "{name} is there twice: {login_url}");
    }
    query
}

// docs/standards.md: 1.
#[tokio::test]
async fn login_url_has_each_parameter_once() {
    let acme = Recording::start().await;
    let entry = "authorize_url = \"BASE/authorize?tenant=a%20b\"\nscope_separator = \",\"\nauthorize_params = { prompt = \"consent\" }";
    let server = acme.server(entry).await;
    let body =
        json!({"callback_url": "http://localhost:3000/cb?x=%20&y=ü#".trim_end_matches('#'), "scopes": ["a", "b", "a"]});
    let started = server.initiate_with("acme", &body).await;
    let mut query = query(&started.login_url);
    assert!(started.login_url.starts_with(&format!("{}/authorize?tenant=a%20b&", acme.base)));
    assert_eq!(query.remove("state").unwrap(), started.state);
    assert_eq!(query.remove("code_challenge").unwrap().len(), 43);
    let expected = [
        ("client_id", "my id"),
        ("code_challenge_method", "S256"),
        ("prompt", "consent"),
        ("redirect_uri", "http://localhost:3000/cb?x=%20&y=ü"),
        ("response_type", "code"),
        ("scope", "a,b"),
        ("tenant", "a b"),
    ];
    assert_eq!(query, expected.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
}

// docs/standards.md: 19.
#[tokio::test]
async fn only_the_code_flow_is_used() {
    let acme = Recording::start().await;
    let server = acme.server("").await;
    let started = server.initiate_with("acme", &json!({"callback_url": CALLBACK})).await;
    assert_eq!(query(&started.login_url)["response_type"], "code");
    let implicit = json!({"access_token": "somebody's", "token_type": "bearer", "expires_in": "3600"});
    let path = "/v1/integrations/acme/oauth/complete";
    let body = json!({"state_token": started.state, "callback_params": implicit});
    assert!([400, 422].contains(&server.post(path).key(&server.key).json(&body).send().await.status));
    assert!(acme.asked("/token").is_empty() && server.list().await.as_array().unwrap().is_empty());

    let body = json!({"code": "c", "state_token": started.state, "callback_params": implicit});
    server.post(path).key(&server.key).json(&body).send().await.is(200);
    let sent: Vec<_> = acme.asked("/token").iter().map(|asked| asked.param("grant_type").unwrap()).collect();
    assert_eq!(sent, ["authorization_code"]);
    assert!(!acme.asked("/token")[0].body.contains("somebody"));
}

// docs/standards.md: 22.
#[tokio::test]
async fn resource_or_audience_is_in_both_requests() {
    let acme = Recording::start().await;
    let params = "{ resource = \"https://api.acme.example/\", audience = \"acme\" }";
    let server = acme.server(&format!("authorize_params = {params}\ntoken_params = {params}")).await;
    let started = server.initiate_with("acme", &json!({"callback_url": CALLBACK})).await;
    let asked_for = query(&started.login_url);
    server.complete_acme(&server.key, &started.state).await.is(200);
    let token_request = &acme.asked("/token")[0];
    for (name, value) in [("resource", "https://api.acme.example/"), ("audience", "acme")] {
        assert_eq!((asked_for[name].as_str(), token_request.param(name).as_deref()), (value, Some(value)));
    }
}

// docs/standards.md: 2.
#[tokio::test]
async fn token_request_repeats_the_redirect_uri_verbatim() {
    let acme = Recording::start().await;
    let server = acme.server("token_params = { audience = \"x\" }").await;
    for callback in ["http://localhost:3000/callback", "HTTP://LOCALHOST:80/a/../b?x=%7e&y=ü", "http://localhost"] {
        let started = server.initiate_with("acme", &json!({"callback_url": callback})).await;
        server.complete_acme(&server.key, &started.state).await.is(200);
        let token = acme.asked("/token").pop().unwrap();
        assert_eq!(token.param("redirect_uri").as_deref(), Some(callback));
        assert_eq!(query(&started.login_url)["redirect_uri"], callback);
        assert_eq!(token.header("content-type").as_deref(), Some("application/x-www-form-urlencoded"));
        assert_eq!(token.param("code").as_deref(), Some("the code/1"));
        assert_eq!(token.param("grant_type").as_deref(), Some("authorization_code"));
        assert_eq!((token.method.as_str(), token.param("audience").as_deref()), ("POST", Some("x")));
    }
}

// docs/standards.md: 3.
#[tokio::test]
async fn client_authenticates_in_exactly_one_way() {
    let acme = Recording::start().await;
    for (way, basic, id, secret) in [
        ("basic", Some("my+id:s%2Bc%2Fr"), None, None),
        ("basic_raw", Some("my id:s+c/r"), None, None),
        ("basic_with_id", Some("my+id:s%2Bc%2Fr"), Some("my id"), None),
        ("post", None, Some("my id"), Some("s+c/r")),
        ("none", None, Some("my id"), None),
    ] {
        let server = acme.server(&format!("token_auth = \"{way}\"")).await;
        server.connect_acme(&[]).await.is(200);
        let token = acme.asked("/token").pop().unwrap();
        assert_eq!(token.basic().as_deref(), basic, "{way}");
        assert_eq!(token.param("client_id").as_deref(), id, "{way}");
        assert_eq!(token.param("client_secret").as_deref(), secret, "{way}");
        assert_eq!(token.header("authorization").is_some(), basic.is_some(), "{way}");
    }
}

#[tokio::test]
async fn incomplete_client_is_not_configured() {
    let acme = Recording::start().await;
    for (auth, client, status) in
        [("post", "client_id = \"c\"", 501), ("none", "client_id = \"c\"", 200), ("none", "client_secret = \"s\"", 501)]
    {
        let server = acme.server_with(&format!("token_auth = \"{auth}\""), client, Setup::default()).await;
        let body = json!({"callback_url": CALLBACK});
        server.post("/v1/integrations/acme/oauth/initiate").key(&server.key).json(&body).send().await.is(status);
        let providers = server.get("/v1/integrations/providers").key(&server.key).send().await.json();
        let acme = providers.as_array().unwrap().iter().find(|provider| provider["name"] == "acme").unwrap();
        assert_eq!((&acme["configured"], &acme["supports_oauth"]), (&json!(status == 200), &json!(true)));
    }
}

// docs/standards.md: 13, 14.
#[tokio::test]
async fn verifier_is_per_flow_and_sent_once() {
    let acme = Recording::start().await;
    let server = acme.server("").await;
    let mut verifiers = Vec::new();
    for _ in 0..3 {
        let started = server.initiate_with("acme", &json!({"callback_url": CALLBACK})).await;
        server.complete_acme(&server.key, &started.state).await.is(200);
        let verifier = acme.asked("/token").pop().unwrap().param("code_verifier").unwrap();
        assert!((43..=128).contains(&verifier.len()) && !started.login_url.contains(&verifier));
        let challenge = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(sha2::Sha256::digest(&verifier));
        assert_eq!(query(&started.login_url)["code_challenge"], challenge);
        verifiers.push(verifier);
    }
    verifiers.sort_unstable();
    verifiers.dedup();
    assert_eq!(verifiers.len(), 3);
}

#[tokio::test]
async fn pkce_is_omitted_only_if_the_entry_says_so() {
    let acme = Recording::start().await;
    let server = acme.server("pkce = false").await;
    let started = server.initiate_with("acme", &json!({"callback_url": CALLBACK})).await;
    assert!(!started.login_url.contains("code_challenge"));
    server.complete_acme(&server.key, &started.state).await.is(200);
    assert_eq!(acme.asked("/token")[0].param("code_verifier"), None);
}

#[tokio::test]
async fn empty_scopes_mean_defaults_plus_always_scopes() {
    let acme = Recording::start().await;
    let both = "default_scopes = [\"d1\", \"d2\"]\nalways_scopes = [\"a\", \"d1\"]";
    let fixed = "fixed_scopes = true\nalways_scopes = [\"a\"]";
    for (entry, asked, sent) in [
        ("", vec![], None),
        (both, vec![], Some("d1 d2 a")),
        (both, vec!["x"], Some("x a d1")),
        (fixed, vec!["x"], Some("a")),
        (fixed, vec![], Some("a")),
    ] {
        let server = acme.server(entry).await;
        let started = server.initiate_with("acme", &json!({"callback_url": CALLBACK, "scopes": asked})).await;
        assert_eq!(query(&started.login_url).get("scope").map(String::as_str), sent, "{entry} {asked:?}");
        let completed = server.complete_acme(&server.key, &started.state).await.is(200).json();
        let as_asked: Vec<&str> = sent.map(|text| text.split(' ').collect()).unwrap_or_default();
        assert_eq!(completed["scopes"], json!(as_asked), "an answer without scope grants what was asked for");
        assert!(completed.get("missing_scopes").is_none());
    }
}

// docs/standards.md: 6.
#[tokio::test]
async fn missing_scopes_include_missing_defaults() {
    let acme = Recording::start().await;
    let server = acme.server("default_scopes = [\"read\", \"write\"]").await;
    acme.says("/token", &json!({"access_token": "at", "token_type": "Bearer", "scope": "read,extra"}));
    let completed = server.connect_acme(&[]).await.is(200).json();
    assert_eq!(completed["scopes"], json!(["read", "extra"]));
    assert_eq!(completed["missing_scopes"], json!(["write"]));
    assert_eq!(server.list().await[0]["scopes"], json!(["read", "extra"]));
}

#[tokio::test]
async fn known_token_response_forms_are_read() {
    let acme = Recording::start().await;
    let json = "application/json";
    for (entry, kind, body) in [
        ("", json, r#"{"access_token":"at","token_type":"BEARER","expires_in":"3600","more":{"x":1}}"#),
        ("", json, r#"{"access_token":"at","token_type":"bearer","expires_in":0,"scope":["a","b"]}"#),
        ("", "application/x-www-form-urlencoded", "access_token=at&token_type=bearer&scope=a%2Cb"),
        ("", "text/plain", "access_token=at&token_type=bearer&scope=a+b"),
        ("token_type = \"bearer\"", json, r#"{"access_token":"at","token_type":"bot"}"#),
        ("token_type = \"bearer\"", json, r#"{"access_token":"at"}"#),
        (
            "token_path = \"/authed_user\"",
            json,
            r#"{"ok":true,"authed_user":{"access_token":"at","token_type":"bearer"}}"#,
        ),
    ] {
        let server = acme.server(entry).await;
        acme.answers_with("/token", "200 OK", kind, body);
        let completed = server.connect_acme(&["a", "b"]).await;
        assert_eq!(completed.status, 200, "{body}: {}", completed.text());
        assert_eq!(completed.json()["scopes"], json!(["a", "b"]), "{body}");
    }
}

// docs/standards.md: 5, 11.
#[tokio::test]
async fn refusal_is_400_nonsense_502_and_neither_stores() {
    let acme = Recording::start().await;
    let server = acme.server("").await;
    for (status, body, expected) in [
        ("200 OK", r#"{"error":"bad_code","error_description":"the code/1 with s+c/r"}"#, 400),
        ("200 OK", r#"{"error":"bad_code","access_token":"at","token_type":"bearer"}"#, 400),
        ("200 OK", r#"{"ok":false,"error":"invalid_code"}"#, 400),
        ("400 Bad Request", r#"{"error":"invalid_grant"}"#, 400),
        ("401 Unauthorized", r#"{"error":"invalid_client"}"#, 400),
        ("200 OK", r#"{"token_type":"bearer"}"#, 502),
        ("200 OK", r#"{"access_token":"at"}"#, 502),
        ("200 OK", r#"{"access_token":"at","token_type":"mac"}"#, 502),
        ("200 OK", r#"{"access_token":7,"token_type":"bearer"}"#, 502),
        ("200 OK", "<html>", 502),
        ("200 OK", "", 502),
        ("302 Found", "", 502),
        ("429 Too Many Requests", r#"{"error":"slow_down"}"#, 502),
        ("500 Internal Server Error", r#"{"access_token":"at","token_type":"bearer"}"#, 502),
    ] {
        acme.answers_with("/token", status, "application/json", body);
        let reply = server.connect_acme(&[]).await;
        assert_eq!(reply.status, expected, "{status} {body}: {}", reply.text());
        assert!(reply.detail().as_str().unwrap().starts_with(PREFIX), "{}", reply.text());
        assert!(!reply.text().contains("the code/1") && !reply.text().contains("s+c/r"), "{}", reply.text());
    }
    assert_eq!(server.list().await, json!([]));
}

#[tokio::test]
async fn unknown_account_has_no_username_and_is_200() {
    let acme = Recording::start().await;
    let server = acme.server("identity = { url = \"BASE/me\", username = \"/login\", title = \"/name\" }").await;
    for (status, body) in [
        ("500 Internal Server Error", "{}"),
        ("401 Unauthorized", r#"{"login":"x"}"#),
        ("200 OK", "<html>"),
        ("200 OK", r#"{"login":null,"name":["x"]}"#),
        ("302 Found", ""),
    ] {
        acme.answers_with("/me", status, "application/json", body);
        let completed = server.connect_acme(&[]).await.is(200).json();
        assert_eq!((&completed["username"], &completed["title"]), (&Value::Null, &json!("Acme Inc.")), "{body}");
    }
    assert_eq!(acme.asked("/me")[0].header("authorization").as_deref(), Some("Bearer at"));
    assert_eq!(server.list().await.as_array().unwrap().len(), 5);
}

#[tokio::test]
async fn title_is_display_name_then_username_then_provider() {
    let acme = Recording::start().await;
    let server = acme.server("identity = { url = \"BASE/me\", username = \"/login\", title = \"/name\" }").await;
    for (identity, username, title) in [
        (json!({"login": "ada", "name": "Ada L."}), json!("ada"), "Ada L."),
        (json!({"login": 7}), json!("7"), "7"),
        (json!({"name": "Ada L."}), Value::Null, "Ada L."),
        (json!({}), Value::Null, "Acme Inc."),
    ] {
        acme.says("/me", &identity);
        let completed = server.connect_acme(&[]).await.is(200).json();
        assert_eq!((&completed["username"], &completed["title"]), (&username, &json!(title)), "{identity}");
        let listed = server.list().await;
        let last = listed.as_array().unwrap().last().unwrap();
        assert_eq!((&last["username"], &last["title"]), (&username, &json!(title)));
    }
}

/// An entry that says how its tokens are revoked, and who its accounts are.
fn revoking(ends: &str) -> String {
    format!(
        "identity = {{ url = \"BASE/me\", account = \"/id\" }}\nrevoke = {{ url = \"BASE/revoke\", ends = \"{ends}\" }}"
    )
}

#[tokio::test]
async fn grant_is_revoked_with_its_last_credential() {
    let acme = Recording::start().await;
    let server = acme.server(&revoking("grant")).await;
    acme.says("/revoke", &json!({}));
    let mut connected = Vec::new();
    for account in [json!(1), json!(2), json!(1), Value::Null] {
        acme.says("/me", &json!({"id": account}));
        connected.push(server.connect_acme(&[]).await.is(200));
    }
    let [one, two, one_again, unknown] = connected.try_into().expect("four");
    assert_eq!(server.delete_acme(&two).await, Value::Null, "the unknown account may be the same");
    assert_eq!(server.delete_acme(&unknown).await, Value::Null);
    assert_eq!(server.delete_acme(&one).await, Value::Null, "there is one more of this account");
    assert!(acme.asked("/revoke").is_empty());
    assert_eq!(server.delete_acme(&one_again).await, json!(true));
    let sent: Vec<_> = acme.asked("/revoke").iter().map(|asked| asked.param("token").unwrap()).collect();
    assert_eq!(sent, ["at"]);
}

#[tokio::test]
async fn providers_of_one_server_share_their_grants() {
    let acme = Recording::start().await;
    let files = |url: &str, client: &str| {
        format!(
            "[providers.acme_files]\ndisplay_name = \"Acme Files\"\nclient_id = \"{client}\"\nclient_secret = \"s\"\n\
             [providers.acme_files.oauth]\nauthorize_url = \"BASE/authorize\"\ntoken_url = \"BASE{url}\"\n{}\n",
            revoking("grant")
        )
    };
    acme.says("/me", &json!({"id": 1}));
    acme.says("/revoke", &json!({}));
    acme.says("/elsewhere", &json!({"access_token": "at", "token_type": "bearer"}));
    for (url, client, revoked) in [
        ("/token", "my id", Value::Null),
        ("/token", "another client", json!(true)),
        ("/elsewhere", "my id", json!(true)),
    ] {
        let setup = Setup { config: files(url, client), ..Setup::default() };
        let ours = "client_id = \"my id\"\nclient_secret = \"s\"";
        let server = acme.server_with(&revoking("grant"), ours, setup).await;
        let of_acme = server.connect_acme(&[]).await.is(200);
        let started = server.initiate_with("acme_files", &json!({"callback_url": CALLBACK})).await;
        let body = json!({"code": "c", "state_token": started.state});
        server.post("/v1/integrations/acme_files/oauth/complete").key(&server.key).json(&body).send().await.is(200);
        assert_eq!(server.delete_acme(&of_acme).await, revoked, "{url} {client}");
    }
}

#[tokio::test]
async fn other_users_credential_keeps_no_grant_alive() {
    let acme = Recording::start().await;
    let server = acme.server(&revoking("grant")).await;
    acme.says("/revoke", &json!({}));
    let bob = server.key_of("bob").await;
    let body = json!({"callback_url": CALLBACK});
    let path = "/v1/integrations/acme/oauth/initiate";
    let started = server.post(path).key(&bob).json(&body).send().await.is(200).json();
    server.complete_acme(&bob, started["state_token"].as_str().unwrap()).await.is(200);
    let mine = server.connect_acme(&[]).await.is(200);
    assert_eq!(server.delete_acme(&mine).await, json!(true));
}

#[tokio::test]
async fn per_token_revocation_sends_the_refresh_token_first() {
    let acme = Recording::start().await;
    let server = acme.server(&revoking("token")).await;
    acme.says("/token", &json!({"access_token": "at", "refresh_token": "rt", "token_type": "bearer"}));
    acme.says("/revoke", &json!({}));
    let first = server.connect_acme(&[]).await.is(200);
    server.connect_acme(&[]).await.is(200);
    assert_eq!(server.delete_acme(&first).await, json!(true));
    let sent: Vec<_> = acme.asked("/revoke").iter().map(|asked| asked.param("token").unwrap()).collect();
    assert_eq!(sent, ["rt", "at"]);
    assert_eq!(acme.asked("/revoke")[0].basic().as_deref(), Some("my+id:s%2Bc%2Fr"));
}

#[tokio::test]
async fn refused_revocation_is_false_and_impossible_is_null() {
    let acme = Recording::start().await;
    let server = acme.server(&revoking("token")).await;
    for (status, revoked) in [("400 Bad Request", false), ("503 Service Unavailable", false), ("200 OK", true)] {
        acme.answers_with("/revoke", status, "application/json", r#"{"error_description":"x"}"#);
        let connected = server.connect_acme(&[]).await.is(200);
        assert_eq!(server.delete_acme(&connected).await, json!(revoked), "{status}");
    }
    let without = acme.server("").await;
    let connected = without.connect_acme(&[]).await.is(200);
    assert_eq!(without.delete_acme(&connected).await, Value::Null);
}

#[tokio::test]
async fn credential_of_a_removed_provider_can_be_deleted() {
    let acme = Recording::start().await;
    let before = acme.server(&revoking("token")).await;
    let connected = before.connect_acme(&[]).await.is(200);
    let after = Server::with(Setup { vault: Some(before.vault.clone()), ..Setup::default() }).await;
    assert_eq!(after.list().await[0]["provider"], "acme");
    let of_provider = after.get("/v1/integrations/acme/credentials").key(&after.key).send().await.is(200).json();
    assert_eq!(of_provider.as_array().unwrap().len(), 1);
    assert_eq!(after.delete_acme(&connected).await, Value::Null);
    assert_eq!(after.list().await, json!([]));
    assert!(acme.asked("/revoke").is_empty());
}

#[tokio::test]
async fn login_of_a_removed_provider_is_not_configured() {
    let acme = Recording::start().await;
    let before = acme.server(&revoking("token")).await;
    let started = before.initiate_with("acme", &json!({"callback_url": CALLBACK})).await;
    let after = Server::with(Setup { vault: Some(before.vault.clone()), ..Setup::default() }).await;
    let reply = after.complete_acme(&after.key, &started.state).await.is(501);
    assert_eq!(reply.detail()["message"], "Integration with provider 'acme' is not configured.");
    assert!(acme.asked("/token").is_empty());
}

// docs/standards.md: 15.
#[tokio::test]
async fn state_lives_as_long_as_configured() {
    let acme = Recording::start().await;
    let setup = Setup { config: "[oauth]\nstate_ttl = \"90s\"".to_owned(), ..Setup::default() };
    let server = acme.server_with("", "client_id = \"c\"\nclient_secret = \"s\"", setup).await;
    let body = json!({"callback_url": CALLBACK});
    let [good, late] = [server.initiate_with("acme", &body).await, server.initiate_with("acme", &body).await];
    assert_eq!(good.expires_at, server.clock.now().0 + 90);
    server.clock.advance(Duration::from_secs(89));
    server.complete_acme(&server.key, &good.state).await.is(200);
    server.clock.advance(Duration::from_secs(1));
    server.complete_acme(&server.key, &late.state).await.is(400);
}

#[tokio::test]
async fn any_key_of_the_same_user_may_complete() {
    let acme = Recording::start().await;
    let server = acme.server("").await;
    let service = server.service_key(&[]).await;
    let started = server.initiate_with("acme", &json!({"callback_url": CALLBACK})).await;
    let body = json!({"code": "c", "state_token": started.state});
    let ask = |user: &str| {
        let ask = server.post("/v1/integrations/acme/oauth/complete").key(&service).json(&body);
        ask.header("Strongroom-User", user).send()
    };
    ask("bob").await.is(400);
    ask("alice").await.is(200);
    assert_eq!(acme.asked("/token").len(), 1, "bob's try took nothing and sent nothing");
}

#[tokio::test]
async fn state_of_another_server_is_unknown() {
    let acme = Recording::start().await;
    let [one, other] = [acme.server("").await, acme.server("").await];
    let started = one.initiate_with("acme", &json!({"callback_url": CALLBACK})).await;
    other.complete_acme(&other.key, &started.state).await.is(400);
    one.complete_acme(&other.key, &started.state).await.is(401);
    one.complete_acme(&one.key, &started.state).await.is(200);
}

#[tokio::test]
async fn state_metadata_is_returned_unchanged() {
    let acme = Recording::start().await;
    let server = acme.server("").await;
    let given = json!({"b": [1, 2.5, 202.648_927_362_717_22, 9_007_199_254_740_993_u64, null, true, "é\u{0}"], "a": {"": {}}, "state": "x"});
    let started = server.initiate_with("acme", &json!({"callback_url": CALLBACK, "state_metadata": given})).await;
    let completed = server.complete_acme(&server.key, &started.state).await.is(200).json();
    assert_eq!(completed["state_metadata"], given);
    assert!(!started.login_url.contains('é'));
}

#[tokio::test]
async fn iss_is_ignored_without_an_issuer_unless_required() {
    let acme = Recording::start().await;
    let complete = async |server: &Server, params: Option<Value>| {
        let state = server.initiate_with("acme", &json!({"callback_url": CALLBACK})).await.state;
        let mut body = json!({"code": "c", "state_token": state});
        if let Some(params) = params {
            body["callback_params"] = params;
        }
        server.post("/v1/integrations/acme/oauth/complete").key(&server.key).json(&body).send().await.status
    };
    let unknown = acme.server("").await;
    assert_eq!(complete(&unknown, Some(json!({"iss": "https://anybody.example"}))).await, 200);
    let known = "issuer = \"BASE\"\nannounces_iss = true";
    let lenient = acme.server(known).await;
    assert_eq!(complete(&lenient, None).await, 200);
    assert_eq!(complete(&lenient, Some(json!({}))).await, 400);
    let setup = Setup { config: "[oauth]\nrequire_iss = true".to_owned(), ..Setup::default() };
    let strict = acme.server_with(known, "client_id = \"c\"\nclient_secret = \"s\"", setup).await;
    assert_eq!(complete(&strict, None).await, 400);
    assert_eq!(complete(&strict, Some(json!({"iss": acme.base}))).await, 200);
}

#[tokio::test]
async fn reconnect_needs_the_users_own_oauth_credential() {
    let acme = Recording::start().await;
    let server = acme.server("revoke = { url = \"BASE/revoke\" }").await;
    let id = server.connect_acme(&[]).await.is(200).json()["credentials_id"].as_str().unwrap().to_owned();
    let key = server.create_api_key_credential("openai").await;
    let bob = server.key_of("bob").await;
    let ask = |key: &str, id: &str| {
        let body = json!({"callback_url": CALLBACK, "credential_id": id});
        server.post("/v1/integrations/acme/oauth/initiate").key(key).json(&body).send()
    };
    assert_eq!(ask(&bob, &id).await.is(404).detail(), "Credentials not found");
    assert_eq!(ask(&server.key, &id.to_uppercase()).await.is(404).detail(), "Credentials not found");
    assert_eq!(ask(&server.key, &key).await.is(404).detail(), "Credentials do not match the specified provider");
    let state = ask(&server.key, &id).await.is(200).json()["state_token"].as_str().unwrap().to_owned();
    assert_eq!(server.complete_acme(&server.key, &state).await.is(200).json()["credentials_id"], id.as_str());
    assert!(acme.asked("/revoke").is_empty(), "a reconnect revokes nothing where a revocation ends the grant");
}

#[tokio::test]
async fn delete_revokes_even_if_the_caller_hangs_up() {
    let server = Server::start().await;
    let id = server.connect("sandbox").await;
    let mut raw = server.raw().await;
    let path = format!("/v1/integrations/sandbox/credentials/{id}");
    raw.send(format!("DELETE {path} HTTP/1.1\r\nHost: x\r\nX-API-Key: {}\r\n\r\n", server.key)).await;
    drop(raw);
    crate::support::eventually("the grant is dead", async || server.sandbox.live_grants() == 0).await;
    assert_eq!(server.list().await, json!([]));
}
