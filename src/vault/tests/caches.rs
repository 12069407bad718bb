//! Cached lists and API keys are never older than a commit that was answered, whichever process
//! made it.

use super::*;
use crate::vault::credentials::summary_cache::SummaryCache;

/// A time at which nothing expires.
const NOW: UnixTime = UnixTime(1_800_000_000);

fn text(all: &[CredentialMetadata]) -> Vec<u8> {
    let all: Vec<_> = all.iter().map(|metadata| (&metadata.title, metadata.last_used_at)).collect();
    format!("{all:?}").into_bytes()
}

/// Alice's list, from the cache if it is there.
fn shown(vault: &Vault) -> String {
    let shown = vault.credentials().list_rendered(&user("alice"), None, 1000, NOW, text).unwrap().unwrap();
    String::from_utf8(shown.to_vec()).unwrap()
}

/// Alice's list, from the file.
fn stored(vault: &Vault) -> String {
    String::from_utf8(text(&vault.credentials().list(&user("alice"), None, CredentialPage::default()).unwrap()))
        .unwrap()
}

fn is_cached(vault: &Vault) -> bool {
    vault.core().store.cached(None, |cache: &mut SummaryCache| cache.find("alice", None).is_some()).unwrap()
}

/// Changes alice's credentials in one of five ways.
async fn change(bench: &Bench, number: usize, first: &CredentialMetadata) {
    let (vault, who) = (&bench.vault, AuditContext::system());
    match number {
        0 => drop(bench.add("alice", "q", api_key("k")).await),
        1 => drop(vault.credentials().update(&first.user, &first.id, title("new"), &who).await.unwrap()),
        2 => drop(bench.read(first).await),
        3 => drop(bench.replace(first, new("alice", "p", api_key("l"))).await),
        4 => drop(bench.delete(first, RevocationScope::Never).await),
        _ => unreachable!(),
    }
}

#[tokio::test]
async fn list_is_cached_until_a_commit() {
    let bench = Bench::new();
    let vault = &bench.vault;
    let first = bench.add("alice", "p", api_key("k")).await;
    for number in 0..5 {
        assert!(!is_cached(vault), "{number}");
        shown(vault);
        assert!(is_cached(vault), "{number}");
        bench.clock.advance(Duration::from_secs(1));
        let before = stored(vault);
        change(&bench, number, &first).await;
        assert!(!is_cached(vault), "{number}");
        assert_eq!(shown(vault), stored(vault), "{number}");
        assert!(number == 3 || before != stored(vault), "{number} changes what is seen");
        bench.add("bob", "p", api_key("k")).await;
    }
}

#[tokio::test]
async fn list_shows_the_commits_of_every_process() {
    let bench = Bench::new();
    let other = bench.beside();
    let first = bench.add("alice", "p", api_key("k")).await;
    for number in 0..30 {
        let name = format!("title {number}");
        shown(&bench.vault);
        let by = if number % 3 == 0 { &other } else { &bench.vault };
        by.credentials().update(&first.user, &first.id, title(&name), &AuditContext::system()).await.unwrap();
        let one = bench.vault.credentials().get(&first.user, &first.id).unwrap().unwrap();
        assert!(one.title == name && shown(&bench.vault).contains(&format!("{name:?}")), "{number}");
    }
    shown(&bench.vault);
    let who = AuditContext::system();
    other.credentials().delete(&first.user, &first.id, RevocationScope::Never, WEEK, &who).await.unwrap().unwrap();
    assert!(bench.vault.credentials().get(&first.user, &first.id).unwrap().is_none());
    assert_eq!(shown(&bench.vault), "[]");
}

#[tokio::test]
async fn credential_read_alone_is_kept_until_a_commit() {
    let bench = Bench::new();
    let vault = &bench.vault;
    let first = bench.add("alice", "p", api_key("k")).await;
    let get = |user: &UserId| vault.credentials().get(user, &first.id).unwrap();
    let is_kept = || {
        let find = |cache: &mut SummaryCache| cache.find_alone(&first.user, &first.id).is_some();
        vault.core().store.cached(None, find).unwrap()
    };
    for number in 0..5 {
        assert!(!is_kept(), "{number}");
        let before = get(&first.user);
        assert!(is_kept() && get(&first.user) == before, "{number}");
        assert_eq!(get(&user("bob")), None, "another user's");
        bench.clock.advance(Duration::from_secs(1));
        change(&bench, number, &first).await;
        assert!(!is_kept(), "{number}");
        assert!(number == 0 || get(&first.user) != before, "{number}");
        bench.add("bob", "p", api_key("k")).await;
    }
}

#[tokio::test]
async fn state_of_a_request_ends_with_a_later_commit() {
    let bench = Bench::new();
    let (vault, other) = (&bench.vault, bench.beside());
    let first = bench.add("alice", "p", api_key("k")).await;
    for number in 0..4 {
        let before = vault.check().unwrap();
        let listed =
            |state| vault.credentials().at(state).list_rendered(&first.user, None, 1000, NOW, text).unwrap().unwrap();
        let titled = |state| vault.credentials().at(state).get(&first.user, &first.id).unwrap().unwrap().title;
        assert_eq!(listed(&before), shown(vault));
        let name = format!("title {number}");
        let by = if number % 2 == 0 { &other } else { vault };
        by.credentials().update(&first.user, &first.id, title(&name), &AuditContext::system()).await.unwrap();
        let after = vault.check().unwrap();
        assert_eq!((titled(&after), listed(&after)), (name.clone(), stored(vault).into()));
        assert_eq!((titled(&before), listed(&before)), (name, stored(vault).into()), "its values are gone");
    }
}

#[test]
fn no_list_is_older_than_the_last_commit() {
    use std::sync::atomic::{AtomicBool, Ordering};

    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let bench = Bench::new();
    let other = bench.beside();
    let first = runtime.block_on(bench.add("alice", "p", api_key("k")));
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    shown(&bench.vault);
                }
            });
        }
        for number in 0..150 {
            let name = format!("title {number}");
            let by = if number % 4 == 0 { &other } else { &bench.vault };
            let who = AuditContext::system();
            runtime.block_on(by.credentials().update(&first.user, &first.id, title(&name), &who)).unwrap();
            if !shown(&bench.vault).contains(&format!("{name:?}")) {
                over.store(true, Ordering::Relaxed);
                panic!("an old list after commit {number}");
            }
        }
        over.store(true, Ordering::Relaxed);
    });
}

#[tokio::test]
async fn edit_in_sql_is_found_although_the_list_is_cached() {
    let bench = Bench::new();
    let first = bench.add("alice", "p", api_key("k")).await;
    shown(&bench.vault);
    assert!(is_cached(&bench.vault));
    bench.attack("UPDATE credential SET status = 'needs_reauth'");
    assert!(
        bench
            .vault
            .credentials()
            .list_rendered(&first.user, None, 1000, NOW, text)
            .is_err_and(|error| error.is_damage())
    );
    assert!(bench.vault.credentials().get(&first.user, &first.id).is_err());
}

#[tokio::test]
async fn pages_and_providers_are_parts_of_the_list() {
    let bench = Bench::new();
    for number in 0..7 {
        bench.add("alice", if number % 2 == 0 { "p" } else { "q" }, api_key("k")).await;
    }
    let (alice, vault) = (user("alice"), &bench.vault);
    let all = vault.credentials().list(&alice, None, CredentialPage::default()).unwrap();
    for provider in [None, Some("p"), Some("q"), Some("r")].map(|name| name.map(|name| name.parse().unwrap())) {
        let of_provider = |metadata: &&CredentialMetadata| provider.as_ref().is_none_or(|p| metadata.provider == *p);
        let expected: Vec<_> = all.iter().filter(of_provider).cloned().collect();
        for _ in 0..2 {
            let rendered = vault.credentials().list_rendered(&alice, provider.as_ref(), 1000, NOW, text).unwrap();
            assert_eq!(rendered.unwrap(), text(&expected));
        }
        for limit in [None, Some(1), Some(3), Some(9)] {
            for after in std::iter::once(None).chain(all.iter().map(|metadata| Some(metadata.id))) {
                let page = CredentialPage { limit, after };
                let listed =
                    vault.credentials().list_each(&alice, &KeyLimits::default(), provider.as_ref(), page).unwrap();
                let seen: Vec<_> = listed.into_iter().map(Result::unwrap).collect();
                let behind = expected.iter().filter(|metadata| after.is_none_or(|after| metadata.id > after));
                let expected: Vec<_> = behind.take(limit.map_or(usize::MAX, |limit| limit as usize)).cloned().collect();
                assert_eq!(seen, expected);
            }
        }
    }
}

#[tokio::test]
async fn api_keys_follow_every_commit() {
    let bench = Bench::new();
    let vault = &bench.vault;
    let (key, text) = super::api_keys::make(vault, KeyHolder::User(user("alice"))).await;
    assert!(vault.api_keys().authenticate(text.expose()).unwrap().is_some());
    let (_, other) = super::api_keys::make(vault, KeyHolder::User(user("bob"))).await;
    assert!(vault.api_keys().authenticate(other.expose()).unwrap().is_some());
    bench.beside().users().add(&user("carol"), &AuditContext::command_line()).await.unwrap();
    assert!(vault.api_keys().authenticate(text.expose()).unwrap().is_some());
    vault.api_keys().revoke(key.id, &AuditContext::command_line()).await.unwrap();
    assert!(vault.api_keys().authenticate(text.expose()).unwrap().is_none());
    bench.add("alice", "p", api_key("k")).await;
    assert!(vault.api_keys().authenticate(text.expose()).unwrap().is_none(), "it stays revoked");
}
