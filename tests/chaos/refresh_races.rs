//! A hundred callers at once on a token that has ended: one refresh, one answer, whatever else happens to the credential.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::support::Server;
use crate::support::flow::CALLBACK;
use crate::support::http::Reply;
use futures_util::future::join_all;
use http::Method;
use serde_json::{Value, json};

const HOUR: Duration = Duration::from_secs(3_600);

fn path(id: &str, rest: &str) -> String {
    format!("/v1/integrations/sandbox/credentials/{id}{rest}")
}

async fn ask_for_token(server: &Server, id: &str) -> Reply {
    server.get(&path(id, "/token")).key(&server.key).send().await
}

async fn a_hundred(server: &Server, id: &str) -> Vec<Reply> {
    join_all((0..100).map(|_| ask_for_token(server, id))).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hundred_callers_share_one_refresh() {
    let server = Server::start().await;
    let id = server.connect("sandbox").await;
    let mut given = BTreeSet::new();
    for round in 0..crate::support::campaign(3, 20, 200) {
        server.clock.advance(HOUR);
        let before = server.token_requests();
        let answers: BTreeSet<String> =
            a_hundred(&server, &id).await.into_iter().map(|reply| reply.is(200).json().to_string()).collect();
        assert_eq!(server.token_requests() - before, 1, "round {round}");
        assert_eq!(answers.len(), 1, "round {round}: {answers:?}");
        assert!(given.insert(answers), "round {round}: a token of before");
    }
    assert_eq!(server.sandbox.live_grants(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hung_up_callers_cancel_nobody() {
    let server = Server::start().await;
    let id = server.connect("sandbox").await;
    for round in 0..crate::support::campaign(2, 10, 100) {
        server.clock.advance(HOUR);
        let before = server.token_requests();
        server.sandbox_holds_token_answers(true);
        // The very first, for whom the refresh was begun, goes too.
        let impatient =
            join_all((0..20).map(|_| tokio::time::timeout(Duration::from_millis(150), ask_for_token(&server, &id))));
        assert!(impatient.await.iter().all(Result::is_err), "they gave up while the provider was thinking");
        let (answers, ()) = tokio::join!(a_hundred(&server, &id), async {
            tokio::time::sleep(Duration::from_millis(20)).await;
            server.sandbox_holds_token_answers(false);
        });
        let answers: BTreeSet<String> = answers.into_iter().map(|reply| reply.is(200).json().to_string()).collect();
        assert_eq!((answers.len(), server.token_requests() - before), (1, 1), "round {round}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn forced_and_background_refreshes_join_the_running_one() {
    let server = Server::start().await;
    let id = server.connect("sandbox").await;
    for round in 0..crate::support::campaign(2, 10, 100) {
        server.clock.advance(HOUR);
        let before = server.token_requests();
        server.sandbox_holds_token_answers(true);
        let all = async {
            let forced = (0..10).map(|_| server.post(&path(&id, "/refresh")).key(&server.key).send());
            let ahead = server.broker.refresh_due();
            tokio::join!(join_all(forced), a_hundred(&server, &id), ahead)
        };
        let release = async {
            crate::support::eventually("it is under way", async || server.token_requests() > before).await;
            let shown = server.get(&path(&id, "")).key(&server.key).send().await.is(200).json();
            assert_eq!((&shown["status"], &shown["in_doubt_since"]), (&json!("refreshing"), &Value::Null));
            // Time for all of them to arrive, on a machine that has more to do.
            tokio::time::sleep(Duration::from_secs(1)).await;
            server.sandbox_holds_token_answers(false);
        };
        let ((forced, asked, ahead), ()) = tokio::join!(all, release);
        assert!(forced.into_iter().all(|reply| reply.is(200).json()["status"] != "needs_reauth"));
        assert!(asked.into_iter().all(|reply| reply.status == 200));
        ahead.unwrap();
        assert_eq!(server.token_requests() - before, 1, "round {round}");
    }
}

/// Events during the refresh of a credential.
#[derive(Clone, Copy, Debug)]
enum Meanwhile {
    Retitled,
    Deleted,
    ConnectedAgain,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn delete_patch_and_reconnect_may_interrupt_a_refresh() {
    let server = Server::start().await;
    let mut stored = server.connect("sandbox").await;
    for round in 0..crate::support::campaign(6, 30, 200) {
        let what = [Meanwhile::Retitled, Meanwhile::ConnectedAgain, Meanwhile::Deleted][round as usize % 3];
        server.clock.advance(HOUR);
        let before = server.token_requests();
        server.sandbox_holds_token_answers(true);
        let interfere = async {
            crate::support::eventually("it is under way", async || server.token_requests() > before).await;
            happen(&server, &stored, what).await;
        };
        let (answers, ()) = tokio::join!(a_hundred(&server, &stored), interfere);
        let statuses: BTreeSet<u16> = answers.iter().map(|reply| reply.status).collect();
        let tokens: BTreeSet<String> =
            answers.iter().filter(|reply| reply.status == 200).map(|reply| reply.json().to_string()).collect();
        match what {
            Meanwhile::Deleted => {
                assert_eq!(statuses, [404].into(), "round {round}");
                server.clock.advance(Duration::from_secs(120));
                server.broker.retry_revocations().await.unwrap();
                assert_eq!(server.sandbox.live_grants(), 0, "round {round}: what came too late is revoked");
                stored = server.connect("sandbox").await;
            }
            Meanwhile::Retitled | Meanwhile::ConnectedAgain => {
                // One token; or, where the login was stored last, that of the refresh for some and the login's for others.
                let reconnected = matches!(what, Meanwhile::ConnectedAgain);
                assert_eq!(statuses, [200].into(), "round {round} {what:?}");
                assert!(tokens.len() <= 1 + usize::from(reconnected), "round {round} {what:?}: {tokens:?}");
                assert_eq!(server.token_requests() - before, 1 + u64::from(reconnected), "round {round} {what:?}");
                // The stored tokens work: the next refresh succeeds.
                server.post(&path(&stored, "/refresh")).key(&server.key).send().await.is(200);
            }
        }
        let shown = server.list().await;
        assert_eq!(shown.as_array().unwrap().len(), 1, "round {round}");
    }
}

/// Does it while the sandbox holds its answers to the refresh back, and lets go of them in the end.
async fn happen(server: &Server, id: &str, what: Meanwhile) {
    match what {
        Meanwhile::Retitled => {
            let body = json!({"title": "meanwhile"});
            let patched = server.ask(Method::PATCH, &path(id, "")).key(&server.key).json(&body).send().await;
            assert_eq!(patched.is(200).json()["title"], "meanwhile");
            server.sandbox_holds_token_answers(false);
        }
        Meanwhile::Deleted => {
            server.delete(&path(id, "")).key(&server.key).send().await.is(200);
            server.sandbox_holds_token_answers(false);
        }
        Meanwhile::ConnectedAgain => {
            // Its own exchange has to be answered, so the refresh is let go of beside it; which of the two is stored first
            // is left to chance.
            let started =
                server.initiate_with("sandbox", &json!({"callback_url": CALLBACK, "credential_id": id})).await;
            let callback = server.log_in(&started).await;
            let (completed, ()) = tokio::join!(server.complete("sandbox", &callback), async {
                server.sandbox_holds_token_answers(false);
            });
            assert_eq!(completed.is(200).json()["credentials_id"], id);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fresh_token_waits_for_no_other_refresh() {
    let server = Server::start().await;
    let [stuck, fresh] = [server.connect("sandbox").await, server.connect("sandbox").await];
    server.clock.advance(Duration::from_secs(3_400));
    ask_for_token(&server, &fresh).await.is(200);
    let before = server.token_requests();
    server.sandbox_holds_token_answers(true);
    let waiting = tokio::spawn(server.get(&path(&stuck, "/token")).key(&server.key).send());
    crate::support::eventually("it is under way", async || server.token_requests() > before).await;
    for _ in 0..20 {
        ask_for_token(&server, &fresh).await.is(200);
        server.get(&path(&stuck, "")).key(&server.key).send().await.is(200);
    }
    assert!(!waiting.is_finished());
    server.sandbox_holds_token_answers(false);
    waiting.await.unwrap().is(200);
    assert_eq!(server.token_requests(), before + 1);
}
