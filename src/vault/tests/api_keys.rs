//! API keys: which ones authenticate, and that an attacker with a SQL shell cannot change it.

use std::sync::Arc;

use super::*;
use crate::permission::{Permission, Permissions};

pub(super) async fn make(vault: &Vault, holder: KeyHolder) -> (ApiKey, Secret) {
    let permissions = Permissions::from_iter([Permission::ReadIntegrations, Permission::Admin]);
    let limits = limits(&["github"], &[]);
    let new = NewApiKey {
        name: Some("n".into()),
        holder,
        permissions,
        limits,
        unmatched: Unmatched::default(),
        expires_at: None,
    };
    vault.api_keys().create(new, &AuditContext::command_line()).await.unwrap()
}

fn limits(providers: &[&str], credentials: &[&str]) -> KeyLimits {
    let providers = providers.iter().map(|name| name.parse().unwrap()).collect();
    KeyLimits::new(providers, credentials.iter().map(|id| id.parse().unwrap()).collect()).unwrap()
}

fn of_alice() -> KeyHolder {
    KeyHolder::User(user("alice"))
}

#[tokio::test]
async fn key_authenticates_until_revoked_or_expired() {
    let bench = Bench::new();
    let users = vec!["team-*".parse().unwrap(), "x".parse().unwrap()];
    let (key, text) = make(&bench.vault, KeyHolder::Service { users }).await;
    assert!(text.expose().starts_with("srk_") && text.expose().len() == 53);
    assert_eq!(bench.vault.api_keys().authenticate(text.expose()).unwrap().as_deref(), Some(&key));
    let end = Some(bench.clock.now().plus(Duration::from_secs(10)));
    let new = NewApiKey {
        name: None,
        holder: of_alice(),
        permissions: key.permissions,
        limits: KeyLimits::default(),
        unmatched: Unmatched::default(),
        expires_at: end,
    };
    let (short, short_text) = bench.vault.api_keys().create(new, &AuditContext::system()).await.unwrap();
    assert_eq!(bench.vault.api_keys().authenticate(short_text.expose()).unwrap().unwrap().id, short.id);
    bench.clock.advance(Duration::from_secs(10));
    assert!(bench.vault.api_keys().authenticate(short_text.expose()).unwrap().is_none());
    assert!(bench.vault.api_keys().revoke(key.id, &AuditContext::system()).await.unwrap());
    assert!(!bench.vault.api_keys().revoke(key.id, &AuditContext::system()).await.unwrap());
    assert!(bench.vault.api_keys().authenticate(text.expose()).unwrap().is_none());
    assert_eq!(bench.vault.api_keys().list().unwrap().len(), 2);
    bench.assert_manifest_holds();
}

#[tokio::test]
async fn unknown_text_does_not_authenticate() {
    let bench = Bench::new();
    let (_, text) = make(&bench.vault, of_alice()).await;
    let unknown = key_encoding::write("srk_", &[1; 32]);
    let (cut, longer) = (&text.expose()[..52], format!("{}x", text.expose()));
    let zeros = format!("srk_{}", "0".repeat(49));
    for presented in ["", "x", "srk_", cut, &longer, &zeros, unknown.expose(), &text.expose().to_lowercase()] {
        assert!(bench.vault.api_keys().authenticate(presented).unwrap().is_none(), "{presented}");
    }
}

#[tokio::test]
async fn server_sees_the_changes_of_a_command_at_once() {
    let bench = Bench::new();
    let (_, own) = make(&bench.vault, of_alice()).await;
    assert!(bench.vault.api_keys().authenticate(own.expose()).unwrap().is_some());
    let command = bench.beside();
    for _ in 0..5 {
        let (key, text) = make(&command, of_alice()).await;
        assert!(bench.vault.api_keys().authenticate(text.expose()).unwrap().is_some());
        assert!(command.api_keys().revoke(key.id, &AuditContext::command_line()).await.unwrap());
        assert!(bench.vault.api_keys().authenticate(text.expose()).unwrap().is_none());
    }
    bench.assert_manifest_holds();
}

#[tokio::test]
async fn manipulated_api_key_row_is_rejected_by_name() {
    for change in [
        "UPDATE api_key SET permissions = 'READ_INTEGRATIONS ADMIN USE_INTEGRATIONS'",
        "UPDATE api_key SET providers = ''",
        "UPDATE api_key SET providers = 'github openai'",
        "UPDATE api_key SET providers = '', credentials = 'github'",
        "UPDATE api_key SET credentials = '0192d3f0-7c3a-7000-8000-00000000000f'",
        "UPDATE api_key SET grants_only = 1",
        "UPDATE api_key SET grants = x'01'",
        "UPDATE api_key SET tunnel_unmatched = 1",
        "UPDATE api_key SET expires_at = 1",
        "UPDATE api_key SET revoked_at = NULL",
        "UPDATE api_key SET user = 'bob'",
        "UPDATE api_key SET user = NULL, service = 1",
        "UPDATE api_key SET users = '*'",
        "UPDATE api_key SET name = 'm'",
        "UPDATE api_key SET created_at = 0",
        "UPDATE api_key SET revision = 9",
        "UPDATE api_key SET lookup = randomblob(32)",
        "UPDATE api_key SET key_version = 2",
        "UPDATE api_key SET id = '0192d3f0-7c3a-7000-8000-00000000000f'",
        "DELETE FROM api_key",
        "INSERT INTO api_key SELECT '0192d3f0-7c3a-7000-8000-00000000000f', randomblob(32), name, user, service, users,
             permissions, providers, credentials, grants_only, grants, tunnel_unmatched, created_at, expires_at, revoked_at, revision, key_version, mac FROM api_key",
        "DELETE FROM api_key; INSERT INTO api_key SELECT * FROM saved",
    ] {
        let bench = Bench::new();
        let (key, text) = make(&bench.vault, of_alice()).await;
        bench.attack("CREATE TABLE saved AS SELECT * FROM api_key");
        bench.vault.api_keys().revoke(key.id, &AuditContext::system()).await.unwrap();
        bench.attack(change);
        let fresh = bench.beside();
        let error = fresh.api_keys().authenticate(text.expose()).expect_err(change);
        assert!(matches!(error, VaultError::DamagedRow { table: "api_key", .. }), "{change}: {error}");
        assert!(fresh.api_keys().list().is_err());
    }
}

#[tokio::test]
async fn server_sees_a_changed_key_at_once() {
    let bench = Bench::new();
    let (key, text) = make(&bench.vault, of_alice()).await;
    let presented = || bench.vault.api_keys().authenticate(text.expose()).unwrap();
    assert_eq!(presented().as_deref(), Some(&key));
    let id = "0192d3f0-7c3a-7000-8000-00000000000f";
    let end = bench.clock.now().plus(Duration::from_secs(10));
    let narrow = ApiKeyUpdate {
        name: Some("ci".into()),
        permissions: Some([Permission::ReadIntegrations].into_iter().collect()),
        providers: Some(vec!["github".parse().unwrap(), "openai".parse().unwrap()]),
        credentials: Some(vec![id.parse().unwrap()]),
        grants_only: None,
        unmatched: None,
        expires_at: Some(Some(end)),
        users: None,
    };
    let update =
        async |update| bench.beside().api_keys().update(key.id, update, &AuditContext::system()).await.unwrap();
    let changed = update(narrow).await.unwrap();
    assert_eq!(presented().as_deref(), Some(&changed));
    assert_eq!((changed.permissions.to_string().as_str(), changed.name.as_deref()), ("READ_INTEGRATIONS", Some("ci")));
    assert_eq!(*changed.limits, limits(&["github", "openai"], &[id]));
    let list = bench.vault.audit().find(&AuditFilter { key: Some(key.id), ..AuditFilter::default() }).unwrap();
    let subjects: Vec<_> = list.iter().map(|entry| entry.row.subject.clone().unwrap()).collect();
    let expected = format!(
        "key:{} name permissions:READ_INTEGRATIONS providers:github,openai credentials:{id} expires:{end}",
        key.id
    );
    assert_eq!(subjects, [format!("key:{} providers:github", key.id), expected]);
    bench.clock.advance(Duration::from_secs(10));
    assert!(presented().is_none());
    let all = ApiKeyUpdate {
        name: Some(String::new()),
        providers: Some(vec![]),
        credentials: Some(vec![]),
        expires_at: Some(None),
        ..ApiKeyUpdate::default()
    };
    let changed = update(all).await.unwrap();
    assert!(changed.limits.are_none() && changed.name.is_none() && changed.expires_at.is_none());
    assert_eq!(presented().as_deref(), Some(&changed), "an expired key may get another end");
    assert_eq!(changed.permissions.to_string(), "READ_INTEGRATIONS");
    bench.assert_manifest_holds();
    assert_eq!(bench.vault.integrity().verify().unwrap().findings, []);
}

#[tokio::test]
async fn revoked_or_unknown_keys_cannot_be_changed() {
    let bench = Bench::new();
    let (key, text) = make(&bench.vault, of_alice()).await;
    let update = async |id, update| bench.vault.api_keys().update(id, update, &AuditContext::system()).await.unwrap();
    let users = ApiKeyUpdate { users: Some(vec!["*".parse().unwrap()]), ..ApiKeyUpdate::default() };
    assert_eq!(update(key.id, users).await, Err(UpdateRefused::NotService(key.id)));
    bench.vault.api_keys().revoke(key.id, &AuditContext::system()).await.unwrap();
    let forever = ApiKeyUpdate { expires_at: Some(None), ..ApiKeyUpdate::default() };
    assert_eq!(update(key.id, forever.clone()).await, Err(UpdateRefused::Revoked(key.id)));
    let unknown = "0192d3f0-7c3a-7000-8000-00000000000f".parse().unwrap();
    assert_eq!(update(unknown, forever).await, Err(UpdateRefused::Absent(unknown)));
    assert!(bench.vault.api_keys().authenticate(text.expose()).unwrap().is_none());
    assert_eq!(bench.audited("key.update"), 0);
}

#[tokio::test]
async fn tunnels_go_with_the_permission_to_send() {
    let bench = Bench::new();
    let (key, _) = make(&bench.vault, of_alice()).await;
    let update = async |update| bench.vault.api_keys().update(key.id, update, &AuditContext::system()).await.unwrap();
    let tunnel = ApiKeyUpdate { unmatched: Some(Unmatched::Tunnel), ..ApiKeyUpdate::default() };
    assert_eq!(update(tunnel.clone()).await, Err(UpdateRefused::NoProxy(NeedsProxyPermission)));
    let permissions = |permission| Some(Permissions::from_iter([permission]));
    let both = ApiKeyUpdate { permissions: permissions(Permission::ProxyIntegrations), ..tunnel };
    assert_eq!(update(both).await.unwrap().unmatched, Unmatched::Tunnel);
    let without = ApiKeyUpdate { permissions: permissions(Permission::Admin), ..ApiKeyUpdate::default() };
    assert_eq!(update(without).await.unwrap().unmatched, Unmatched::Refuse);
    let with = ApiKeyUpdate { permissions: permissions(Permission::ProxyIntegrations), ..ApiKeyUpdate::default() };
    assert_eq!(update(with).await.unwrap().unmatched, Unmatched::Refuse, "it does not come back");
    let rows = bench.vault.audit().find(&AuditFilter { key: Some(key.id), ..AuditFilter::default() }).unwrap();
    let changes: Vec<_> = rows.iter().skip(1).filter_map(|entry| entry.row.subject.clone()).collect();
    let expected = [
        "permissions:PROXY_INTEGRATIONS unmatched:tunnel",
        "permissions:ADMIN unmatched:refuse",
        "permissions:PROXY_INTEGRATIONS",
    ];
    assert_eq!(changes, expected.map(|terms| format!("key:{} {terms}", key.id)));
    bench.assert_manifest_holds();
}

#[tokio::test]
async fn narrowing_holds_after_its_row_is_put_back() {
    let bench = Bench::new();
    let (key, text) = make(&bench.vault, of_alice()).await;
    bench.attack("CREATE TABLE before AS SELECT * FROM api_key");
    let narrow = ApiKeyUpdate { providers: Some(vec!["smtp".parse().unwrap()]), ..ApiKeyUpdate::default() };
    bench.vault.api_keys().update(key.id, narrow, &AuditContext::system()).await.unwrap().unwrap();
    bench.attack("DELETE FROM api_key; INSERT INTO api_key SELECT * FROM before; DROP TABLE before");
    let refused = bench.vault.api_keys().authenticate(text.expose());
    assert!(matches!(refused, Err(VaultError::DamagedRow { table: "api_key", .. })), "{refused:?}");
    let found = bench.vault.integrity().verify().unwrap().findings;
    assert!(found.iter().any(|one| one.row == key.id.to_string() && one.what.contains("last change")), "{found:?}");
}

#[tokio::test]
async fn revocation_holds_after_its_row_is_put_back() {
    let bench = Bench::new();
    let (key, text) = make(&bench.vault, of_alice()).await;
    assert!(bench.vault.api_keys().authenticate(text.expose()).unwrap().is_some());
    bench.attack("CREATE TABLE before AS SELECT * FROM api_key");
    assert!(bench.beside().api_keys().revoke(key.id, &AuditContext::command_line()).await.unwrap());
    bench.attack("DELETE FROM api_key; INSERT INTO api_key SELECT * FROM before");
    let refused = bench.vault.api_keys().authenticate(text.expose());
    assert!(matches!(refused, Err(VaultError::DamagedRow { table: "api_key", .. })), "{refused:?}");
}

#[tokio::test]
async fn manifest_put_back_under_a_server_is_rejected() {
    let bench = Bench::new();
    let (key, text) = make(&bench.vault, of_alice()).await;
    bench.attack("CREATE TABLE key_before AS SELECT * FROM api_key; CREATE TABLE before AS SELECT * FROM manifest");
    bench.beside().api_keys().revoke(key.id, &AuditContext::command_line()).await.unwrap();
    assert!(bench.vault.api_keys().authenticate(text.expose()).unwrap().is_none());
    bench.attack(
        "DELETE FROM api_key; INSERT INTO api_key SELECT * FROM key_before;
         DELETE FROM manifest; INSERT INTO manifest SELECT * FROM before",
    );
    let refused = bench.vault.api_keys().authenticate(text.expose());
    assert!(matches!(refused, Err(VaultError::DamagedRow { table: "manifest", .. })));
}

#[tokio::test]
async fn other_writes_keep_the_api_key_cache() {
    let bench = Bench::new();
    let (_, text) = make(&bench.vault, of_alice()).await;
    bench.vault.api_keys().authenticate(text.expose()).unwrap().unwrap();
    let of = |vault: &Vault| Arc::as_ptr(&vault.api_keys().authenticate(text.expose()).unwrap().unwrap());
    let before = of(&bench.vault);
    bench.add("alice", "p", api_key("k")).await;
    bench.beside().users().add(&user("bob"), &AuditContext::command_line()).await.unwrap();
    assert_eq!(of(&bench.vault), before, "nothing was loaded again");
}
