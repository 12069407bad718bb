//! What is in memory is never older than a commit that was answered, whoever made it; and it is used.

use super::*;

/// Titles and times of the last use as the list of alice shows them.
fn listed(vault: &Vault) -> Vec<(String, Option<UnixTime>)> {
    let mut seen = Vec::new();
    vault
        .list_each(&user("alice"), None, CredentialPage::default(), |row| {
            let summary = row.unwrap();
            seen.push((summary.title.clone(), summary.last_used_at));
        })
        .unwrap();
    seen
}

/// The same out of the file.
fn stored(vault: &Vault) -> Vec<(String, Option<UnixTime>)> {
    let all = vault.list(&user("alice"), None, CredentialPage::default()).unwrap();
    all.into_iter().map(|summary| (summary.title, summary.last_used_at)).collect()
}

/// Whether a user's whole list is in memory, for this moment.
fn is_kept(vault: &Vault, user: &str) -> bool {
    let at = vault.inner.store.moment().expect("the server knows the moment");
    vault.inner.memory.list(at, user, None).is_some()
}

/// Whether the table of API keys is, without a look into the file.
fn has_keys(vault: &Vault) -> bool {
    vault.inner.memory.keys.load().as_ref().is_some_and(|table| table.is_of(vault.inner.store.moment()))
}

/// Everything that can be done to a credential by itself.
async fn change(bench: &Bench, number: usize, first: &CredentialMetadata) {
    let (vault, who) = (&bench.vault, AuditContext::system());
    match number {
        0 => drop(bench.add("alice", "q", api_key("k")).await),
        1 => drop(vault.amend_credential(&first.user, &first.id, title("new"), &who).await.unwrap()),
        2 => drop(bench.read(first).await),
        3 => drop(bench.replace(first, new("alice", "p", api_key("l"))).await),
        4 => drop(bench.delete(first, RevocationScope::Never).await),
        _ => unreachable!(),
    }
}

#[tokio::test]
async fn a_list_is_kept_until_something_of_its_user_is_written() {
    let bench = Bench::new();
    let vault = &bench.vault;
    let first = bench.add("alice", "p", api_key("k")).await;
    let bobs = bench.add("bob", "p", api_key("k")).await;
    assert!(!is_kept(vault, "alice"));
    listed(vault);
    assert!(is_kept(vault, "alice"));
    // What is written of others leaves it where it is.
    bench.read(&bobs).await.unwrap();
    bench.add("carol", "p", api_key("k")).await;
    vault.put_pending("s", super::pending::login(&bench, "alice"), &AuditContext::system()).await.unwrap();
    vault.writable().await.unwrap();
    assert!(is_kept(vault, "alice"));

    for number in 0..5 {
        listed(vault);
        assert!(is_kept(vault, "alice"), "{number}");
        bench.clock.advance(Duration::from_secs(1));
        let before = stored(vault);
        change(&bench, number, &first).await;
        assert!(!is_kept(vault, "alice"), "{number}");
        assert_eq!(listed(vault), stored(vault), "{number}");
        assert!(number == 3 || before != stored(vault), "{number} changes what is seen");
    }
}

#[tokio::test]
async fn whoever_commits_the_next_list_and_the_next_look_show_it() {
    let bench = Bench::new();
    let other = bench.beside();
    let first = bench.add("alice", "p", api_key("k")).await;
    for number in 0..30 {
        let name = format!("title {number}");
        listed(&bench.vault);
        let by = if number % 3 == 0 { &other } else { &bench.vault };
        by.amend_credential(&first.user, &first.id, title(&name), &AuditContext::system()).await.unwrap();
        let one = bench.vault.credential(&first.user, &first.id).unwrap().unwrap();
        assert_eq!((listed(&bench.vault)[0].0.as_str(), one.title.as_str()), (name.as_str(), name.as_str()));
    }
    listed(&bench.vault);
    other
        .delete_credential(&first.user, &first.id, RevocationScope::Never, WEEK, &AuditContext::system())
        .await
        .unwrap()
        .unwrap();
    assert!(bench.vault.credential(&first.user, &first.id).unwrap().is_none());
    assert_eq!(listed(&bench.vault), []);
}

#[test]
fn writers_and_readers_at_one_time_leave_no_old_list_behind() {
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
                    listed(&bench.vault);
                }
            });
        }
        for number in 0..150 {
            let name = format!("title {number}");
            let by = if number % 4 == 0 { &other } else { &bench.vault };
            let who = AuditContext::system();
            runtime.block_on(by.amend_credential(&first.user, &first.id, title(&name), &who)).unwrap();
            if listed(&bench.vault)[0].0 != name {
                over.store(true, Ordering::Relaxed);
                panic!("an old list after commit {number}");
            }
        }
        over.store(true, Ordering::Relaxed);
    });
}

#[tokio::test]
async fn an_edit_in_sql_is_found_although_the_list_is_in_memory() {
    let bench = Bench::new();
    let first = bench.add("alice", "p", api_key("k")).await;
    listed(&bench.vault);
    assert!(is_kept(&bench.vault, "alice"));
    bench.attack("UPDATE credential SET status = 'needs_reauth'");
    let mut found = Vec::new();
    bench.vault.list_each(&first.user, None, CredentialPage::default(), |row| found.push(row.is_err())).unwrap();
    assert_eq!(found, [true]);
    assert!(bench.vault.credential(&first.user, &first.id).is_err());
}

#[tokio::test]
async fn pages_and_providers_of_a_kept_list_are_those_of_the_file() {
    let bench = Bench::new();
    for number in 0..7 {
        bench.add("alice", if number % 2 == 0 { "p" } else { "q" }, api_key("k")).await;
    }
    let (alice, vault) = (user("alice"), &bench.vault);
    let all = vault.list(&alice, None, CredentialPage::default()).unwrap();
    for keeps in [false, true] {
        if keeps {
            listed(vault);
            assert!(is_kept(vault, "alice"));
        }
        for provider in [None, Some("p"), Some("q"), Some("r")].map(|name| name.map(|name| name.parse().unwrap())) {
            for limit in [None, Some(1), Some(3), Some(9)] {
                for after in std::iter::once(None).chain(all.iter().map(|summary| Some(summary.id))) {
                    let page = CredentialPage { limit, after };
                    let mut seen = Vec::new();
                    vault.list_each(&alice, provider.as_ref(), page, |row| seen.push(row.unwrap().clone())).unwrap();
                    assert_eq!(seen, vault.list(&alice, provider.as_ref(), page).unwrap());
                }
            }
        }
    }
}

#[tokio::test]
async fn the_table_of_keys_goes_along_with_commits_that_are_no_keys_and_with_no_other() {
    let bench = Bench::new();
    let vault = &bench.vault;
    let (key, text) = super::api_keys::make(vault, KeyHolder::User(user("alice"))).await;
    assert!(vault.authenticate(text.expose()).unwrap().is_some());
    assert!(has_keys(vault));
    bench.add("alice", "p", api_key("k")).await;
    vault.writable().await.unwrap();
    assert!(has_keys(vault), "nobody looked since, and it is of this moment");
    assert!(vault.authenticate(text.expose()).unwrap().is_some());

    let (_, other) = super::api_keys::make(vault, KeyHolder::User(user("bob"))).await;
    assert!(!has_keys(vault));
    assert!(vault.authenticate(other.expose()).unwrap().is_some());
    bench.beside().add_user(&user("carol"), &AuditContext::command_line()).await.unwrap();
    assert!(!has_keys(vault), "another process committed");
    assert!(vault.authenticate(text.expose()).unwrap().is_some());
    vault.revoke_api_key(key.id, &AuditContext::command_line()).await.unwrap();
    assert!(!has_keys(vault));
    assert!(vault.authenticate(text.expose()).unwrap().is_none());
    bench.add("alice", "p", api_key("k")).await;
    assert!(has_keys(vault));
    assert!(vault.authenticate(text.expose()).unwrap().is_none(), "and it stays revoked");
}

#[tokio::test]
async fn a_command_keeps_nothing() {
    let bench = Bench::new();
    bench.add("alice", "p", api_key("k")).await;
    let other = bench.beside();
    assert!(other.inner.store.moment().is_none());
    assert_eq!(listed(&other), stored(&bench.vault));
}
