//! A refresh, as the vault sees it: intent, end, failure, refusal, and the case that another
//! caller was faster.

use std::sync::Arc;

use super::*;
use crate::jose::SigningKey;

pub(super) async fn begin(bench: &Bench, of: &CredentialMetadata) -> RefreshTicket {
    let begun =
        bench.vault.refreshes().begin(&of.user, &of.id, |_, _| None::<()>, &AuditContext::system()).await.unwrap();
    let RefreshStart::Begun(ticket, _) = begun else { panic!("nothing is against it") };
    *ticket
}

pub(super) async fn finish(bench: &Bench, ticket: &RefreshTicket, token: &str) -> Option<CredentialMetadata> {
    finish_as(bench, ticket, token, RevocationScope::Token).await
}

async fn finish_as(
    bench: &Bench,
    ticket: &RefreshTicket,
    token: &str,
    overtaken: RevocationScope,
) -> Option<CredentialMetadata> {
    let CredentialSecret::OAuth2(tokens) = tokens(token, &format!("{token}-refresh")) else { panic!() };
    let expires_at = Some(bench.clock.now().plus(Duration::from_secs(3600)));
    let refreshed = Refreshed { tokens, scopes: vec!["repo".into()], expires_at, refresh_at: expires_at };
    let quota = Quota { credentials: 10, bytes: 1 << 20 };
    let terms = RefreshTerms { revocation: overtaken, retry_for: WEEK, quota };
    match bench.vault.refreshes().finish(ticket, refreshed, terms, &AuditContext::system()).await.unwrap() {
        RefreshEnd::Stored(summary) => Some(*summary),
        RefreshEnd::Overtaken(_) | RefreshEnd::NoRoom(_) => None,
    }
}

async fn fail(bench: &Bench, ticket: &RefreshTicket, in_doubt: bool) -> Option<CredentialMetadata> {
    let next_try = bench.clock.now().plus(Duration::from_secs(10));
    let failure = RefreshFailure { what: "status 503".into(), next_try, told_to_wait: false, in_doubt, refused: false };
    bench.vault.refreshes().fail(ticket, failure, &AuditContext::system()).await.unwrap()
}

fn now(bench: &Bench, of: &CredentialMetadata) -> CredentialMetadata {
    bench.vault.credentials().get(&of.user, &of.id).unwrap().unwrap()
}

#[tokio::test]
// Requirement 53.
async fn refresh_intent_is_on_disk_before_the_request() {
    let bench = Bench::new();
    let stored = bench.connect("alice", Some("42")).await;
    begin(&bench, &stored).await;
    assert_eq!(bench.audited("refresh.begin"), 1);
    let after_a_crash = bench.beside().credentials().get(&stored.user, &stored.id).unwrap().unwrap();
    assert_eq!(after_a_crash.refreshing.in_doubt_since, Some(bench.clock.now()));
    assert_eq!(texts(&bench.read(&stored).await.unwrap().1)[1], "rt", "with the token that is to be tried again");
    bench.assert_manifest_holds();
}

#[tokio::test]
// Requirement 52.
async fn refresh_is_decided_inside_the_transaction() {
    let bench = Bench::new();
    let stored = bench.connect("alice", Some("42")).await;
    let decline = |summary: &CredentialMetadata, tokens: &Tokens| {
        Some((summary.title.clone(), tokens.refresh_token.as_ref().map(|token| token.expose().to_owned())))
    };
    let begun =
        bench.vault.refreshes().begin(&stored.user, &stored.id, decline, &AuditContext::system()).await.unwrap();
    let RefreshStart::Declined(seen) = begun else { panic!("it was declined") };
    assert_eq!(seen, ("a title".to_owned(), Some("rt".to_owned())));
    assert_eq!(now(&bench, &stored), stored, "nothing is written");
    assert_eq!(bench.audited("refresh.begin"), 0);
    let key = bench.add("alice", "openai", api_key("k")).await;
    let begun =
        bench.vault.refreshes().begin(&key.user, &key.id, |_, _| None::<()>, &AuditContext::system()).await.unwrap();
    assert!(matches!(begun, RefreshStart::Gone), "an API key has no refresh");
}

#[tokio::test]
async fn refreshed_tokens_replace_everything_at_once() {
    let bench = Bench::new();
    let stored = bench.connect("alice", Some("42")).await;
    let failed = begin(&bench, &stored).await;
    fail(&bench, &failed, true).await;
    bench.clock.advance(Duration::from_secs(60));
    let ticket = begin(&bench, &stored).await;
    bench
        .vault
        .credentials()
        .update(&stored.user, &stored.id, title("renamed"), &AuditContext::system())
        .await
        .unwrap();
    let done = finish(&bench, &ticket, "new").await.expect("a new title is in nobody's way");
    assert_eq!(done.title, "renamed");
    assert_eq!(done.scopes, Some(vec!["repo".to_owned()]));
    assert_eq!(done.expires_at, Some(bench.clock.now().plus(Duration::from_secs(3600))));
    let left =
        RefreshState { possible: None, lifetime: None, lapses_at: None, refresh_at: None, ..done.refreshing.clone() };
    assert_eq!(left, RefreshState::default(), "neither doubt nor error is left");
    assert_eq!(now(&bench, &stored), done);
    assert_eq!(texts(&bench.read(&stored).await.unwrap().1)[..2], ["new", "new-refresh"]);
    assert_eq!(bench.audited("refresh.finish"), 1);
    assert!(finish(&bench, &ticket, "again").await.is_none(), "a ticket ends once");
    bench.assert_manifest_holds();
}

#[tokio::test]
// Requirement 25.
async fn doubt_stays_until_an_answer_resolves_it() {
    let bench = Bench::new();
    let stored = bench.connect("alice", Some("42")).await;
    let ticket = begin(&bench, &stored).await;
    let failed = fail(&bench, &ticket, false).await.unwrap();
    assert_eq!(failed.refreshing.in_doubt_since, None, "an answer is no doubt, whatever it says");
    assert_eq!((failed.refreshing.failures, failed.status), (1, CredentialStatus::Active));
    assert_eq!(failed.refreshing.next_try, Some(bench.clock.now().plus(Duration::from_secs(10))));
    assert_eq!(failed.refreshing.last_error.unwrap().what, "status 503");
    let ticket = begin(&bench, &stored).await;
    let since = bench.clock.now();
    assert_eq!(fail(&bench, &ticket, true).await.unwrap().refreshing.in_doubt_since, Some(since));
    bench.clock.advance(Duration::from_secs(30));
    let ticket = begin(&bench, &stored).await;
    let failed = fail(&bench, &ticket, false).await.unwrap();
    assert_eq!((failed.refreshing.in_doubt_since, failed.refreshing.failures), (Some(since), 3));
    assert_eq!(texts(&bench.read(&stored).await.unwrap().1)[..2], ["at", "rt"]);
    bench.assert_manifest_holds();
}

#[tokio::test]
async fn refusal_needs_reauth_and_keeps_the_tokens() {
    let bench = Bench::new();
    let stored = bench.connect("alice", Some("42")).await;
    let ticket = begin(&bench, &stored).await;
    let refused = bench
        .vault
        .refreshes()
        .mark_needs_reauth(&ticket, "invalid_grant".into(), &AuditContext::system())
        .await
        .unwrap()
        .unwrap();
    assert_eq!((refused.status, refused.refreshing.in_doubt_since), (CredentialStatus::NeedsReauth, None));
    assert_eq!(texts(&bench.read(&stored).await.unwrap().1)[..2], ["at", "rt"]);
    assert!(bench.vault.refreshes().due(UnixTime(i64::MAX), 9).unwrap().is_empty());
    let mended = bench.replace(&stored, new("alice", "github", tokens("two", "r2"))).await.unwrap();
    assert_eq!((mended.status, mended.refreshing.last_error), (CredentialStatus::Active, None));
    bench.assert_manifest_holds();
}

// A server that grows its tokens at each refresh must not fill the vault.
#[tokio::test]
async fn refreshes_grow_a_user_to_twice_the_quota_at_most() {
    let bench = Bench::new();
    let stored = bench.connect("alice", Some("42")).await;
    let usage = || bench.vault.status().unwrap().revocations;
    for (kibibytes, fits) in [(900, true), (1_400, true), (2_100, false)] {
        let ticket = begin(&bench, &stored).await;
        let done = finish(&bench, &ticket, &"t".repeat(kibibytes << 9)).await;
        assert_eq!(done.is_some(), fits, "{kibibytes} KiB");
    }
    let left = now(&bench, &stored);
    assert_eq!(left.status, CredentialStatus::NeedsReauth);
    assert!(left.refreshing.last_error.unwrap().what.contains("quota"));
    assert_eq!(texts(&bench.read(&stored).await.unwrap().1)[0].len(), 1_400 << 9, "the older tokens stay");
    assert_eq!(usage(), 1, "the new tokens are revoked");
    bench.assert_manifest_holds();
}

#[tokio::test]
async fn late_tokens_overwrite_nothing_and_are_revoked() {
    let shared = RevocationScope::UnlessShared(vec!["github".parse().unwrap()]);
    for (revocation, deleted, queued) in [
        (RevocationScope::Token, false, 1),
        (RevocationScope::Token, true, 1),
        (shared.clone(), true, 1),
        // Connected again to the same account: to revoke would end the new grant too.
        (shared, false, 0),
        (RevocationScope::Never, true, 0),
    ] {
        let bench = Bench::new();
        let stored = bench.connect("alice", Some("42")).await;
        let ticket = begin(&bench, &stored).await;
        if deleted {
            bench.delete(&stored, RevocationScope::Never).await.unwrap();
        } else {
            bench.replace(&stored, new("alice", "github", tokens("connected", "again"))).await.unwrap();
        }
        let before = bench.vault.credentials().get(&stored.user, &stored.id).unwrap();
        assert!(finish_as(&bench, &ticket, "late", revocation.clone()).await.is_none());
        assert!(fail(&bench, &ticket, true).await.is_none());
        assert_eq!(bench.vault.credentials().get(&stored.user, &stored.id).unwrap(), before);
        bench.clock.advance(Duration::from_secs(120));
        let due = bench.vault.revocations().due(bench.clock.now(), bench.clock.now(), 9).unwrap();
        assert_eq!(due.len(), queued, "{revocation:?} {deleted}");
        for one in due {
            assert_eq!(one.unwrap().tokens.access_token.expose(), "late");
        }
        bench.assert_manifest_holds();
    }
}

#[tokio::test]
async fn reconnection_keeps_account_and_refresh_token() {
    let bench = Bench::new();
    let stored = bench.connect("alice", Some("42")).await;
    let no_refresh_token = |account: Option<&str>| {
        let CredentialSecret::OAuth2(tokens) = tokens("new", "x") else { panic!() };
        let material = CredentialSecret::OAuth2(Tokens { refresh_token: None, ..tokens });
        NewCredential { account: account.map(Into::into), ..new("alice", "github", material) }
    };
    bench.replace(&stored, no_refresh_token(Some("42"))).await.unwrap();
    assert_eq!(texts(&bench.read(&stored).await.unwrap().1)[..2], ["new", "rt"], "the old refresh token still serves");
    for (account, is_known) in [(Some("43"), true), (None, false)] {
        let refused = bench
            .vault
            .credentials()
            .replace(replacement(&stored), no_refresh_token(account), &AuditContext::system())
            .await
            .unwrap();
        assert!(matches!(refused, ReplaceOutcome::OtherAccount { known, .. } if known == is_known));
    }
    assert_eq!(texts(&bench.read(&stored).await.unwrap().1)[..2], ["new", "rt"]);
    let told = Replacement { any_account: true, ..replacement(&stored) };
    let replaced =
        bench.vault.credentials().replace(told, no_refresh_token(Some("43")), &AuditContext::system()).await.unwrap();
    assert!(matches!(replaced, ReplaceOutcome::Done(summary) if summary.account.as_deref() == Some("43")));
    assert_eq!(texts(&bench.read(&stored).await.unwrap().1)[1], "", "not the other account's");
    bench.assert_manifest_holds();
}

#[tokio::test]
async fn kept_refresh_token_keeps_what_it_is_bound_to() {
    let bench = Bench::new();
    let of_login = |uri: &str, refresh_token: Option<&str>, dpop_key: Option<Arc<SigningKey>>| {
        let CredentialSecret::OAuth2(tokens) = tokens(uri, "x") else { panic!() };
        let material = CredentialSecret::OAuth2(Tokens {
            refresh_token: refresh_token.map(Secret::new),
            refresh_expires_at: refresh_token.map(|_| UnixTime(2_000_000_000)),
            redirect_uri: Some(uri.to_owned()),
            dpop_key,
            ..tokens
        });
        NewCredential { account: Some("42".to_owned()), ..new("alice", "github", material) }
    };
    let key = || Some(Arc::new(SigningKey::generate()));
    for (old_key, new_key, is_kept) in [(None, None, true), (None, key(), true), (key(), key(), false)] {
        let (old, who) = (of_login("old", Some("rt"), old_key), AuditContext::system());
        let stored = bench.vault.credentials().insert(old, &who).await.unwrap();
        let summary = bench.replace(&stored, of_login("new", None, new_key)).await.unwrap();
        let CredentialSecret::OAuth2(tokens) = bench.read(&stored).await.unwrap().1 else { panic!() };
        assert_eq!(tokens.access_token.expose(), "new");
        assert_eq!((tokens.refresh_token.is_some(), summary.refreshing.possible), (is_kept, Some(is_kept)));
        assert_eq!(tokens.redirect_uri.as_deref(), Some(if is_kept { "old" } else { "new" }));
        let lapses_at = is_kept.then_some(UnixTime(2_000_000_000));
        assert_eq!((tokens.refresh_expires_at, summary.refreshing.lapses_at), (lapses_at, lapses_at));
        assert_eq!(summary.refreshing.refresh_at.is_some(), is_kept, "the background refreshes it");
    }
    bench.assert_manifest_holds();
}

#[tokio::test]
async fn due_refreshes_use_an_index() {
    let bench = Bench::new();
    let stored = bench.connect("alice", Some("42")).await;
    let at = |seconds| Some(UnixTime(bench.clock.now().0 + seconds));
    assert!(bench.vault.refreshes().due(UnixTime(i64::MAX), 9).unwrap().is_empty(), "it has no time yet");
    bench.vault.refreshes().schedule(&stored.user, &stored.id, at(60)).await.unwrap();
    assert!(bench.vault.refreshes().due(bench.clock.now(), 9).unwrap().is_empty());
    let due = bench.vault.refreshes().due(at(60).unwrap(), 9).unwrap();
    assert_eq!(due, [(stored.user.clone(), stored.id, stored.provider.clone())]);
    let other = bench.add("bob", "gitlab", tokens("a", "r")).await;
    for one in [&other, &bench.add("bob", "github", tokens("a", "r")).await] {
        bench.vault.refreshes().schedule(&one.user, &one.id, at(61)).await.unwrap();
    }
    let due = bench.vault.refreshes().due(at(99).unwrap(), 1).unwrap();
    assert_eq!(due.iter().map(|(_, id, _)| *id).collect::<Vec<_>>(), [stored.id, other.id], "one of each provider");
    let plan: String = Connection::open(bench.path())
        .unwrap()
        .query_row(
            "EXPLAIN QUERY PLAN SELECT user, id, provider FROM credential WHERE refresh_at <= 5 ORDER BY refresh_at",
            [],
            |row| row.get("detail"),
        )
        .unwrap();
    assert!(plan.contains("credential_refresh") && !plan.contains("SCAN"), "{plan}");
    bench.assert_manifest_holds();
}

#[tokio::test]
async fn users_take_turns_in_the_due_refreshes() {
    let bench = Bench::new();
    let due =
        |user: &str, at: i64| NewCredential { refresh_at: Some(UnixTime(at)), ..new(user, "github", tokens("a", "r")) };
    for (user, at) in [("mallory", 1), ("mallory", 2), ("mallory", 3), ("alice", 4), ("bob", 5)] {
        bench.vault.credentials().insert(due(user, at), &AuditContext::system()).await.unwrap();
    }
    let users = |limit| -> Vec<String> {
        let due = bench.vault.refreshes().due(UnixTime(9), limit).unwrap();
        due.into_iter().map(|(user, ..)| user.to_string()).collect()
    };
    assert_eq!(users(3), ["mallory", "alice", "bob"]);
    assert_eq!(users(9), ["mallory", "mallory", "mallory", "alice", "bob"]);
}
