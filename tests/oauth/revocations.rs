//! The revocation queue from outside: what a provider did not confirm is seen, tried again, and one day given up.

use std::time::Duration;

use crate::support::flow::CALLBACK;
use crate::support::process::{Installation, Process, sandbox, sandbox_settings};
use crate::support::provider::recording::Recording;
use crate::support::{Server, Setup, eventually};
use http::Method;
use serde_json::{Value, json};
use strongroom::permission::Permission;
use strongroom::sandbox::{Conduct, SandboxEndpoint};

const PATH: &str = "/v1/revocations";
const CLIENT: &str = "client_id = \"my id\"\nclient_secret = \"the client's own secret\"";
const REVOKE: &str = "revoke = { url = \"BASE/revoke\", ends = \"token\" }";

/// The whole queue.
async fn queue(server: &Server) -> Vec<Value> {
    let admin = server.service_key_with(&[], &[Permission::Admin]).await;
    server.get(PATH).key(&admin).send().await.is(200).json().as_array().unwrap().clone()
}

/// Connects as `key` and deletes again; gives the credential's id and what came of the revocation.
async fn connect_and_delete(server: &Server, key: &str) -> (String, Value) {
    let body = json!({"callback_url": CALLBACK});
    let started = server.post("/v1/integrations/acme/oauth/initiate").key(key).json(&body).send().await.is(200).json();
    let completed = server.complete_acme(key, started["state_token"].as_str().unwrap()).await.is(200).json();
    let id = completed["credentials_id"].as_str().unwrap().to_owned();
    let path = format!("/v1/integrations/acme/credentials/{id}");
    let deleted = server.delete(&path).key(key).send().await.is(200).json();
    (id, deleted["revoked"].clone())
}

// docs/standards.md: 30.
#[tokio::test]
async fn unconfirmed_revocation_survives_a_restart() {
    let acme = Recording::start().await;
    acme.says("/token", &json!({"access_token": "at-s3cr3t", "refresh_token": "rt-s3cr3t", "token_type": "bearer"}));
    let echo = "{\"error\":\"down: at-s3cr3t rt-s3cr3t\\u0007\"}";
    acme.answers_with("/revoke", "503 Service Unavailable", "application/json", echo);
    let server = acme.server_with(REVOKE, CLIENT, Setup::default()).await;
    let (id, revoked) = connect_and_delete(&server, &server.key).await;
    assert_eq!((revoked, server.list().await), (json!(false), json!([])));
    let waiting = queue(&server).await;
    let (now, row) = (server.clock.now().0, &waiting[0]);
    let expected = json!({
        "id": row["id"], "user": "alice", "provider": "acme", "credential_id": id, "attempts": 1,
        "last_error": "the revocation endpoint answered with status 503: down: [masked] [masked]",
        "next_attempt_at": now + 30, "give_up_at": now + 7 * 86_400,
    });
    assert_eq!(waiting, [expected]);

    let (vault, clock, _folder) = (server.vault.clone(), server.clock.clone(), server.folder.clone());
    drop(server);
    let again = Setup { vault: Some(vault), clock: Some(clock), ..Setup::default() };
    let server = acme.server_with(REVOKE, CLIENT, again).await;
    let sent = acme.asked("/revoke").len();
    server.broker.housekeeping_round().await;
    assert_eq!(acme.asked("/revoke").len(), sent, "its time has not come");
    acme.says("/revoke", &json!({}));
    server.clock.advance(Duration::from_secs(31));
    server.broker.housekeeping_round().await;
    assert_eq!(queue(&server).await, Vec::<Value>::new());
    let tokens: Vec<_> = acme.asked("/revoke")[sent..].iter().map(|asked| asked.param("token").unwrap()).collect();
    assert_eq!(tokens, ["rt-s3cr3t", "at-s3cr3t"], "the refresh token first, then the access token");
    assert_eq!(acme.asked("/revoke")[sent].param("token_type_hint").as_deref(), Some("refresh_token"));
}

// docs/standards.md: 29.
#[tokio::test]
async fn unknown_token_is_success_and_503_is_queued() {
    let acme = Recording::start().await;
    let server = acme.server_with(REVOKE, CLIENT, Setup::default()).await;
    for (status, body, confirmed, reason) in [
        ("200 OK", "", true, ""),
        ("200 OK", "<html>", true, ""),
        ("503 Service Unavailable", "", false, "status 503"),
        ("429 Too Many Requests", "", false, "status 429"),
        ("401 Unauthorized", r#"{"error":"invalid_client"}"#, false, "status 401: invalid_client"),
        ("200 OK", r#"{"error":"not_today"}"#, false, "status 200: not_today"),
        ("302 Found", "", false, "status 302"),
    ] {
        let before = queue(&server).await.len();
        acme.answers_with("/revoke", status, "application/json", body);
        let (id, revoked) = connect_and_delete(&server, &server.key).await;
        assert_eq!(revoked, json!(confirmed), "{status} {body}");
        let waiting = queue(&server).await;
        assert_eq!(waiting.len(), before + usize::from(!confirmed));
        if !confirmed {
            let row = waiting.iter().find(|row| row["credential_id"] == id.as_str()).unwrap();
            assert!(row["last_error"].as_str().unwrap().ends_with(reason), "{row}");
        }
    }
}

#[tokio::test]
async fn retries_back_off_and_end() {
    let acme = Recording::start().await;
    acme.answers_with("/revoke", "503 Service Unavailable", "text/plain", "");
    let setup = Setup { config: "[vault]\nrevoke_retry = \"24h\"".to_owned(), ..Setup::default() };
    let server = acme.server_with(REVOKE, CLIENT, setup).await;
    connect_and_delete(&server, &server.key).await;
    let end = server.clock.now().0 + 86_400;
    let mut waits = Vec::new();
    let sent = loop {
        let next = queue(&server).await[0]["next_attempt_at"].as_i64().unwrap();
        let (wait, sent) = (next - server.clock.now().0, acme.asked("/revoke").len());
        waits.push(wait);
        if next >= end {
            break sent;
        }
        for (moved, expected) in [(wait - 1, sent), (1, sent + 1)] {
            server.clock.advance(Duration::from_secs(moved.unsigned_abs()));
            server.broker.housekeeping_round().await;
            assert_eq!(acme.asked("/revoke").len(), expected);
        }
    };
    let doubled: Vec<i64> = (0..10).map(|n| 30 << n).collect();
    assert_eq!(waits, [doubled, vec![21_600; 3]].concat(), "30 s, doubled each time, up to six hours");
    acme.says("/revoke", &json!({}));
    server.clock.advance(Duration::from_secs(end.abs_diff(server.clock.now().0)));
    server.broker.housekeeping_round().await;
    assert_eq!(queue(&server).await, Vec::<Value>::new());
    assert_eq!(acme.asked("/revoke").len(), sent, "its time was up: nothing is sent, and the tokens are gone");
}

#[tokio::test]
async fn revocation_from_a_wrong_clock_ends_in_time() {
    const HALF_AN_HOUR: u64 = 1_800;
    let acme = Recording::start().await;
    acme.answers_with("/revoke", "503 Service Unavailable", "text/plain", "");
    let setup = Setup { config: "[vault]\nrevoke_retry = \"24h\"".to_owned(), ..Setup::default() };
    let server = acme.server_with(REVOKE, CLIENT, setup).await;
    let right = server.clock.now();
    server.clock.advance(Duration::from_secs(10 * 365 * 86_400));
    connect_and_delete(&server, &server.key).await;
    server.clock.set(right);
    let mut passed = 0;
    while !queue(&server).await.is_empty() {
        server.clock.advance(Duration::from_secs(HALF_AN_HOUR));
        passed += HALF_AN_HOUR;
        server.broker.housekeeping_round().await;
        assert!(passed < 36 * 3_600, "it is still there");
    }
    assert!(passed > 20 * 3_600, "after {passed} s: it has its time before it is given up");
}

#[tokio::test]
async fn hanging_provider_delays_no_other() {
    let acme = Recording::start().await;
    acme.answers_with("/revoke", "503 Service Unavailable", "text/plain", "");
    let server = acme.server_with(REVOKE, CLIENT, Setup::default()).await;
    let first = server.connect("sandbox").await;
    server.sandbox.conduct(SandboxEndpoint::Revoke, Conduct::Down);
    let path = format!("/v1/integrations/sandbox/credentials/{first}");
    assert_eq!(server.delete(&path).key(&server.key).send().await.is(200).json()["revoked"], false);
    server.clock.advance(Duration::from_secs(1));
    connect_and_delete(&server, &server.key).await;
    server.sandbox.conduct(SandboxEndpoint::Revoke, Conduct::Held);
    acme.says("/revoke", &json!({}));
    server.clock.advance(Duration::from_secs(60));
    let broker = server.broker.clone();
    let pass = tokio::spawn(async move { broker.housekeeping_round().await });
    eventually("acme has confirmed", async || queue(&server).await.len() == 1).await;
    assert_eq!(queue(&server).await[0]["provider"], "sandbox");
    assert!(!pass.is_finished(), "the sandbox hangs still");
    server.sandbox.conduct(SandboxEndpoint::Revoke, Conduct::Normal);
    pass.await.unwrap();
    assert_eq!(queue(&server).await, Vec::<Value>::new());
}

#[tokio::test]
async fn key_sees_the_queue_of_its_users() {
    let acme = Recording::start().await;
    acme.answers_with("/revoke", "503 Service Unavailable", "text/plain", "");
    let server = acme.server_with(REVOKE, CLIENT, Setup::default()).await;
    let mut ids = Vec::new();
    for user in ["alice", "bob", "alice", "team-a-1"] {
        let key = server.key_of(user).await;
        ids.push(connect_and_delete(&server, &key).await.0);
    }
    let admin = [Permission::Admin];
    let [own, all, team] = [
        server.key_with(&admin).await,
        server.service_key_with(&[], &admin).await,
        server.service_key_with(&["team-*"], &admin).await,
    ];
    let seen = async |key: &str, query: &str, user: Option<&str>| {
        let ask = server.get(&format!("{PATH}{query}")).key(key);
        let ask = match user {
            Some(user) => ask.header("Strongroom-User", user),
            None => ask,
        };
        let reply = ask.send().await;
        if reply.status != 200 {
            return (json!(reply.status), None);
        }
        let ids: Vec<Value> = reply.json().as_array().unwrap().iter().map(|row| row["credential_id"].clone()).collect();
        (json!(ids), reply.header("Link").map(str::to_owned))
    };
    assert_eq!(seen(&all, "", None).await, (json!(ids), None));
    assert_eq!(seen(&own, "", None).await, (json!([ids[0], ids[2]]), None));
    assert_eq!(seen(&all, "", Some("bob")).await, (json!([ids[1]]), None));
    assert_eq!(seen(&team, "", None).await, (json!([ids[3]]), None));
    assert_eq!(seen(&team, "", Some("bob")).await.0, 403);
    assert_eq!(seen(&own, "", Some("alice")).await.0, 403, "a key of one user names none");
    assert_eq!(seen(&server.key, "", None).await.0, 403, "everything but ADMIN is not ADMIN");
    let (page, link) = seen(&all, "?limit=3", None).await;
    assert_eq!(page, json!(ids[..3]));
    let more = format!("<{PATH}?limit=3&after={}>; rel=\"next\"", ids[2]);
    assert_eq!(link, Some(more));
    assert_eq!(seen(&all, &format!("?limit=3&after={}", ids[2]), None).await, (json!([ids[3]]), None));
    assert_eq!(seen(&own, "?limit=2", None).await, (json!([ids[0], ids[2]]), None), "what is not seen is not behind");
    assert_eq!(seen(&all, "?limit=0", None).await.0, 422);
}

#[tokio::test(flavor = "multi_thread")]
async fn operator_sees_the_queue_and_may_retry_at_once() {
    let sandbox = sandbox().await;
    let settings = sandbox_settings(&sandbox);
    let installation = Installation::new(&settings).await;
    let key = installation.key("alice");
    let server = installation.serve().await;
    let delete = async |server: &Process| {
        let id = server.connect_sandbox(&key).await;
        let path = format!("/v1/integrations/sandbox/credentials/{id}");
        (server.ask(Method::DELETE, &path).key(&key).send().await.is(200).json()["revoked"].clone(), id)
    };
    sandbox.conduct(SandboxEndpoint::Revoke, Conduct::Down);
    let (revoked, id) = delete(&server).await;
    assert_eq!(revoked, false);
    server.kill();
    let queue = |arguments: &[&str]| {
        let command = [&["credential", "revocations", "--json"], arguments].concat();
        installation.run(&command).must_succeed().json()
    };
    let waiting = queue(&[]);
    assert_eq!((&waiting[0]["credential_id"], &waiting[0]["attempts"]), (&json!(id), &json!(1)));
    assert_eq!((queue(&["--user", "alice"]), queue(&["--user", "bob"])), (waiting, json!([])));
    let doctor = || installation.run(&["doctor"]).stdout();
    assert!(!doctor().contains("queued revocations"), "one failure is no reason to worry");
    for attempts in 2..=3 {
        assert_eq!(queue(&["--retry"])[0]["attempts"], attempts);
    }
    let said = doctor();
    assert!(said.contains("1 of 1 queued revocations keep failing"), "{said}");
    assert!(said.contains("at sandbox, after 3 attempts: the revocation endpoint answered with status 503"), "{said}");
    let table = installation.run(&["credential", "revocations"]).must_succeed().stdout();
    assert!(table.contains(&id) && table.lines().count() == 2, "{table}");

    let server = installation.serve().await;
    sandbox.conduct(SandboxEndpoint::Revoke, Conduct::Normal);
    let retried = installation.run(&["credential", "revocations", "--retry"]).must_succeed();
    assert!(retried.stderr().contains("revocations confirmed: 1"), "{}", retried.stderr());
    assert_eq!((queue(&[]), sandbox.live_grants()), (json!([]), 0));
    assert_eq!((installation.audited("revocation.finish"), installation.audited("revocation.give_up")), (1, 0));

    // With no time at all to try again, what failed is given up when the server next looks.
    assert!(server.stop().success());
    let file = installation.path("strongroom.toml");
    let config = std::fs::read_to_string(&file).unwrap().replace("[vault]", "[vault]\nrevoke_retry = \"0s\"");
    std::fs::write(&file, config).unwrap();
    sandbox.conduct(SandboxEndpoint::Revoke, Conduct::Down);
    let server = installation.serve().await;
    assert_eq!(delete(&server).await.0, false);
    server.kill();
    let server = installation.serve().await;
    eventually("it is given up", async || installation.audited("revocation.give_up") == 1).await;
    assert_eq!(queue(&[]), json!([]));
    eventually("the log says so", async || {
        server.log().contains("gave up a revocation that the provider never confirmed")
    })
    .await;
}
