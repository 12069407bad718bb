//! Credentials from storing to deleting.

use futures_util::future::join_all;

use super::*;
use crate::kind::Kind;

#[tokio::test]
async fn every_kind_reads_back_as_stored() {
    let bench = Bench::new();
    let headers = BTreeMap::from([("X-Api-Key".to_owned(), Secret::new("k")), ("A".to_owned(), Secret::new(""))]);
    let kinds = [
        tokens("access", "refresh"),
        api_key("sk-1"),
        CredentialSecret::UserPassword { username: Secret::new("me"), password: Secret::new("pass") },
        CredentialSecret::HostScoped { host: "*.Example.com".parse().unwrap(), headers },
    ];
    for material in kinds {
        let stored = bench.add("alice", "p", material.clone()).await;
        assert_eq!(stored.kind, material.kind());
        bench.clock.advance(Duration::from_secs(5));
        let (summary, opened) = bench.read(&stored).await.unwrap();
        assert_eq!(texts(&opened), texts(&material));
        assert_eq!(summary, CredentialMetadata { last_used_at: Some(bench.clock.now()), ..stored.clone() });
        assert_eq!(bench.vault.credentials().get(&stored.user, &stored.id).unwrap(), Some(summary));
    }
    assert_eq!(bench.audited("credential.read"), 4);
    bench.assert_manifest_holds();
}

#[tokio::test]
async fn lists_are_per_user_sorted_and_paged() {
    let bench = Bench::new();
    let mut ids = Vec::new();
    for provider in ["b", "a", "b", "a"] {
        ids.push(bench.add("alice", provider, api_key("k")).await.id);
    }
    bench.add("bob", "a", api_key("k")).await;
    let list = |provider: Option<&str>, limit, after| {
        let provider = provider.map(|name| name.parse().unwrap());
        let found =
            bench.vault.credentials().list(&user("alice"), provider.as_ref(), CredentialPage { limit, after }).unwrap();
        found.into_iter().map(|summary| summary.id).collect::<Vec<CredentialId>>()
    };
    assert_eq!(list(None, None, None), ids);
    assert_eq!(list(Some("a"), None, None), [ids[1], ids[3]]);
    assert_eq!(list(None, Some(2), Some(ids[0])), [ids[1], ids[2]]);
    assert_eq!(list(Some("b"), Some(9), Some(ids[0])), [ids[2]]);
    assert_eq!(list(None, None, Some(ids[3])), []);
    let users = bench.vault.users().list().unwrap();
    assert_eq!(users.iter().map(|u| (u.id.as_str(), u.credentials)).collect::<Vec<_>>(), [("alice", 4), ("bob", 1)]);
}

#[tokio::test]
async fn credential_of_another_user_is_not_found() {
    let bench = Bench::new();
    let stored = bench.add("alice", "p", api_key("k")).await;
    let (bob, who) = (user("bob"), AuditContext::system());
    assert!(bench.vault.credentials().get(&bob, &stored.id).unwrap().is_none());
    assert!(bench.vault.credentials().read_secret(&bob, &stored.id, &who).await.unwrap().is_none());
    let amended = bench.vault.credentials().update(&bob, &stored.id, title("x"), &who).await.unwrap();
    assert!(matches!(amended, UpdateOutcome::Absent));
    let replaced = bench.vault.credentials().replace(replacement(&stored), new("bob", "p", api_key("x")), &who).await;
    assert!(matches!(replaced, Ok(ReplaceOutcome::Absent)));
    let deleted = bench.vault.credentials().delete(&bob, &stored.id, RevocationScope::Never, WEEK, &who).await.unwrap();
    assert!(deleted.is_none());
    assert_eq!(texts(&bench.read(&stored).await.unwrap().1), ["k"]);
}

#[tokio::test]
async fn replacing_keeps_the_id_and_retitling_the_secret() {
    let bench = Bench::new();
    let stored = bench.add("alice", "github", tokens("one", "r1")).await;
    bench.clock.advance(Duration::from_secs(9));
    let change = NewCredential { title: "again".into(), ..new("alice", "github", tokens("two", "r2")) };
    let replaced = bench.replace(&stored, change).await.unwrap();
    assert_eq!((replaced.id, replaced.created_at), (stored.id, stored.created_at));
    assert_eq!(
        (replaced.title.as_str(), replaced.updated_at),
        ("a title", bench.clock.now()),
        "its name is the user's"
    );
    assert_eq!(texts(&bench.read(&stored).await.unwrap().1)[..2], ["two", "r2"]);
    for other in [new("alice", "gitlab", tokens("x", "x")), new("alice", "github", api_key("x"))] {
        let replaced = bench.vault.credentials().replace(replacement(&stored), other, &AuditContext::system()).await;
        assert!(matches!(replaced, Ok(ReplaceOutcome::Absent)));
    }
    let secret = || -> Vec<u8> {
        let connection = Connection::open(bench.path()).unwrap();
        connection.query_row("SELECT secret FROM credential_secret", [], |row| row.get(0)).unwrap()
    };
    let before = secret();
    let titled =
        bench.vault.credentials().update(&stored.user, &stored.id, title("new"), &AuditContext::system()).await;
    assert!(matches!(titled, Ok(UpdateOutcome::Done(titled)) if titled.title == "new"));
    assert_eq!(secret(), before);
    assert_eq!(texts(&bench.read(&stored).await.unwrap().1)[..2], ["two", "r2"]);
    bench.assert_manifest_holds();
}

#[tokio::test]
async fn secret_changes_in_parts_and_keeps_its_kind() {
    let bench = Bench::new();
    let login = CredentialSecret::UserPassword { username: Secret::new("me"), password: Secret::new("old") };
    let stored = bench.add("alice", "smtp", login).await;
    let who = AuditContext::system();
    let amend = |secret| bench.vault.credentials().update(&stored.user, &stored.id, secret, &who);
    let password = SecretUpdate::UserPassword { username: None, password: Some(Secret::new("new")), inputs: None };
    amend(CredentialUpdate { title: None, secret: Some(password), exportable: None }).await.unwrap();
    assert_eq!(texts(&bench.read(&stored).await.unwrap().1), ["me", "new"]);
    let key = SecretUpdate::ApiKey { api_key: Some(Secret::new("k")), expires_at: None, inputs: None };
    let refused =
        amend(CredentialUpdate { title: Some("x".into()), secret: Some(key), exportable: None }).await.unwrap();
    assert!(matches!(refused, UpdateOutcome::OtherKind(Kind::UserPassword)));
    let (summary, material) = bench.read(&stored).await.unwrap();
    assert_eq!((summary.title.as_str(), texts(&material)), ("a title", vec!["me".to_owned(), "new".to_owned()]));
    bench.assert_manifest_holds();
}

/// Scope of a provider that shares its authorization server with no other.
fn unless_shared() -> RevocationScope {
    RevocationScope::UnlessShared(vec!["github".parse().unwrap()])
}

#[tokio::test]
async fn deletion_queues_tokens_unless_the_grant_is_shared() {
    let bench = Bench::new();
    let first = bench.connect("alice", Some("1")).await;
    let second = bench.connect("alice", Some("1")).await;
    let other_account = bench.connect("alice", Some("2")).await;
    bench.connect("bob", Some("1")).await;
    assert!(bench.delete(&first, unless_shared()).await.unwrap().revocation.is_none());
    assert!(bench.delete(&second, unless_shared()).await.unwrap().revocation.is_some());
    assert!(bench.delete(&second, unless_shared()).await.is_none());
    let unknown = bench.connect("alice", None).await;
    assert!(bench.delete(&other_account, unless_shared()).await.unwrap().revocation.is_none());
    let again = bench.connect("alice", Some("3")).await;
    let token = bench.delete(&again, RevocationScope::Token).await.unwrap();
    assert_eq!(token.revocation.unwrap().tokens.access_token.expose(), "at");
    assert!(bench.delete(&unknown, RevocationScope::Never).await.unwrap().revocation.is_none());
    let key = bench.add("alice", "github", api_key("k")).await;
    assert!(bench.delete(&key, RevocationScope::Token).await.unwrap().revocation.is_none());
    assert_eq!(bench.vault.status().unwrap().revocations, 2);
    bench.assert_manifest_holds();
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_deletions_revoke_a_shared_grant_once() {
    let bench = Bench::new();
    for _ in 0..20 {
        let (one, two) = (bench.connect("alice", Some("1")).await, bench.connect("alice", Some("1")).await);
        let (one, two) = tokio::join!(bench.delete(&one, unless_shared()), bench.delete(&two, unless_shared()));
        let queued = [one, two].into_iter().filter(|deleted| deleted.as_ref().unwrap().revocation.is_some()).count();
        assert_eq!(queued, 1);
    }
}

const BOUNDS: RetryBounds = RetryBounds { time: WEEK, tries: 5 };

#[tokio::test]
async fn revocation_of_a_fast_clock_is_given_up() {
    let bench = Bench::new();
    let now = bench.clock.now();
    let in_time = bench.connect("alice", Some("1")).await;
    let in_time = bench.delete(&in_time, RevocationScope::Token).await.unwrap().revocation.unwrap();
    bench.clock.advance(Duration::from_secs(10 * 365 * 86_400));
    let late = bench.connect("alice", Some("2")).await;
    let queued = bench.delete(&late, RevocationScope::Token).await.unwrap().revocation.unwrap();
    bench.clock.set(now);
    for _ in 0..BOUNDS.tries {
        assert!(bench.vault.revocations().drop_expired(now, BOUNDS).await.unwrap().is_empty());
        bench.vault.revocations().postpone(&queued.id, now, "no answer").await.unwrap();
        bench.vault.revocations().postpone(&in_time.id, now, "no answer").await.unwrap();
    }
    let given_up = bench.vault.revocations().drop_expired(now, BOUNDS).await.unwrap();
    let given_up: Vec<_> = given_up.into_iter().map(|one| one.unwrap().credential_id).collect();
    assert_eq!(given_up, [late.id], "the other has its time still before it");
    bench.assert_manifest_holds();
}

#[tokio::test]
async fn revocation_waits_is_postponed_and_given_up() {
    let bench = Bench::new();
    let stored = bench.connect("alice", Some("1")).await;
    let queued = bench.delete(&stored, RevocationScope::Token).await.unwrap().revocation.unwrap();
    let due = |at: UnixTime| -> Vec<QueuedRevocation> {
        bench.vault.revocations().due(at, at, 10).unwrap().into_iter().map(Result::unwrap).collect()
    };
    let now = bench.clock.now();
    assert!(due(now).is_empty(), "the request that deleted it is still at it");
    let found = due(now.plus(Duration::from_secs(60)));
    assert_eq!((found[0].attempts, found[0].credential_id), (0, stored.id));
    assert_eq!(found[0].client_id.as_deref(), Some("client"));
    assert_eq!(found[0].tokens.refresh_token.as_ref().unwrap().expose(), "rt");
    let later = now.plus(Duration::from_secs(3600));
    bench.vault.revocations().postpone(&queued.id, later, "no answer").await.unwrap();
    assert!(due(now.plus(Duration::from_secs(60))).is_empty());
    assert_eq!((due(later)[0].attempts, due(later)[0].last_error.as_deref()), (1, Some("no answer")));
    assert_eq!(due(later)[0].tokens.refresh_token.as_ref().unwrap().expose(), "rt");
    bench.assert_manifest_holds();
    let dropped = async |at| -> Vec<GivenUp> {
        let dropped = bench.vault.revocations().drop_expired(at, BOUNDS).await.unwrap();
        dropped.into_iter().map(Result::unwrap).collect()
    };
    assert_eq!(dropped(later).await, []);
    assert!(due(queued.give_up_at).is_empty());
    let given_up = GivenUp { provider: stored.provider.clone(), credential_id: stored.id };
    assert_eq!(dropped(queued.give_up_at).await, [given_up]);
    let second = bench.connect("alice", Some("1")).await;
    let queued = bench.delete(&second, RevocationScope::Token).await.unwrap().revocation.unwrap();
    for _ in 0..2 {
        bench.vault.revocations().finish(&queued.id, &AuditContext::system()).await.unwrap();
    }
    assert_eq!((bench.vault.status().unwrap().revocations, bench.audited("revocation.finish")), (0, 1));
    bench.assert_manifest_holds();
}

#[tokio::test]
async fn user_removal_ends_everything_in_one_transaction() {
    let bench = Bench::new();
    let (alice, who) = (user("alice"), AuditContext::command_line());
    let users = bench.vault.users();
    assert!(users.add(&alice, &who).await.unwrap() && !users.add(&alice, &who).await.unwrap());
    bench.connect("alice", Some("1")).await;
    bench.connect("alice", Some("1")).await;
    bench.connect("alice", None).await;
    bench.add("alice", "p", api_key("k")).await;
    bench.add("bob", "p", api_key("k")).await;
    let key = super::api_keys::make(&bench.vault, KeyHolder::User(alice.clone())).await;
    bench.vault.logins().begin("state", super::pending::login(&bench, "alice"), &who).await.unwrap();
    let epoch = bench.vault.core().read(Manifest::load).unwrap().epoch;
    let scope = |provider: &ProviderName| match provider.as_str() {
        "github" => RevocationScope::UnlessShared(vec![provider.clone()]),
        _ => RevocationScope::Never,
    };
    let deleted = users.remove(&alice, scope, WEEK, &who).await.unwrap().unwrap().credentials;
    let queued: Vec<bool> = deleted.iter().map(|one| one.revocation.is_some()).collect();
    assert_eq!(queued, [false, true, true, false], "of one grant the newest, and the one of an unknown account");
    assert_eq!(bench.vault.core().read(Manifest::load).unwrap().epoch, epoch + 1);
    assert!(!users.exists(&alice).unwrap() && users.remove(&alice, scope, WEEK, &who).await.unwrap().is_none());
    assert!(bench.vault.api_keys().authenticate(key.1.expose()).unwrap().is_none());
    let status = bench.vault.status().unwrap();
    assert_eq!((status.users, status.api_keys, status.pending, status.credentials), (1, 0, 0, 1));
    assert_eq!((bench.audited("credential.delete"), bench.audited("user.remove")), (4, 1));
    bench.assert_manifest_holds();
    assert_eq!(bench.vault.integrity().verify().unwrap().findings, []);
}

#[tokio::test]
async fn ten_thousand_credentials_of_a_user_go_in_one_transaction() {
    let bench = Bench::new();
    let many = 10_000;
    let (alice, who) = (user("alice"), AuditContext::system());
    let filled = bench.vault.core().write(&who, move |txn| {
        let ids = crate::id::IdMaker::new(crate::clock::Clock::manual(UnixTime(1)));
        for _ in 0..many {
            super::super::credentials::store::insert(
                txn,
                ids.credential(),
                &new("alice", "p", tokens("a", "r")),
                None,
            )?;
        }
        Ok(())
    });
    filled.await.unwrap();
    let remove = bench.vault.users().remove(&alice, |_| RevocationScope::Token, WEEK, &who);
    let deleted = remove.await.unwrap().unwrap().credentials;
    assert_eq!(deleted.len(), many);
    bench.assert_manifest_holds();
}

#[tokio::test(flavor = "multi_thread")]
async fn server_and_command_write_side_by_side() {
    let bench = Bench::new();
    let command = bench.beside();
    let writers: Vec<_> = (0..60)
        .map(|i| {
            let vault = if i % 3 == 0 { command.clone() } else { bench.vault.clone() };
            tokio::spawn(async move {
                vault.credentials().insert(new("alice", "p", api_key("k")), &AuditContext::system()).await
            })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap().unwrap();
    }
    assert_eq!(bench.vault.credentials().list(&user("alice"), None, CredentialPage::default()).unwrap().len(), 60);
    bench.assert_manifest_holds();
}

#[tokio::test]
async fn files_contain_no_secret_in_plain_text() {
    let bench = Bench::new();
    let canary = "CANARY-7f3a";
    bench.add("alice", "github", tokens(canary, canary)).await;
    let titled =
        NewCredential { title: canary.into(), username: Some(canary.into()), ..new("alice", "x", api_key(canary)) };
    bench.vault.credentials().insert(titled, &AuditContext::system()).await.unwrap();
    let login = super::pending::login(&bench, "alice");
    let login = PendingAuthorization { code_verifier: Some(Secret::new(canary)), redirect_uri: canary.into(), ..login };
    bench.vault.logins().begin(canary, login, &AuditContext::system()).await.unwrap();
    let gone = bench.add("alice", "github", tokens(canary, canary)).await;
    bench.delete(&gone, RevocationScope::Token).await;
    let key = super::api_keys::make(&bench.vault, KeyHolder::Service { users: vec![] }).await;
    let MasterKey::Key(master) = &bench.key else { panic!("a key") };
    for name in ["v.db", "v.db-wal"] {
        let bytes = std::fs::read(bench.folder.path().join(name)).unwrap();
        let has = |needle: &[u8]| bytes.windows(needle.len()).any(|window| window == needle);
        assert!(!has(canary.as_bytes()) && !has(key.1.expose().as_bytes()) && !has(master.as_slice()), "{name}");
        assert!(name == "v.db" || has(b"alice"), "the user is visible, so that this test can see anything");
    }
}

#[tokio::test]
async fn failed_job_leaves_the_manifest_unchanged() {
    let bench = Bench::new();
    let stored = bench.add("alice", "p", api_key("first")).await;
    let (vault, who) = (&bench.vault, AuditContext::command_line());
    let epoch = vault.core().read(Manifest::load).unwrap().epoch;
    // All of these wait at the same time, and become one transaction or a few.
    let inserts = (0..40).map(|number| {
        let user = format!("user-{}", number % 7);
        let who = &who;
        async move { vault.credentials().insert(new(&user, "p", api_key("k")), who).await.map(|_| ()) }
    });
    let refused = (0..20).map(|_| async {
        vault.core().write(&who, |_| -> Result<(), VaultError> { Err(VaultError::UserRemoved) }).await
    });
    let reads =
        (0..20).map(|_| async { vault.credentials().read_secret(&stored.user, &stored.id, &who).await.map(|_| ()) });
    let undone = (0..20).map(|_| async {
        let fails_late = vault.core().write(&who, |txn| -> Result<(), VaultError> {
            super::super::users::ensure(txn, &"nobody".parse().unwrap())?;
            txn.record(
                super::super::txn::audit_row::Action::UserAdd,
                super::super::txn::audit_row::Subject::default(),
            )?;
            Err(VaultError::UserRemoved)
        });
        fails_late.await
    });
    let (inserts, refused, reads, undone) =
        tokio::join!(join_all(inserts), join_all(refused), join_all(reads), join_all(undone));
    assert!(inserts.iter().chain(&reads).all(Result::is_ok));
    assert!(refused.iter().chain(&undone).all(|result| matches!(result, Err(VaultError::UserRemoved))));
    bench.assert_manifest_holds();
    assert_eq!(vault.core().read(Manifest::load).unwrap().epoch, epoch + 60, "one for each change that was made");
    assert!(!vault.users().exists(&user("nobody")).unwrap());
    assert_eq!(vault.integrity().verify().unwrap().findings, []);
}

#[tokio::test]
async fn file_shrinks_after_deletions() {
    let bench = Bench::new();
    let size = || std::fs::metadata(bench.path()).unwrap().len();
    let (alice, who) = (user("alice"), AuditContext::system());
    let filled = bench.vault.core().write(&who, move |txn| {
        let ids = crate::id::IdMaker::new(Clock::manual(UnixTime(1)));
        for _ in 0..1_000 {
            let new = NewCredential { title: "t".repeat(1_000), ..new("alice", "p", api_key(&"k".repeat(8_000))) };
            super::super::credentials::store::insert(txn, ids.credential(), &new, None)?;
        }
        Ok(())
    });
    filled.await.unwrap();
    let store = &bench.vault.core().store;
    store.checkpoint().unwrap();
    let full = size();
    let remove = bench.vault.users().remove(&alice, |_| RevocationScope::Never, WEEK, &who);
    remove.await.unwrap().unwrap();
    store.checkpoint().unwrap();
    assert!(size() >= full, "deleted rows leave free pages");
    assert!(bench.vault.shrink().await.unwrap() > 1);
    store.checkpoint().unwrap();
    assert!(size() < full / 4, "{} of {full}", size());
    assert_eq!(bench.vault.shrink().await.unwrap(), 0);
    bench.assert_manifest_holds();
    assert_eq!(bench.vault.integrity().verify().unwrap().findings, []);
}

// The first credential was made not exportable after the login with both tokens.
#[tokio::test]
async fn reconnected_further_token_is_as_exportable_as_the_first() {
    let (bench, who) = (Bench::new(), AuditContext::system());
    let granted = |name: &str| NewCredential { account: Some("1".into()), ..new("alice", "p", tokens(name, name)) };
    let login = || NewLogin { first: granted("first"), further: vec![("user".into(), granted("further"))] };
    let terms = LoginTerms {
        reconnect: None,
        only_existing: false,
        begun_at: None,
        revocation: RevocationScope::Never,
        retry_for: WEEK,
    };
    let kept = bench.vault.credentials().keep_login(login(), terms, &who).await.unwrap();
    let KeptLogin::Kept { first, further } = kept else { panic!("a refusal") };
    assert!(further[0].exportable.0);
    let update = CredentialUpdate { title: None, secret: None, exportable: Some(false) };
    bench.vault.credentials().update(&first.user, &first.id, update, &who).await.unwrap();
    let kept = bench.vault.credentials().keep_login(login(), reconnecting(&first), &who).await.unwrap();
    let KeptLogin::Kept { first, further: again } = kept else { panic!("a refusal") };
    assert_eq!((first.exportable, again[0].exportable), (Exportable(false), Exportable(false)));
    assert_eq!(again[0].id, further[0].id, "it is replaced");
}
