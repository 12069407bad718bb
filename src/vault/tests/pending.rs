//! Begun logins: taken once, by the right user for the right provider, in time.

use super::*;

pub(super) fn login(bench: &Bench, of: &str) -> PendingAuthorization {
    PendingAuthorization {
        user: user(of),
        provider: "github".parse().unwrap(),
        flow: LoginFlow::External,
        api_key_id: None,
        client_id: "client".into(),
        redirect_uri: "https://app.example/callback".into(),
        code_verifier: Some(Secret::new("verifier")),
        further_scopes: [("user".to_owned(), vec!["search".to_owned()])].into(),
        dpop_key: Some(std::sync::Arc::new(crate::jose::SigningKey::generate())),
        scopes: vec!["repo".into()],
        discovery: Some("{}".into()),
        inputs: [("subdomain".to_owned(), "acme".to_owned())].into(),
        state_metadata: serde_json::json!({"a": [1, "b"]}).as_object().unwrap().clone(),
        issuer: Some("https://issuer.example".into()),
        device: None,
        reconnect: Some("0192d3f0-7c3a-7000-8000-00000000000f".parse().unwrap()),
        any_account: true,
        exportable: Exportable(true),
        begun_at: None,
        created_at: bench.clock.now(),
        expires_at: bench.clock.now().plus(Duration::from_secs(600)),
    }
}

async fn begin(bench: &Bench) {
    bench.vault.logins().begin("state-1", login(bench, "alice"), &AuditContext::system()).await.unwrap();
}

async fn take(bench: &Bench, state: &str, of: &str, provider: &str) -> Option<PendingAuthorization> {
    bench
        .vault
        .logins()
        .take(LoginFlow::External, state, &user(of), &provider.parse().unwrap(), &AuditContext::system())
        .await
        .unwrap()
}

#[tokio::test]
async fn login_is_taken_once_with_all_data() {
    let bench = Bench::new();
    let put = login(&bench, "alice");
    bench.vault.logins().begin("state-1", put.clone(), &AuditContext::system()).await.unwrap();
    let taken = take(&bench, "state-1", "alice", "github").await.unwrap();
    assert_eq!(taken.code_verifier.unwrap().expose(), "verifier");
    assert_eq!((taken.flow, taken.scopes, taken.state_metadata), (put.flow, put.scopes, put.state_metadata));
    assert_eq!((taken.issuer, taken.reconnect, taken.expires_at), (put.issuer, put.reconnect, put.expires_at));
    assert_eq!(taken.dpop_key.unwrap().id(), put.dpop_key.unwrap().id());
    assert!(take(&bench, "state-1", "alice", "github").await.is_none());
    bench.assert_manifest_holds();
}

#[tokio::test]
async fn login_stays_for_other_users_providers_and_states() {
    let bench = Bench::new();
    begin(&bench).await;
    assert!(take(&bench, "state-1", "bob", "github").await.is_none());
    assert!(take(&bench, "state-1", "alice", "google").await.is_none());
    assert!(take(&bench, "state-2", "alice", "github").await.is_none());
    assert!(take(&bench, "state-1", "alice", "github").await.is_some());
}

#[tokio::test]
async fn expired_login_is_purged_and_not_taken() {
    let bench = Bench::new();
    begin(&bench).await;
    bench.clock.advance(Duration::from_secs(600));
    assert!(take(&bench, "state-1", "alice", "github").await.is_none());
    begin_other(&bench).await;
    assert_eq!(bench.vault.logins().purge_expired(bench.clock.now()).await.unwrap(), 1);
    assert_eq!(bench.vault.status().unwrap().pending, 1);
    bench.assert_manifest_holds();
}

async fn begin_other(bench: &Bench) {
    bench.vault.logins().begin("state-2", login(bench, "alice"), &AuditContext::system()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_takes_of_one_state_succeed_once() {
    let bench = Bench::new();
    begin(&bench).await;
    let racers: Vec<_> = (0..50)
        .map(|_| {
            let vault = bench.vault.clone();
            let (alice, github) = (user("alice"), "github".parse().unwrap());
            tokio::spawn(async move {
                vault
                    .logins()
                    .take(LoginFlow::External, "state-1", &alice, &github, &AuditContext::system())
                    .await
                    .unwrap()
            })
        })
        .collect();
    let mut winners = 0;
    for racer in racers {
        winners += usize::from(racer.await.unwrap().is_some());
    }
    assert_eq!(winners, 1);
    assert_eq!(bench.audited("login.take"), 1);
    bench.assert_manifest_holds();
}

#[tokio::test]
async fn newest_thousand_logins_of_a_user_are_kept() {
    // A second apart, and all within one second.
    for apart in [1, 0] {
        let bench = Bench::new();
        let (who, github) = (AuditContext::system(), "github".parse().unwrap());
        bench.vault.logins().begin("other", login(&bench, "bob"), &who).await.unwrap();
        for number in 0..1253 {
            // All of them within the time that a login may take.
            bench.clock.advance(Duration::from_secs(if number < 5 { apart } else { 0 }));
            bench.vault.logins().begin(&format!("state {number}"), login(&bench, "alice"), &who).await.unwrap();
        }
        let take = async |state: &str, of: &str| {
            bench.vault.logins().take(LoginFlow::External, state, &user(of), &github, &who).await.unwrap().is_some()
        };
        // With the 1,251st the oldest 251 went, and two more came since.
        assert_eq!(bench.vault.status().unwrap().pending, 1 + 1002);
        for oldest in ["state 0", "state 1", "state 250"] {
            assert!(!take(oldest, "alice").await, "{oldest}, {apart} s apart");
        }
        assert!(take("state 1252", "alice").await);
        assert!(take("other", "bob").await, "nobody begins logins at another's cost");
        bench.assert_manifest_holds();
    }
}

#[tokio::test]
async fn newest_logins_of_four_mebibytes_are_kept() {
    let bench = Bench::new();
    let who = AuditContext::system();
    let large = |of: &str| PendingAuthorization { redirect_uri: "x".repeat(16_000), ..login(&bench, of) };
    bench.vault.logins().begin("other", large("bob"), &who).await.unwrap();
    let mut most = 0;
    for number in 0..400 {
        bench.vault.logins().begin(&format!("state {number}"), large("alice"), &who).await.unwrap();
        most = most.max(bench.vault.core().read(|view, _| Ok(view.usage("alice")?.login_bytes)).unwrap());
    }
    let kept = bench.vault.core().read(|view, _| Ok(view.usage("alice")?.login_bytes)).unwrap();
    assert!(most <= 5 << 20 && kept >= 4 << 20, "{most} {kept}");
    let github = "github".parse().unwrap();
    for (state, of, there) in [("state 0", "alice", false), ("state 399", "alice", true), ("other", "bob", true)] {
        let taken = bench.vault.logins().take(LoginFlow::External, state, &user(of), &github, &who).await.unwrap();
        assert_eq!(taken.is_some(), there, "{state}");
    }
    bench.assert_manifest_holds();
}

#[tokio::test]
async fn polling_does_not_renew_a_login() {
    let bench = Bench::new();
    let (who, github) = (AuditContext::system(), "github".parse().unwrap());
    let device = DevicePolling { code: Secret::new("d"), interval: Duration::from_secs(5), next_poll_at: 0 };
    let on_a_device = PendingAuthorization { flow: LoginFlow::Device, device: Some(device), ..login(&bench, "alice") };
    bench.vault.logins().begin("device", on_a_device, &who).await.unwrap();
    let (token, alice) = (Secret::new("device"), user("alice"));
    for _ in 0..3 {
        let turn = (bench.clock.now_millis(), Duration::ZERO);
        assert!(bench.vault.logins().begin_poll(&token, &alice, &github, turn, &who).await.unwrap().is_some());
    }
    for number in 0..1250 {
        bench.vault.logins().begin(&format!("state {number}"), login(&bench, "alice"), &who).await.unwrap();
    }
    assert_eq!(bench.vault.status().unwrap().pending, 1000);
    assert!(bench.vault.logins().take(LoginFlow::Device, "device", &alice, &github, &who).await.unwrap().is_none());
    assert!(
        bench.vault.logins().take(LoginFlow::External, "state 250", &alice, &github, &who).await.unwrap().is_some()
    );
}
