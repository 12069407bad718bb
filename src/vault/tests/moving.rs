//! Credentials that come from another program or another vault, and those that leave.

use std::sync::Arc;

use super::*;
use crate::jose::SigningKey;
use crate::vault::crypto::fields::encode;

const PASSPHRASE: &str = "correct horse battery";

fn who() -> AuditContext {
    AuditContext::command_line()
}

async fn exported(bench: &Bench) -> Vec<TransferredCredential> {
    let mut writer = bench.vault.transfer().begin_export(Vec::new(), &Secret::new(PASSPHRASE)).unwrap().unwrap();
    for user in bench.vault.users().list().unwrap() {
        let all = bench.vault.transfer().export(&user.id, None, (None, 100), &who(), |_| true).await.unwrap();
        for one in all.credentials {
            writer.add(&one).unwrap();
        }
    }
    let file = writer.finish().unwrap();
    read_export(&file, &Secret::new(PASSPHRASE)).unwrap().into_iter().map(Option::unwrap).collect()
}

/// Tokens with everything that tokens can have.
fn everything() -> NewCredential {
    let CredentialSecret::OAuth2(plain) = tokens("at", "rt") else { unreachable!() };
    let own = OwnClient { id: "own".into(), secret: Some(Secret::new("own secret")) };
    let material = CredentialSecret::OAuth2(Tokens {
        lifetime: Some(Duration::from_secs(3_600)),
        refresh_expires_at: Some(UnixTime(1_900_000_000)),
        metadata: BTreeMap::from([("inputs".to_owned(), serde_json::json!({"shop": "acme"}))]),
        renewal: Some(Box::new(Renewal::ClientCredentials { own: Some(own) })),
        discovery: Some("{}".into()),
        issued_by: Some("https://as.example".into()),
        replaced: Some(vec![ReplacedTokens { access_token: Secret::new("old at"), refresh_token: None }]),
        dpop_key: Some(Arc::new(SigningKey::generate())),
        ..plain
    });
    NewCredential {
        scopes: Some(vec!["repo".into()]),
        username: Some("alice".into()),
        server: Some("https://mcp.example/mcp".into()),
        inputs: Some(BTreeMap::from([("subdomain".into(), "acme".into())])),
        exportable: Exportable(false),
        account: Some("7".into()),
        client_id: Some("c".into()),
        expires_at: Some(UnixTime(1_800_003_600)),
        refresh_at: Some(UnixTime(1_800_003_000)),
        ..new("alice", "github", material)
    }
}

#[tokio::test]
async fn moved_credential_keeps_its_data() {
    let (here, there) = (Bench::new(), Bench::new());
    let stored = here.vault.credentials().insert(everything(), &who()).await.unwrap();
    let host = "*.example.com:8443".parse().unwrap();
    let headers = BTreeMap::from([("Authorization".to_owned(), Secret::new("Bearer x"))]);
    let scoped = here.add("bob", "http", CredentialSecret::HostScoped { host, headers }).await;
    for moved in exported(&here).await {
        let candidate = there.vault.transfer().moved_candidate(moved, None);
        there.vault.transfer().importer(false).import(candidate, &who()).await.unwrap();
    }
    for before in [stored, scoped] {
        let (_, old) = here.read(&before).await.unwrap();
        let after = there.vault.credentials().get(&before.user, &before.id).unwrap().unwrap();
        assert_eq!(after, before);
        assert!(*encode(&there.read(&after).await.unwrap().1) == *encode(&old));
    }
    assert_eq!((here.audited("credential.export"), there.audited("credential.import")), (2, 2));
    there.assert_manifest_holds();
}

#[tokio::test]
async fn existing_credential_stays_and_a_rehearsal_tells() {
    let (here, there) = (Bench::new(), Bench::new());
    here.add("alice", "github", tokens("at", "rt")).await;
    let moved = exported(&here).await.remove(0);
    let id = moved.summary.id;
    let again = || there.vault.transfer().moved_candidate(moved.clone(), None);
    let rehearse = |duplicates| there.vault.transfer().rehearse(&[again(), again()], duplicates).unwrap();
    assert_eq!(rehearse(false), [ImportOutcome::Stored(id), ImportOutcome::Known(id)], "the file has it twice");
    assert_eq!(there.audited("credential.import"), 0, "nothing is written");
    let import = async |duplicates| there.vault.transfer().importer(duplicates).import(again(), &who()).await.unwrap();
    assert_eq!(import(false).await, ImportOutcome::Stored(id));
    assert_eq!(import(false).await, ImportOutcome::Known(id));
    assert!(matches!(import(true).await, ImportOutcome::Stored(other) if other != id));
    assert_eq!(rehearse(false), [ImportOutcome::Known(id), ImportOutcome::Known(id)]);
    assert_eq!(there.audited("credential.import"), 2);
}

#[tokio::test]
async fn import_for_another_user_gets_a_new_id() {
    let bench = Bench::new();
    let alices = bench.add("alice", "github", tokens("at", "rt")).await;
    let moved = exported(&bench).await.remove(0);
    let bob: UserId = "bob".parse().unwrap();
    let import = async || {
        let candidate = bench.vault.transfer().moved_candidate(moved.clone(), Some(&bob));
        bench.vault.transfer().importer(false).import(candidate, &who()).await.unwrap()
    };
    let ImportOutcome::Stored(id) = import().await else { panic!("bob has none") };
    assert_ne!(id, alices.id);
    assert_eq!(import().await, ImportOutcome::Known(id));
}

#[tokio::test]
async fn duplicate_is_detected_by_origin_account_or_secret() {
    let bench = Bench::new();
    let store = async |new: NewCredential, origin: &str| {
        let candidate = bench.vault.transfer().candidate(&new, origin.to_owned());
        matches!(
            bench.vault.transfer().importer(false).import(candidate, &who()).await.unwrap(),
            ImportOutcome::Stored(_)
        )
    };
    let key = |key: &str| new("alice", "github", CredentialSecret::ApiKey(Secret::new(key)));
    assert!(store(key("one"), "n8n:1").await);
    assert!(!store(key("changed there since"), "n8n:1").await, "the same origin");
    assert!(!store(key("one"), "nango:7").await, "the same secret");
    assert!(store(key("two"), "n8n:2").await);
    assert!(store(NewCredential { user: "bob".parse().unwrap(), ..key("one") }, "n8n:1").await, "another user's");
    let account = |account: &str, token: &str| NewCredential {
        account: Some(account.into()),
        ..new("alice", "github", tokens(token, &format!("{token}-refresh")))
    };
    assert!(store(account("7", "a"), "n8n:3").await);
    assert!(!store(account("7", "b"), "n8n:4").await, "the same account");
    assert!(!store(account("8", "a"), "n8n:5").await, "the same tokens");
    assert!(store(account("8", "c"), "n8n:6").await);
    bench.assert_manifest_holds();
}

#[tokio::test]
async fn origin_survives_a_new_secret() {
    let bench = Bench::new();
    let candidate = bench.vault.transfer().candidate(&new("alice", "github", tokens("at", "rt")), "n8n:1".into());
    bench.vault.transfer().importer(false).import(candidate, &who()).await.unwrap();
    let stored =
        bench.vault.credentials().list(&"alice".parse().unwrap(), None, CredentialPage::default()).unwrap().remove(0);
    let replaced = bench.replace(&stored, new("alice", "github", tokens("other", "other"))).await.unwrap();
    assert_eq!(replaced.origin.as_deref(), Some("n8n:1"));
    let again = bench.vault.transfer().candidate(&new("alice", "github", tokens("at", "rt")), "n8n:1".into());
    assert_eq!(
        bench.vault.transfer().importer(false).import(again, &who()).await.unwrap(),
        ImportOutcome::Known(stored.id)
    );
}

#[tokio::test]
async fn registration_moves_with_its_credential() {
    let bench = Bench::new();
    bench.add("alice", "mcp", tokens("at", "rt")).await;
    let at = RegisteredAt { issuer: "https://as.example".into(), redirect_uri: "http://localhost/cb".into() };
    let client = ClientRegistration {
        client_id: "c".into(),
        client_secret: Some(Secret::new("s")),
        secret_expires_at: Some(UnixTime(9)),
        token_auth: "client_secret_basic".into(),
        redirect_uri: None,
        management: None,
    };
    let moved = TransferredCredential { registration: Some((at.clone(), client)), ..exported(&bench).await.remove(0) };
    let mut writer = bench.vault.transfer().begin_export(Vec::new(), &Secret::new(PASSPHRASE)).unwrap().unwrap();
    writer.add(&moved).unwrap();
    let read = read_export(&writer.finish().unwrap(), &Secret::new(PASSPHRASE)).unwrap().remove(0).unwrap();
    let (there, client) = read.registration.unwrap();
    assert_eq!((there, client.client_id.as_str(), client.token_auth.as_str()), (at, "c", "client_secret_basic"));
    assert!(client.client_secret.unwrap().equals("s") && client.secret_expires_at == Some(UnixTime(9)));
}

#[tokio::test]
async fn import_stops_for_a_user_that_was_removed() {
    let bench = Bench::new();
    let users = bench.vault.users();
    users.add(&user("alice"), &who()).await.unwrap();
    let transfer = bench.vault.transfer();
    let candidate = |of: &str| transfer.candidate(&new(of, "p", api_key("k")), format!("of {of}"));
    let importer = transfer.importer(false);
    users.remove(&user("alice"), |_| RevocationScope::Never, WEEK, &who()).await.unwrap().unwrap();
    assert!(matches!(importer.import(candidate("alice"), &who()).await, Err(VaultError::UserRemoved)));
    assert!(!users.exists(&user("alice")).unwrap());
    importer.import(candidate("bob"), &who()).await.unwrap();
    transfer.importer(false).import(candidate("alice"), &who()).await.unwrap();
    bench.assert_manifest_holds();
}
