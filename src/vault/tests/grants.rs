//! Grants of API keys.

use super::*;
use crate::id::{ApiKeyId, GrantId};
use crate::permission::{Permission, Permissions};
use crate::policy::{AllowTerms, Approval, Effect, KeyGrant};

pub(super) fn grant_of(key: ApiKeyId) -> NewGrant {
    NewGrant {
        key,
        effect: Effect::Allow(AllowTerms {
            rate: Some("60/m".parse().unwrap()),
            expires: Some(UnixTime(1_900_000_000)),
            approval: Approval::Always,
        }),
        providers: vec!["github".parse().unwrap()],
        credentials: vec!["0192d3f0-7c3a-7000-8000-00000000000f".parse().unwrap()],
        hosts: vec!["*.github.com".parse().unwrap()],
        methods: vec!["GET".parse().unwrap(), "POST".parse().unwrap()],
        paths: vec!["/repos/**".parse().unwrap()],
    }
}

fn deny_all(key: ApiKeyId) -> NewGrant {
    NewGrant { effect: Effect::Deny, ..bare(key) }
}

fn bare(key: ApiKeyId) -> NewGrant {
    let (providers, credentials, hosts, methods, paths) = Default::default();
    NewGrant { key, effect: Effect::Allow(AllowTerms::default()), providers, credentials, hosts, methods, paths }
}

/// A key that reads credentials, and so may be limited to grants.
async fn reader(vault: &Vault) -> ApiKey {
    let new = NewApiKey {
        name: None,
        holder: KeyHolder::User(user("alice")),
        permissions: Permissions::from_iter([Permission::ReadIntegrations]),
        limits: KeyLimits::default(),
        unmatched: Unmatched::default(),
        expires_at: None,
    };
    vault.api_keys().create(new, &AuditContext::command_line()).await.unwrap().0
}

async fn add(vault: &Vault, new: NewGrant) -> Result<KeyGrant, GrantRefused> {
    vault.api_keys().add_grant(new, &AuditContext::command_line()).await.unwrap()
}

async fn remove(vault: &Vault, key: ApiKeyId, id: GrantId) -> bool {
    vault.api_keys().remove_grant(key, id, &AuditContext::command_line()).await.unwrap()
}

async fn update(vault: &Vault, key: ApiKeyId, update: ApiKeyUpdate) -> Result<ApiKey, UpdateRefused> {
    vault.api_keys().update(key, update, &AuditContext::command_line()).await.unwrap()
}

fn grants(vault: &Vault, key: ApiKeyId) -> std::sync::Arc<KeyGrants> {
    vault.api_keys().get(key).unwrap().unwrap().grants.clone()
}

#[tokio::test]
async fn grants_are_kept_with_their_key() {
    let bench = Bench::new();
    let key = reader(&bench.vault).await;
    assert_eq!(*grants(&bench.vault, key.id), KeyGrants::default());
    let whole = add(&bench.vault, grant_of(key.id)).await.unwrap();
    let deny = add(&bench.vault, deny_all(key.id)).await.unwrap();
    let expected = KeyGrants { grants_only: true, grants: vec![whole.clone(), deny.clone()] };
    assert_eq!(*grants(&bench.vault, key.id), expected);
    assert_eq!(*grants(&bench.beside(), key.id), expected, "another process reads the same");
    assert!(remove(&bench.vault, key.id, whole.id).await && !remove(&bench.vault, key.id, whole.id).await);
    assert_eq!(*grants(&bench.vault, key.id), KeyGrants { grants_only: true, grants: vec![deny] });
    let subjects = |action: &str| -> Vec<String> {
        let filter = AuditFilter { action: Some(action.to_owned()), ..AuditFilter::default() };
        let rows = bench.vault.audit().find(&filter).unwrap();
        rows.into_iter().map(|entry| entry.row.subject.unwrap()).collect()
    };
    let named = format!(
        "key:{} grant:{} allow providers:github credentials:0192d3f0-7c3a-7000-8000-00000000000f hosts:*.github.com \
         methods:GET,POST paths:/repos/** rate:60/m expires:2030-03-17T17:46:40Z approval:always",
        key.id, whole.id
    );
    assert_eq!(subjects("grant.add")[0], named);
    assert_eq!(subjects("grant.remove"), [named]);
    bench.assert_manifest_holds();
    assert_eq!(bench.vault.integrity().verify().unwrap().findings, [], "the log explains each revision of the key");
}

#[tokio::test]
async fn grants_of_another_process_count_at_once() {
    let bench = Bench::new();
    let key = reader(&bench.vault).await;
    let command = bench.beside();
    for count in 1..4 {
        let added = add(&command, bare(key.id)).await.unwrap();
        assert_eq!(grants(&bench.vault, key.id).grants.len(), 1, "{count}");
        assert!(remove(&command, key.id, added.id).await);
        assert!(grants(&bench.vault, key.id).grants.is_empty());
    }
}

#[tokio::test]
async fn first_grant_limits_the_key_for_good() {
    let bench = Bench::new();
    let key = reader(&bench.vault).await;
    let first = add(&bench.vault, bare(key.id)).await.unwrap();
    assert!(remove(&bench.vault, key.id, first.id).await);
    assert!(grants(&bench.vault, key.id).grants_only, "without grants it may do nothing");
    let freed =
        update(&bench.vault, key.id, ApiKeyUpdate { grants_only: Some(false), ..ApiKeyUpdate::default() }).await;
    assert!(!freed.unwrap().grants.grants_only);
    add(&bench.vault, deny_all(key.id)).await.unwrap();
    assert!(grants(&bench.vault, key.id).grants_only, "also a deny is a first grant");
    update(&bench.vault, key.id, ApiKeyUpdate { grants_only: Some(false), ..ApiKeyUpdate::default() }).await.unwrap();
    add(&bench.vault, bare(key.id)).await.unwrap();
    assert!(!grants(&bench.vault, key.id).grants_only, "this one is not the first");
    bench.assert_manifest_holds();
}

#[tokio::test]
async fn limited_key_cannot_hold_use() {
    let bench = Bench::new();
    let (with_use, _) = super::api_keys::make(&bench.vault, KeyHolder::User(user("alice"))).await;
    let all = Permissions::from_iter(Permission::ALL);
    update(&bench.vault, with_use.id, ApiKeyUpdate { permissions: Some(all), ..ApiKeyUpdate::default() })
        .await
        .unwrap();
    assert_eq!(add(&bench.vault, bare(with_use.id)).await, Err(GrantRefused::HoldsUse(with_use.id)));
    assert_eq!(*grants(&bench.vault, with_use.id), KeyGrants::default());
    let limit = ApiKeyUpdate { grants_only: Some(true), ..ApiKeyUpdate::default() };
    assert_eq!(update(&bench.vault, with_use.id, limit).await, Err(UpdateRefused::GrantsOnly(with_use.id)));

    let key = reader(&bench.vault).await;
    add(&bench.vault, bare(key.id)).await.unwrap();
    let to_use = ApiKeyUpdate { permissions: Some(all), ..ApiKeyUpdate::default() };
    assert_eq!(update(&bench.vault, key.id, to_use.clone()).await, Err(UpdateRefused::GrantsOnly(key.id)));
    let freed = ApiKeyUpdate { grants_only: Some(false), ..to_use };
    assert!(update(&bench.vault, key.id, freed).await.is_ok());
}

#[tokio::test]
async fn grants_are_bounded() {
    let bench = Bench::new();
    let key = reader(&bench.vault).await;
    let path = |length: usize| format!("/{}", "x".repeat(length - 1)).parse().unwrap();
    let long = NewGrant { paths: vec![path(1000); 17], ..bare(key.id) };
    assert_eq!(add(&bench.vault, long).await, Err(GrantRefused::LongList("paths")));
    let many = NewGrant { methods: vec!["GET".parse().unwrap(); 101], ..bare(key.id) };
    assert_eq!(add(&bench.vault, many).await, Err(GrantRefused::LongList("methods")));
    let large = NewGrant { paths: vec![path(1000); 16], ..bare(key.id) };
    let mut count = 0;
    let refused = loop {
        match add(&bench.vault, large.clone()).await {
            Ok(_) => count += 1,
            Err(refused) => break refused,
        }
    };
    assert!(refused == GrantRefused::TooLarge && (60..70).contains(&count), "{count}");
    let key = reader(&bench.vault).await;
    for _ in 0..200 {
        add(&bench.vault, bare(key.id)).await.unwrap();
    }
    assert_eq!(add(&bench.vault, bare(key.id)).await, Err(GrantRefused::TooMany));
    bench.assert_manifest_holds();
}

#[tokio::test]
async fn absent_and_revoked_keys_get_no_grants() {
    let bench = Bench::new();
    let key = reader(&bench.vault).await;
    bench.vault.api_keys().revoke(key.id, &AuditContext::system()).await.unwrap();
    assert_eq!(add(&bench.vault, bare(key.id)).await, Err(GrantRefused::Revoked(key.id)));
    let absent = "0192d3f0-7c3a-7000-8000-00000000000f".parse().unwrap();
    assert_eq!(add(&bench.vault, bare(absent)).await, Err(GrantRefused::Absent(absent)));
    assert_eq!(bench.audited("grant.add"), 0);
}

// An attacker with a SQL shell cannot take a deny away, nor free a key from its grants.
#[tokio::test]
async fn manipulated_grants_are_rejected() {
    for change in [
        "UPDATE api_key SET grants = x''",
        "UPDATE api_key SET grants_only = 0",
        "UPDATE api_key SET grants = (SELECT grants FROM before)",
        "UPDATE api_key SET grants = (SELECT grants FROM before), mac = (SELECT mac FROM before)",
        "DELETE FROM api_key; INSERT INTO api_key SELECT * FROM before",
    ] {
        let bench = Bench::new();
        let key = reader(&bench.vault).await;
        add(&bench.vault, bare(key.id)).await.unwrap();
        bench.attack("CREATE TABLE before AS SELECT * FROM api_key");
        add(&bench.vault, deny_all(key.id)).await.unwrap();
        bench.attack(change);
        for vault in [&bench.vault, &bench.beside()] {
            let error = vault.api_keys().get(key.id).expect_err(change);
            assert!(matches!(error, VaultError::DamagedRow { table: "api_key", .. }), "{change}: {error}");
        }
        bench.attack("DROP TABLE before");
        let found = bench.vault.integrity().verify().unwrap();
        assert!(found.findings.iter().any(|one| one.table == "api_key"), "{change}");
    }
}

#[tokio::test]
async fn grants_survive_a_rotation() {
    let bench = Bench::new();
    let key = reader(&bench.vault).await;
    add(&bench.vault, grant_of(key.id)).await.unwrap();
    let expected = grants(&bench.vault, key.id);
    let rotation = bench.vault.rotation();
    rotation.begin(&AuditContext::command_line()).await.unwrap();
    let mut place = RotationPlace::default();
    while rotation.reseal_some(&mut place, 10).await.unwrap().is_some() {}
    rotation.end(&AuditContext::command_line()).await.unwrap();
    assert_eq!(grants(&bench.beside(), key.id), expected);
    bench.assert_manifest_holds();
}

#[tokio::test]
async fn grants_go_with_their_user() {
    let bench = Bench::new();
    let key = reader(&bench.vault).await;
    add(&bench.vault, grant_of(key.id)).await.unwrap();
    let who = AuditContext::command_line();
    bench.vault.users().remove(&user("alice"), |_| RevocationScope::Never, WEEK, &who).await.unwrap();
    assert!(bench.vault.api_keys().get(key.id).unwrap().is_none());
    bench.assert_manifest_holds();
}
