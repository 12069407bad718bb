//! Background refresh: ahead of the end, spread out, and through an outage without a loss.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::support::provider::peers;
use crate::support::{Server, Setup};
use futures_util::StreamExt as _;
use futures_util::stream;
use serde_json::{Value, json};
use strongroom::broker::Caller;
use strongroom::clock::{Clock, UnixTime};
use strongroom::id::{CredentialId, UserId};
use strongroom::sandbox::{Conduct, SandboxEndpoint};
use strongroom::secret::Secret;
use strongroom::vault::{AuditContext, CredentialSecret, CredentialStatus, Exportable, NewCredential, Tokens};

const HOUR: i64 = 3_600;

/// Interval of the background refresh.
const PASS: Duration = Duration::from_secs(15);

#[tokio::test]
async fn tokens_are_refreshed_before_they_expire() {
    let server = Server::start().await;
    let id = server.connect("sandbox").await;
    let path = format!("/v1/integrations/sandbox/credentials/{id}");
    let connected = server.clock.now();
    assert_eq!(server.broker.refresh_due().await.unwrap(), 0, "not yet");
    let mut refreshed = Vec::new();
    for _ in 0..4 * 3 * 60 {
        server.clock.advance(PASS);
        if server.broker.refresh_due().await.unwrap() > 0 {
            refreshed.push(server.clock.now().0 - connected.0);
        }
        let shown = server.get(&path).key(&server.key).send().await.is(200).json();
        assert!(shown["expires_at"].as_i64().unwrap() >= server.clock.now().0 + 300, "a caller never waits");
    }
    assert!((3..=4).contains(&refreshed.len()), "{refreshed:?} in three hours");
    assert_eq!(server.token_requests(), 1 + refreshed.len() as u64);
}

#[tokio::test]
async fn idle_refresh_token_is_used_before_it_lapses() {
    let server = Server::start().await;
    server.sandbox.adjust(|behaviour| {
        behaviour.access_token_lifetime = Duration::from_secs(90 * 86_400);
        behaviour.refresh_token_lifetime = Duration::from_secs(30 * 86_400);
    });
    let id = server.connect("sandbox").await;
    let path = format!("/v1/integrations/sandbox/credentials/{id}");
    let reauth_before = async || {
        let shown = server.get(&path).key(&server.key).send().await.is(200).json();
        shown["reauth_before"].as_i64().unwrap() - server.clock.now().0
    };
    assert_eq!(reauth_before().await, 30 * 86_400);
    for _ in 0..120 {
        server.clock.advance(Duration::from_secs(86_400 / 2));
        server.broker.refresh_due().await.unwrap();
        assert!(reauth_before().await > 0);
    }
    assert_eq!(server.token_requests(), 1 + 2, "twice in sixty days");
}

#[tokio::test]
async fn background_skips_what_needs_the_user() {
    let server = Server::start().await;
    let id = server.connect("sandbox").await;
    server.sandbox.conduct(SandboxEndpoint::Token, Conduct::Down);
    server.clock.advance(Duration::from_secs(3_400));
    assert_eq!(server.broker.refresh_due().await.unwrap(), 0);
    let asked = server.token_requests();
    assert_eq!(asked, 2, "it was due, and failed");
    assert_eq!(server.broker.refresh_due().await.unwrap(), 0);
    assert_eq!(server.token_requests(), asked, "and backs off");
    let path = format!("/v1/integrations/sandbox/credentials/{id}");
    server.delete(&path).key(&server.key).send().await.is(200);
    server.create_api_key_credential("openai").await;
    server.clock.advance(Duration::from_secs(86_400));
    assert_eq!(server.broker.refresh_due().await.unwrap(), 0);
    assert_eq!(server.token_requests(), asked);
}

/// A provider of many accounts whose refresh tokens work once, and which can be out of order.
#[derive(Clone, Default)]
struct Rotating {
    out: Arc<AtomicBool>,
    requests: Arc<AtomicU64>,
    /// The refresh token of each account that is good now; none once an old one came back.
    good: Arc<Mutex<BTreeMap<String, Option<String>>>>,
    /// Each answer of a slow provider takes 20 s of this clock.
    slow: Arc<Mutex<Option<Clock>>>,
}

impl Rotating {
    async fn start(&self) -> String {
        let this = self.clone();
        peers::answering(move |request| this.answer(request)).await
    }

    fn answer(&self, request: &str) -> (&'static str, &'static str, String) {
        let number = self.requests.fetch_add(1, Ordering::SeqCst);
        if let Some(clock) = &*self.slow.lock().unwrap() {
            clock.advance(Duration::from_secs(20));
        }
        if self.out.load(Ordering::SeqCst) {
            return ("504 Gateway Timeout", "text/html", "<h1>504</h1>".to_owned());
        }
        let body = request.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        let form: BTreeMap<String, String> = url::form_urlencoded::parse(body.as_bytes()).into_owned().collect();
        let presented = form.get("refresh_token").cloned().unwrap_or_default();
        let account = presented.split('-').next().unwrap_or_default().to_owned();
        let mut good = self.good.lock().unwrap();
        let held = good.entry(account.clone()).or_default();
        if held.as_ref() != Some(&presented) {
            *held = None;
            return ("400 Bad Request", "application/json", json!({"error": "invalid_grant"}).to_string());
        }
        let next = format!("{account}-{number}");
        *held = Some(next.clone());
        let tokens = json!({"access_token": format!("at-{next}"), "refresh_token": next, "token_type": "bearer",
            "expires_in": HOUR});
        ("200 OK", "application/json", tokens.to_string())
    }

    /// Many accounts that were connected at one time, a while ago: their tokens end in five minutes.
    async fn connect(&self, server: &Server, many: u32) -> Vec<CredentialId> {
        let alice: UserId = "alice".parse().unwrap();
        let ends = server.clock.now().plus(Duration::from_secs(300));
        let insert = async |number: u32| {
            let token = format!("a{number}-0");
            self.good.lock().unwrap().insert(format!("a{number}"), Some(token.clone()));
            let new = NewCredential {
                user: alice.clone(),
                provider: "acme".parse().unwrap(),
                title: String::new(),
                scopes: Some(Vec::new()),
                username: None,
                server: None,
                inputs: None,
                account: Some(format!("a{number}")),
                client_id: Some("c".to_owned()),
                expires_at: Some(ends),
                refresh_at: Some(UnixTime(ends.0 - 240)),
                exportable: Exportable(true),
                material: CredentialSecret::OAuth2(Tokens {
                    renewal: None,
                    access_token: Secret::new(format!("at-{token}")),
                    refresh_token: Some(Secret::new(token)),
                    token_type: "Bearer".to_owned(),
                    lifetime: Some(Duration::from_secs(3_600)),
                    refresh_expires_at: None,
                    metadata: BTreeMap::new(),
                    dpop_key: None,
                    redirect_uri: None,
                    discovery: None,
                    issued_by: None,
                    replaced: None,
                }),
            };
            server.vault.credentials().insert(new, &AuditContext::system()).await.unwrap().id
        };
        stream::iter(0..many).map(insert).buffered(64).collect().await
    }
}

// docs/standards.md: 24.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_minute_outage_loses_no_credential() {
    let many = crate::support::campaign(200, 1_000, 1_000);
    let provider = Rotating::default();
    let base = provider.start().await;
    let server = Server::with_provider("acme", &base).await;
    let ids = provider.connect(&server, many).await;
    provider.out.store(true, Ordering::SeqCst);
    for _ in 0..44 {
        server.clock.advance(PASS);
        assert_eq!(server.broker.refresh_due().await.unwrap(), 0);
    }
    // A request also tries its own credential once.
    let asked = provider.requests.load(Ordering::SeqCst);
    let one = format!("/v1/integrations/acme/credentials/{}/token", ids[0]);
    for _ in 0..20 {
        let failed = server.get(&one).key(&server.key).send().await;
        assert!(matches!(failed.status, 502 | 504), "{}", failed.text());
    }
    let during = provider.requests.load(Ordering::SeqCst);
    assert!(during - asked <= 1, "{} for one credential", during - asked);
    assert!(during <= 44 * 8 + 1, "{during} requests while it was out of order");

    provider.out.store(false, Ordering::SeqCst);
    let mut refreshed = 0;
    for _ in 0..44 {
        server.clock.advance(PASS);
        refreshed += server.broker.refresh_due().await.unwrap();
    }
    assert_eq!(refreshed, many as usize);
    assert_eq!(provider.requests.load(Ordering::SeqCst) - during, u64::from(many), "one request each");
    let (alice, mut spread) = (Caller::command_line("alice".parse().unwrap()), BTreeSet::new());
    for id in &ids {
        let summary = server.vault.credentials().get(&alice.user, id).unwrap().unwrap();
        assert_eq!((summary.status, summary.refreshing.last_error), (CredentialStatus::Active, None));
        assert!(summary.expires_at.unwrap() > server.clock.now());
        spread.insert(summary.refreshing.refresh_at.unwrap());
    }
    assert!(spread.len() > many as usize / 4, "they do not come back at one time: {}", spread.len());
}

// The next pass of the other providers must not wait for hours.
#[tokio::test]
async fn slow_provider_ends_a_pass_after_30_seconds() {
    let provider = Rotating::default();
    let base = provider.start().await;
    let server = Server::with_provider("acme", &base).await;
    provider.connect(&server, 40).await;
    server.clock.advance(Duration::from_secs(120));
    *provider.slow.lock().unwrap() = Some(server.clock.clone());
    let first = server.broker.refresh_due().await.unwrap();
    assert!((1..=8).contains(&first), "{first}");
    let mut refreshed = first;
    for _ in 0..40 {
        refreshed += server.broker.refresh_due().await.unwrap();
    }
    assert_eq!(refreshed, 40, "the others are still due");
}

#[tokio::test]
async fn server_refreshes_due_tokens_if_enabled() {
    for on in [true, false] {
        let provider = Rotating::default();
        let base = provider.start().await;
        let config = format!(
            "[oauth]\nbackground_refresh = {on}\n[providers.acme]\ndisplay_name = \"Acme\"\nclient_id = \"c\"\n\
             client_secret = \"s\"\n[providers.acme.oauth]\nauthorize_url = \"{base}/a\"\ntoken_url = \"{base}/t\"\n"
        );
        let server = Server::with(Setup { config, ..Setup::default() }).await;
        provider.connect(&server, 5).await;
        server.clock.advance(Duration::from_secs(120));
        let background = tokio::spawn(server.broker.clone().run_background_refresh());
        if on {
            crate::support::eventually("all are fresh", async || provider.requests.load(Ordering::SeqCst) == 5).await;
            background.abort();
        } else {
            background.await.unwrap();
            assert_eq!(provider.requests.load(Ordering::SeqCst), 0);
        }
    }
}

#[tokio::test]
async fn restart_keeps_due_times_and_failures() {
    let provider = Rotating::default();
    let base = provider.start().await;
    let first = Server::with_provider("acme", &base).await;
    let ids = provider.connect(&first, 20).await;
    provider.out.store(true, Ordering::SeqCst);
    first.clock.advance(Duration::from_secs(120));
    first.broker.refresh_due().await.unwrap();
    let asked = provider.requests.load(Ordering::SeqCst);
    assert!((5..=8).contains(&asked), "{asked}");
    let alice: UserId = "alice".parse().unwrap();
    let before: Vec<_> = ids.iter().map(|id| first.vault.credentials().get(&alice, id).unwrap()).collect();
    let config = format!(
        "[providers.acme]\ndisplay_name = \"Acme\"\nclient_id = \"c\"\nclient_secret = \"s\"\n\
         [providers.acme.oauth]\nauthorize_url = \"{base}/authorize\"\ntoken_url = \"{base}/token\"\n"
    );
    let second = Server::with(Setup { config, vault: Some(first.vault.clone()), ..Setup::default() }).await;
    second.clock.set(first.clock.now());
    let after: Vec<_> = ids.iter().map(|id| second.vault.credentials().get(&alice, id).unwrap()).collect();
    assert!(before == after, "what was to be remembered is in the vault");
    provider.out.store(false, Ordering::SeqCst);
    for clock in [&first.clock, &second.clock] {
        clock.advance(Duration::from_secs(30));
    }
    assert_eq!(second.broker.refresh_due().await.unwrap(), 20);
    let shown: Value = second.list().await;
    assert_eq!(shown.as_array().unwrap().len(), 20);
}
