//! A provider that means harm, seen from outside: whatever it answers, wherever it is asked, there is one clear error, within
//! the caps, with memory flat, and nothing of its own in an answer or in the log.

use std::fmt::Write as _;

use crate::support::campaign;
use crate::support::flow::CALLBACK;
use crate::support::http::Reply;
use crate::support::process::{Installation, Process};
use crate::support::provider::acme::{ACCESS_TOKEN, REFRESH_TOKEN, SECRETS, behave, settings, tokens, unspoilt};
use crate::support::provider::hostile::{Hostile, Step, answer};
use crate::support::provider::misbehaviours::{CLIENT_SECRET, CODE, Misbehaviour, Outcome, PLANTED, instant};
use http::Method;
use serde_json::{Value, json};

const PREFIX: &str = "OAuth2 callback failed to exchange code for tokens: ";

/// The real program, its provider `acme`, and a server that no redirect may reach.
struct Bench {
    server: Process,
    key: String,
    acme: Hostile,
    elsewhere: Hostile,
    installation: Installation,
}

impl Bench {
    async fn new() -> Self {
        Self::with(|_, _| String::new()).await
    }

    /// The same, with settings for more providers.
    async fn with(more: impl Fn(&Hostile, &Hostile) -> String) -> Self {
        let (acme, elsewhere) = (Hostile::start().await, Hostile::start().await);
        let settings = settings(&acme) + &more(&acme, &elsewhere);
        let installation = Installation::new(&settings).await;
        let key = installation.key("alice");
        let server = installation.serve().await;
        behave(&acme);
        Self { server, key, acme, elsewhere, installation }
    }

    fn misbehaviours(&self) -> Vec<Misbehaviour> {
        instant(&self.acme.base, &self.elsewhere.base)
    }

    async fn initiate(&self) -> String {
        let body = json!({"callback_url": CALLBACK, "scopes": ["a"]});
        let ask = self.server.ask(Method::POST, "/v1/integrations/acme/oauth/initiate").key(&self.key);
        let started = ask.json(&body).send().await.is(200).json();
        started["state_token"].as_str().unwrap().to_owned()
    }

    async fn complete(&self, state: &str) -> Reply {
        let body = json!({"code": CODE, "state_token": state});
        let ask = self.server.ask(Method::POST, "/v1/integrations/acme/oauth/complete").key(&self.key);
        unspoilt(ask.json(&body).send().await)
    }

    /// Connects an account; gives the answer of complete.
    async fn connect(&self) -> Reply {
        self.complete(&self.initiate().await).await
    }

    async fn delete(&self, connected: &Value) -> Value {
        let path = format!("/v1/integrations/acme/credentials/{}", connected["credentials_id"].as_str().unwrap());
        unspoilt(self.server.ask(Method::DELETE, &path).key(&self.key).send().await).is(200).json()["revoked"].clone()
    }

    async fn refresh(&self, connected: &Value) -> Reply {
        let path =
            format!("/v1/integrations/acme/credentials/{}/refresh", connected["credentials_id"].as_str().unwrap());
        unspoilt(self.server.ask(Method::POST, &path).key(&self.key).send().await)
    }

    /// The one answer that may hold a token.
    async fn token(&self, connected: &Value) -> Reply {
        let path = format!("/v1/integrations/acme/credentials/{}/token", connected["credentials_id"].as_str().unwrap());
        self.server.ask(Method::GET, &path).key(&self.key).send().await
    }

    async fn list(&self) -> Value {
        let ask = self.server.ask(Method::GET, "/v1/integrations/credentials").key(&self.key);
        unspoilt(ask.send().await).is(200).json()
    }

    /// Checks the state after all requests.
    fn assert_nothing_leaked(&self) {
        let log = self.server.log();
        for secret in SECRETS {
            assert!(!log.contains(secret), "{secret} is in the log");
        }
        assert_eq!(self.elsewhere.all_asked().len(), 0, "somebody was led astray");
        for asked in self.acme.all_asked() {
            assert_eq!(asked.header("cookie"), None, "{}", asked.head);
            assert!(!asked.head.contains(PLANTED), "{}", asked.head);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_token_response_is_one_clear_error() {
    let bench = Bench::new().await;
    for case in bench.misbehaviours() {
        let name = &case.name;
        bench.acme.behaves("/token", case.steps.clone());
        let before = bench.acme.asked("/token").len();
        let state = bench.initiate().await;
        let reply = bench.complete(&state).await;
        let (status, uri) = match case.outcome {
            Outcome::Taken => (200, None),
            Outcome::Refused => (400, Some("/problems/exchange-failed")),
            Outcome::Garbage => (502, Some("/problems/provider-unavailable")),
            Outcome::Slow => (504, Some("/problems/provider-timeout")),
        };
        assert_eq!(reply.status, status, "{name}: {}", reply.text());
        let body = reply.json();
        match uri {
            None => assert_eq!(bench.delete(&body).await, true, "{name}"),
            Some(uri) => {
                let detail = body["detail"].as_str().unwrap();
                assert_eq!(body["type"], uri, "{name}");
                assert!(detail.starts_with(PREFIX) && detail.contains(case.says), "{name}: {detail}");
                assert!(reply.body.len() < 1000 && !detail.contains(['\r', '\n', '\u{1b}']), "{name}: {detail}");
            }
        }
        assert_eq!(bench.complete(&state).await.status, 400, "{name}: the state is spent");
        assert_eq!(bench.acme.asked("/token").len(), before + 1, "{name}: a code is sent once");
        assert_eq!(bench.list().await, json!([]), "{name}");
    }
    bench.assert_nothing_leaked();
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_identity_response_costs_only_the_username() {
    let bench = Bench::new().await;
    for case in bench.misbehaviours() {
        bench.acme.behaves("/me", case.steps.clone());
        let connected = bench.connect().await;
        assert_eq!(connected.status, 200, "{}: {}", case.name, connected.text());
        let connected = connected.json();
        assert_eq!((&connected["username"], &connected["title"]), (&Value::Null, &json!("Acme")), "{}", case.name);
        assert_eq!(bench.delete(&connected).await, true, "{}", case.name);
    }
    bench.assert_nothing_leaked();
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_revocation_response_confirms_or_queues() {
    let bench = Bench::new().await;
    let mut waiting = Vec::new();
    for case in bench.misbehaviours() {
        bench.acme.behaves("/revoke", case.steps.clone());
        let connected = bench.connect().await.is(200).json();
        assert_eq!(bench.delete(&connected).await, case.confirms, "{}", case.name);
        if !case.confirms {
            waiting.push((connected["credentials_id"].clone(), case.name));
        }
    }
    assert_eq!(bench.list().await, json!([]));
    let queue = bench.installation.run(&["credential", "revocations", "--json"]).must_succeed();
    assert!(SECRETS.iter().all(|secret| !queue.stdout().contains(secret)));
    let queue = queue.json();
    assert_eq!(queue.as_array().unwrap().len(), waiting.len());
    for (row, (id, name)) in queue.as_array().unwrap().iter().zip(waiting) {
        assert_eq!((&row["credential_id"], &row["attempts"]), (&id, &json!(1)), "{name}");
        let reason = row["last_error"].as_str().unwrap();
        assert!(!reason.is_empty() && reason.len() < 1000 && !reason.contains(char::is_control), "{name}: {reason}");
    }
    bench.assert_nothing_leaked();
}

// docs/standards.md: 11.
#[tokio::test(flavor = "multi_thread")]
async fn bad_refresh_response_keeps_what_is_stored() {
    let bench = Bench::new().await;
    for mut case in bench.misbehaviours() {
        let name = &case.name;
        if name == "our secrets in an error" {
            let echo =
                json!({"error": "x", "error_description": format!("{REFRESH_TOKEN} {CLIENT_SECRET} {REFRESH_TOKEN}")});
            case.steps = vec![Step::Say(answer("200 OK", "application/json", echo.to_string()))];
            case.says = "x: [masked] [masked] [masked]";
        }
        bench.acme.says("/token", &tokens());
        let connected = bench.connect().await.is(200).json();
        let stored = bench.token(&connected).await.is(200).json();
        assert_eq!((&stored["access_token"], &stored["scopes"]), (&json!(ACCESS_TOKEN), &json!(["a"])));
        let before = bench.acme.asked("/token").len();
        bench.acme.behaves("/token", case.steps.clone());
        let reply = bench.refresh(&connected).await;
        assert_eq!(bench.acme.asked("/token").len(), before + 1, "{name}: a refresh token is sent once");
        let is_dead = case.says.contains("invalid_grant");
        match case.outcome {
            Outcome::Taken => assert_eq!(reply.status, 200, "{name}: {}", reply.text()),
            Outcome::Refused if is_dead => assert_eq!(reply.status, 409, "{name}: {}", reply.text()),
            // A gateway of theirs that waited in vain, said on.
            _ if name == "504 Slow" => assert_eq!(reply.status, 504, "{name}: {}", reply.text()),
            _ => assert_eq!(reply.status, 502, "{name}: {}", reply.text()),
        }
        if case.outcome != Outcome::Taken {
            assert!(reply.text().contains(case.says.trim_start_matches("tokens: ")), "{name}: {}", reply.text());
            if !is_dead {
                assert_eq!(bench.token(&connected).await.is(200).json(), stored, "{name}");
            }
        }
        bench.acme.says("/token", &tokens());
        if case.outcome != Outcome::Taken && !is_dead && reply.header("Retry-After").is_none_or(|wait| wait == "1") {
            let again = bench.refresh(&connected).await;
            assert!(matches!(again.status, 200 | 502), "{name}: {}", again.text());
        }
        for sent in &bench.acme.asked("/token")[before..] {
            assert_eq!(sent.param("refresh_token").as_deref(), Some(REFRESH_TOKEN), "{name}");
        }
        bench.delete(&connected).await;
    }
    bench.assert_nothing_leaked();
}

// docs/standards.md: 28.
#[tokio::test(flavor = "multi_thread")]
async fn bad_issuer_metadata_is_one_clear_error() {
    let all = |acme: &Hostile, elsewhere: &Hostile| instant(&acme.base, &elsewhere.base);
    let bench = Bench::with(|acme, elsewhere| {
        let mut config = String::new();
        for (n, case) in all(acme, elsewhere).into_iter().enumerate() {
            acme.behaves(&format!("/.well-known/oauth-authorization-server/i{n}"), case.steps);
            let base = &acme.base;
            writeln!(config, "[providers.i{n}]\ndisplay_name = \"I\"\nclient_id = \"c\"\nclient_secret = \"s\"")
                .unwrap();
            writeln!(config, "[providers.i{n}.oauth]\nissuer = \"{base}/i{n}\"").unwrap();
        }
        config
    })
    .await;
    for (n, case) in all(&bench.acme, &bench.elsewhere).into_iter().enumerate() {
        let path = format!("/v1/integrations/i{n}/oauth/initiate");
        let ask = bench.server.ask(Method::POST, &path).key(&bench.key).json(&json!({"callback_url": CALLBACK}));
        let reply = unspoilt(ask.send().await);
        assert_eq!(reply.status, 502, "{}: {}", case.name, reply.text());
        let detail = reply.json()["detail"].as_str().unwrap().to_owned();
        assert!(detail.len() < 500 && !detail.contains(char::is_control), "{}: {detail}", case.name);
    }
    bench.assert_nothing_leaked();
}

#[tokio::test(flavor = "multi_thread")]
async fn username_is_short_and_never_a_token() {
    let bench = Bench::new().await;
    let name = |value: Value| json!({"name": value});
    for (body, username) in [
        (name(json!("a\r\nSet-Cookie: b\u{1b}[2J\u{202e}\u{0}")), json!("aSet-Cookie: b[2J")),
        (name(json!("n".repeat(1_000_000))), Value::Null),
        (name(json!(["Ann"])), Value::Null),
        (name(json!({"first": "Ann"})), Value::Null),
        (name(json!(1.5)), Value::Null),
        (name(json!(true)), Value::Null),
        (name(json!(" \u{200b} ")), Value::Null),
        (name(json!(ACCESS_TOKEN)), Value::Null),
        (name(json!(format!("Ann ({ACCESS_TOKEN})"))), Value::Null),
        (json!([{"name": "Ann"}]), Value::Null),
        (json!({"error": "x", "x": PLANTED}), Value::Null),
    ] {
        bench.acme.says("/me", &body);
        let connected = bench.connect().await.is(200).json();
        assert_eq!(connected["username"], username, "{connected}");
        bench.delete(&connected).await;
    }
    bench.assert_nothing_leaked();
}

#[tokio::test(flavor = "multi_thread")]
async fn scopes_never_hold_a_token() {
    let bench = Bench::new().await;
    for scope in [json!(ACCESS_TOKEN), json!(["a", ACCESS_TOKEN]), json!(format!("a:{ACCESS_TOKEN}"))] {
        bench.acme.says("/token", &json!({"access_token": ACCESS_TOKEN, "token_type": "bearer", "scope": scope}));
        let reply = bench.connect().await.is(502);
        assert!(reply.text().contains("'scope' is malformed"), "{}", reply.text());
    }
    bench.assert_nothing_leaked();
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn memory_stays_flat_under_misbehaving_providers() {
    let bench = Bench::new().await;
    // The most is what was there while bodies were read, as it happened to be seen; the lowest is what stays.
    let round = async || {
        let (mut lowest, mut most) = (u64::MAX, 0);
        for case in bench.misbehaviours() {
            bench.acme.behaves("/token", case.steps.clone());
            let all = (0..4).map(|_| bench.connect());
            for reply in futures_util::future::join_all(all).await {
                assert!(matches!(reply.status, 200 | 400 | 502), "{}: {}", case.name, reply.text());
                if reply.status == 200 {
                    bench.delete(&reply.json()).await;
                }
            }
            let now = bench.server.resident_kib();
            (lowest, most) = (lowest.min(now), most.max(now));
        }
        (lowest, most)
    };
    let idle = bench.server.resident_kib();
    // The allocator keeps some 10 MiB more or less from one round to the next, and SQLite's caches fill as the
    // audit log grows. Each round has some hundred connections with bodies of up to 1 MiB.
    round().await;
    let (mut first, mut last, mut largest) = (None, 0, 0);
    for n in 0..campaign(2, 3, 60) {
        let (lowest, most) = round().await;
        println!("round {n}: {lowest} to {most} KiB");
        first = first.or(Some(lowest));
        (last, largest) = (lowest, largest.max(most));
    }
    let first = first.unwrap();
    println!(
        "resident: {idle} KiB idle, {largest} KiB at most, {first} KiB stayed in the first round, {last} KiB in the last"
    );
    assert!(largest < idle + 48 * 1024, "{idle} KiB at rest, {largest} KiB under attack");
    assert!(last < first + 24 * 1024, "{first} KiB stayed after the first round, {last} KiB after the last");
}
