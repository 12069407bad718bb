//! Two tokens out of one answer, as Slack gives a bot's and a user's: two credentials, each with a life of its own.

use crate::support::flow::CALLBACK;
use crate::support::http::Reply;
use crate::support::provider::recording::Recording;
use crate::support::{Server, Setup};
use serde_json::{Value, json};
use strongroom::broker::ImportOptions;
use strongroom::id::UserId;
use strongroom::secret::Secret;
use strongroom::vault::{AuditContext, read_export};

const ENTRY: &str = r#"token_type = "bearer"
scope_separator = ","
refresh = { rotates = true }
further_tokens = { user = { path = "/authed_user", scope_param = "user_scope", account = "/authed_user/id" } }
identity = { url = "BASE/me", username = "/user", title = "/team", account = "/team_id" }
revoke = { url = "BASE/revoke", auth = "bearer", body = "none", tokens = ["access"], hint = false }"#;

/// The token response if `user` granted both tokens.
fn both(user: &str, serial: u32) -> Value {
    json!({
        "ok": true, "access_token": format!("bot-{serial}"), "token_type": "bot", "scope": "chat:write",
        "refresh_token": format!("bot-r{serial}"), "expires_in": 43_200,
        "authed_user": {
            "id": user, "access_token": format!("user-{serial}"), "token_type": "user", "scope": "search:read",
            "refresh_token": format!("user-r{serial}"), "expires_in": 600,
        },
    })
}

async fn provider() -> (Recording, Server) {
    let acme = Recording::start().await;
    acme.says("/token", &both("U1", 1));
    acme.says("/me", &json!({"user": "ann", "team": "Team", "team_id": "T1"}));
    acme.says("/revoke", &json!({"ok": true}));
    let server = acme.server(ENTRY).await;
    (acme, server)
}

async fn log_in(server: &Server, more: &Value) -> Reply {
    let mut body = json!({"callback_url": CALLBACK, "scopes": ["chat:write"], "further_scopes": {"user": ["search:read", "users:read"]}});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let started = server.initiate_with("acme", &body).await;
    server.complete_acme(&server.key, &started.state).await
}

async fn ask(server: &Server, method: http::Method, id: &Value, rest: &str) -> Reply {
    let path = format!("/v1/integrations/acme/credentials/{}{rest}", id.as_str().unwrap());
    server.ask(method, &path).key(&server.key).send().await
}

async fn live(server: &Server, id: &Value) -> Value {
    ask(server, http::Method::GET, id, "/token").await.is(200).json()["access_token"].clone()
}

async fn listed(server: &Server) -> usize {
    server.get("/v1/integrations/credentials").key(&server.key).send().await.is(200).json().as_array().unwrap().len()
}

#[tokio::test]
async fn one_complete_stores_two_independent_credentials() {
    let (acme, server) = provider().await;
    let done = log_in(&server, &json!({})).await.is(200).json();
    let (bot, further) = (&done["credentials_id"], &done["further_credentials"][0]);
    let user = &further["credentials_id"];
    assert_eq!((&done["title"], &done["scopes"]), (&json!("Team"), &json!(["chat:write"])));
    let told = json!({
        "name": "user", "credentials_id": user, "title": "Team (user)", "scopes": ["search:read"], "username": "ann",
        "missing_scopes": ["users:read"],
    });
    assert_eq!(*further, told);
    assert_eq!(listed(&server).await, 2);
    assert_eq!((live(&server, bot).await, live(&server, user).await), (json!("bot-1"), json!("user-1")));
    let detail = ask(&server, http::Method::GET, user, "").await.is(200).json();
    assert_eq!(detail["beside"], json!({"credentials_id": bot, "name": "user"}));
    assert_eq!(ask(&server, http::Method::GET, bot, "").await.is(200).json()["beside"], Value::Null);

    // The user's ends first; its refresh is answered at the top, and leaves the bot's alone.
    server.clock.advance(std::time::Duration::from_secs(601));
    let fresh = json!({"ok": true, "access_token": "user-2", "token_type": "user", "refresh_token": "user-r2", "expires_in": 600});
    acme.says("/token", &fresh);
    assert_eq!((live(&server, user).await, live(&server, bot).await), (json!("user-2"), json!("bot-1")));
    assert_eq!(acme.asked("/token").last().unwrap().param("refresh_token").as_deref(), Some("user-r1"));
    ask(&server, http::Method::POST, user, "/refresh").await.is(200);
    assert_eq!(acme.asked("/token").last().unwrap().param("refresh_token").as_deref(), Some("user-r2"));

    // One of them dies at the provider; the other lives.
    acme.says("/token", &json!({"ok": false, "error": "invalid_grant"}));
    ask(&server, http::Method::POST, user, "/refresh").await.is(409);
    assert_eq!(ask(&server, http::Method::GET, user, "").await.json()["status"], "needs_reauth");
    assert_eq!(live(&server, bot).await, "bot-1");
    assert_eq!(ask(&server, http::Method::DELETE, bot, "").await.is(200).json()["revoked"], true);
    assert_eq!(acme.asked("/revoke")[0].header("authorization").as_deref(), Some("Bearer bot-1"));
    assert_eq!(ask(&server, http::Method::DELETE, user, "").await.is(200).json()["revoked"], true);
    assert_eq!(acme.asked("/revoke")[1].header("authorization").as_deref(), Some("Bearer user-2"));
}

#[tokio::test]
async fn each_tokens_scopes_have_their_own_parameter() {
    let (_acme, server) = provider().await;
    let url = async |body: Value| server.initiate_with("acme", &body).await.login_url;
    let both = url(
        json!({"callback_url": CALLBACK, "scopes": ["a", "b"], "further_scopes": {"user": ["c", "d", "c"], "unknown": ["e"]}}),
    );
    let both = both.await;
    assert!(both.contains("&scope=a%2Cb&") && both.contains("&user_scope=c%2Cd&"), "{both}");
    assert!(!both.contains("unknown") && !both.contains("%2Ce"), "{both}");
    let first = url(json!({"callback_url": CALLBACK, "scopes": ["a"]})).await;
    assert!(!first.contains("user_scope"), "{first}");
    let wrong = json!({"callback_url": CALLBACK, "further_scopes": {"user": "c"}});
    let refused =
        server.post("/v1/integrations/acme/oauth/initiate").key(&server.key).json(&wrong).send().await.is(422);
    assert_eq!(refused.detail()[0]["loc"][1], "further_scopes");
}

#[tokio::test]
async fn login_with_one_token_stores_one_credential() {
    let (acme, server) = provider().await;
    for authed_user in [json!({"id": "U1"}), json!({"id": "U1", "access_token": ""}), Value::Null] {
        let mut answer = both("U1", 1);
        answer["authed_user"] = authed_user;
        acme.says("/token", &answer);
        let done = log_in(&server, &json!({})).await.is(200).json();
        assert_eq!(done.get("further_credentials"), None, "{done}");
    }
    assert_eq!(listed(&server).await, 3);
    let mut answer = both("U1", 1);
    answer["authed_user"]["access_token"] = json!("two words");
    acme.says("/token", &answer);
    log_in(&server, &json!({})).await.is(502);
    answer["authed_user"]["access_token"] = json!("echoed-in-a-scope");
    answer["scope"] = json!("chat:write echoed-in-a-scope");
    acme.says("/token", &answer);
    log_in(&server, &json!({})).await.is(502);
    assert_eq!(listed(&server).await, 3, "what cannot be used is not kept in part");
}

#[tokio::test]
async fn reconnect_of_either_keeps_both_ids() {
    let (acme, server) = provider().await;
    let done = log_in(&server, &json!({})).await.is(200).json();
    let (bot, user) = (&done["credentials_id"], &done["further_credentials"][0]["credentials_id"]);
    for (serial, again) in [(2, bot), (3, user)] {
        acme.says("/token", &both("U1", serial));
        let body = json!({"callback_url": CALLBACK, "scopes": ["more"], "credential_id": again});
        let started = server.initiate_with("acme", &body).await;
        assert!(started.login_url.contains("scope=more%2Cchat%3Awrite&"), "{}", started.login_url);
        assert!(started.login_url.contains("user_scope=search%3Aread&"), "{}", started.login_url);
        let replaced = server.complete_acme(&server.key, &started.state).await.is(200).json();
        assert_eq!((&replaced["credentials_id"], &replaced["further_credentials"][0]["credentials_id"]), (bot, user));
        assert_eq!(live(&server, bot).await, format!("bot-{serial}"));
        assert_eq!(live(&server, user).await, format!("user-{serial}"));
    }
    acme.says("/token", &both("U2", 4));
    log_in(&server, &json!({"credential_id": bot})).await.is(400);
    assert_eq!((live(&server, bot).await, live(&server, user).await), (json!("bot-3"), json!("user-3")));
    assert_eq!(listed(&server).await, 2);
    log_in(&server, &json!({"credential_id": bot, "allow_account_change": true})).await.is(200);
    assert_eq!((live(&server, bot).await, live(&server, user).await), (json!("bot-4"), json!("user-4")));

    // A deleted first credential is stored again beside the second.
    ask(&server, http::Method::DELETE, bot, "").await.is(200);
    acme.says("/token", &both("U2", 5));
    let anew = log_in(&server, &json!({"credential_id": user})).await.is(200).json();
    assert_ne!(anew["credentials_id"], *bot);
    assert_eq!(anew["further_credentials"][0]["credentials_id"], *user);
    assert_eq!(listed(&server).await, 2);
}

#[tokio::test]
async fn device_login_stores_two_credentials_too() {
    let acme = Recording::start().await;
    acme.says("/token", &both("U1", 1));
    acme.says("/me", &json!({"user": "ann", "team": "Team", "team_id": "T1"}));
    let codes = json!({
        "device_code": "d", "user_code": "ABCD", "verification_uri": "https://acme.example/d", "expires_in": 600, "interval": 5,
    });
    acme.says("/device", &codes);
    let entry = format!("{ENTRY}\ndevice_authorization_url = \"BASE/device\"");
    let setup = Setup { config: "[oauth]\ndevice = true".to_owned(), ..Setup::default() };
    let server = acme.server_with(&entry, "client_id = \"id\"\nclient_secret = \"s\"", setup).await;
    let post = async |rest: &str, body: Value| {
        let path = format!("/v1/integrations/acme/oauth/device/{rest}");
        server.post(&path).key(&server.key).json(&body).send().await.is(200).json()
    };
    let wanted = json!({"scopes": ["chat:write"], "further_scopes": {"user": ["search:read", "users:read"]}});
    let begun = post("initiate", wanted).await;
    let asked = acme.asked("/device");
    assert_eq!(asked[0].param("scope").as_deref(), Some("chat:write"));
    assert_eq!(asked[0].param("user_scope").as_deref(), Some("search:read,users:read"));
    server.clock.advance(std::time::Duration::from_secs(5));
    let done = post("poll", json!({"device_token": begun["device_token"]})).await;
    let further = &done["further_credentials"][0];
    assert_eq!((&further["name"], &further["missing_scopes"]), (&json!("user"), &json!(["users:read"])));
    assert_eq!(live(&server, &done["credentials_id"]).await, "bot-1");
    assert_eq!(live(&server, &further["credentials_id"]).await, "user-1");
}

#[tokio::test]
async fn paired_credentials_stay_together_under_new_ids() {
    let (_acme, server) = provider().await;
    log_in(&server, &json!({})).await.is(200);
    let (who, passphrase) = (AuditContext::command_line(), Secret::new("correct horse battery"));
    let admin = server.broker.admin(who.clone());
    let owner = admin.users().unwrap().into_iter().find(|user| user.credentials == 2).unwrap().id;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("one.export");
    server.broker.export(&file, &passphrase, Some(owner), None, &who).await.unwrap();
    let file = std::fs::read(file).unwrap();
    for (user, reversed) in [("bob", false), ("carol", true)] {
        let user: UserId = user.parse().unwrap();
        let mut records = read_export(&file, &passphrase).unwrap();
        if reversed {
            records.reverse();
        }
        let order: Vec<_> = records.iter().map(|one| one.as_ref().unwrap().summary.id.to_string()).collect();
        let options = ImportOptions { user: Some(user.clone()), ..ImportOptions::default() };
        let report = server.broker.import_records(records, &options, &who).await;
        let told: Vec<_> = report.items.iter().map(|item| item.source_id.clone()).collect();
        assert_eq!((report.imported, told), (2, order), "in the order of the file");
        let (there, damaged) = admin.credentials(Some(user), None).unwrap();
        assert!(damaged.is_empty());
        let first = there.iter().find(|one| one.credential.beside.is_none()).unwrap();
        let further = there.iter().find_map(|one| one.credential.beside.as_ref()).unwrap();
        assert_eq!((further.credentials_id, further.name.as_str()), (first.credential.summary.id, "user"));
    }
}

/// Both are found behind more credentials than are opened at once.
#[tokio::test]
async fn reconnect_finds_both_among_many() {
    let (acme, server) = provider().await;
    for _ in 0..110 {
        log_in(&server, &json!({})).await.is(200);
    }
    let done = log_in(&server, &json!({})).await.is(200).json();
    let (bot, user) = (&done["credentials_id"], &done["further_credentials"][0]["credentials_id"]);
    acme.says("/token", &both("U1", 2));
    let again = log_in(&server, &json!({"credential_id": user})).await.is(200).json();
    assert_eq!((&again["credentials_id"], &again["further_credentials"][0]["credentials_id"]), (bot, user));
    assert_eq!(live(&server, user).await, "user-2");
    assert_eq!(listed(&server).await, 222);
    let limited = server.limited_key("alice", &[], &[bot.as_str().unwrap(), user.as_str().unwrap()]).await;
    let body = json!({"callback_url": CALLBACK, "credential_id": user});
    server.post("/v1/integrations/acme/oauth/initiate").key(&limited).json(&body).send().await.is(200);
}
