//! kill -9 at each step of a refresh, against a provider that rotates and ends the grant of a token that is used twice:
//! afterwards the credential is fresh, or honestly in need of its user; never in a loop, and never is a good token lost.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::support::flow::{CALLBACK, acme_like};
use crate::support::http::{Ask, Reply};
use crate::support::process::{Installation, Process};
use crate::support::provider::relay::{Moment, Relay, Wire};
use http::Method;
use rusqlite::{Connection, OpenFlags};
use serde_json::{Value, json};
use strongroom::clock::Clock;
use strongroom::random::Random;
use strongroom::sandbox::Sandbox;

/// Step at which the server is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    /// While the request to refresh comes in, until about when the intent is written.
    BeforeTheIntent,
    /// The provider is being asked, and does not see it.
    AfterTheIntent,
    /// The provider has rotated, and we do not see it.
    AfterTheAnswer,
    /// The answer is on its way to us; the kill falls somewhere around the commit.
    AroundTheCommit,
    /// After the response to the caller.
    AfterTheCommit,
}

/// State of the credential after the restart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Found {
    Fresh,
    NeedsReauth,
}

// docs/standards.md: 53.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kill_during_a_refresh_loses_no_valid_token() {
    let mut scene = Scene::new().await;
    let mut seen: BTreeMap<(Step, Found), u32> = BTreeMap::new();
    for round in 0..crate::support::campaign(1, 8, 100) {
        for step in [
            Step::BeforeTheIntent,
            Step::AfterTheIntent,
            Step::AfterTheAnswer,
            Step::AroundTheCommit,
            Step::AfterTheCommit,
        ] {
            scene.kill_at(step, round).await;
            let found = scene.recover(step).await;
            *seen.entry((step, found)).or_default() += 1;
        }
    }
    // For the record of a campaign: how often each step ended how.
    println!("{seen:?}");
    for ((step, found), _) in seen {
        match step {
            // The provider never saw the request, or we saw all of it.
            Step::AfterTheIntent | Step::AfterTheCommit => assert_eq!(found, Found::Fresh, "{step:?}"),
            Step::AfterTheAnswer => assert_eq!(found, Found::NeedsReauth, "{step:?}: nobody else has the new token"),
            Step::BeforeTheIntent | Step::AroundTheCommit => {}
        }
    }
}

struct Scene {
    installation: Installation,
    process: Option<Process>,
    provider: Sandbox,
    relay: Relay,
    key: String,
    id: String,
}

impl Scene {
    async fn new() -> Self {
        let provider = Sandbox::start(Clock::system(), Random).await.unwrap();
        let relay = Relay::before(provider.base_url()).await;
        let installation = Installation::new(&acme_like(&provider, &relay.base, "")).await;
        let key = installation.key("alice");
        let process = Some(installation.serve().await);
        let mut scene = Self { installation, process, provider, relay, key, id: String::new() };
        scene.id = scene.connect(json!({"callback_url": CALLBACK})).await;
        scene
    }

    fn ask(&self, method: Method, path: &str) -> Ask {
        self.process.as_ref().unwrap().ask(method, &format!("/v1/integrations/acme{path}")).key(&self.key)
    }

    fn refresh(&self) -> Ask {
        self.ask(Method::POST, &format!("/credentials/{}/refresh", self.id))
    }

    async fn shown(&self) -> Value {
        self.ask(Method::GET, &format!("/credentials/{}", self.id)).send().await.is(200).json()
    }

    async fn connect(&self, body: Value) -> String {
        let started = self.ask(Method::POST, "/oauth/initiate").json(&body).send().await.is(200).json();
        let url = format!("{}&sandbox_decision=approve", started["login_url"].as_str().unwrap());
        let redirect = Ask::new(Method::GET, url).send().await.is(303);
        let target = url::Url::parse(redirect.header("Location").unwrap()).unwrap();
        let code = target.query_pairs().find(|(name, _)| name == "code").unwrap().1.into_owned();
        let body = json!({"code": code, "state_token": started["state_token"]});
        let completed = self.ask(Method::POST, "/oauth/complete").json(&body).send().await.is(200).json();
        completed["credentials_id"].as_str().unwrap().to_owned()
    }

    /// Forces a refresh, and kills the server at this step of it.
    async fn kill_at(&mut self, step: Step, round: u32) {
        self.relay.set(match step {
            Step::AfterTheIntent => Wire::HoldRequest,
            Step::AfterTheAnswer => Wire::HoldAnswer,
            _ => Wire::Pass,
        });
        self.relay.forget();
        let asked = tokio::spawn(self.refresh().try_send());
        let jitter = |most: u32| Duration::from_micros(u64::from(round * 397 % most));
        match step {
            Step::BeforeTheIntent => tokio::time::sleep(jitter(6_000)).await,
            Step::AfterTheIntent => self.relay.until(Moment::Requested).await,
            Step::AfterTheAnswer => self.relay.until(Moment::Answered).await,
            Step::AroundTheCommit => {
                self.relay.until(Moment::HandedOn).await;
                tokio::time::sleep(jitter(5_000)).await;
            }
            Step::AfterTheCommit => {
                asked.await.unwrap().unwrap().is(200);
                self.process.take().unwrap().kill();
                return;
            }
        }
        self.process.take().unwrap().kill();
        let _: Result<Reply, _> = asked.await.unwrap();
        if matches!(step, Step::AfterTheIntent | Step::AfterTheAnswer) {
            assert!(self.is_in_doubt(), "{step:?}: the intent is on disk before the request is on the wire");
        }
    }

    /// The stored state while no server runs.
    fn is_in_doubt(&self) -> bool {
        let path = self.installation.path("strongroom.db");
        let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
        let sql = "SELECT in_doubt IS NOT NULL FROM credential WHERE id = ?";
        connection.query_row(sql, [&self.id], |row| row.get(0)).unwrap()
    }

    /// Starts the server again, sees what became of the credential, and mends it as its user would.
    async fn recover(&mut self, step: Step) -> Found {
        self.relay.set(Wire::Pass);
        self.process = Some(self.installation.serve().await);
        let in_doubt = self.shown().await["in_doubt_since"].is_i64();
        self.relay.forget();
        let reply = self.refresh().send().await;
        assert_eq!(self.relay.forget(), 1, "{step:?}: one try, whatever comes of it");
        match reply.status {
            200 => {
                assert!(!self.is_in_doubt() && self.provider.live_grants() == 1, "{step:?}");
                self.token_is_good().await;
                Found::Fresh
            }
            409 => {
                assert!(in_doubt, "{step:?}: nobody needs to connect again of whom there was no doubt");
                assert_eq!(self.provider.live_grants(), 0, "{step:?}: a good token was lost");
                assert_eq!(self.shown().await["status"], "needs_reauth");
                self.refresh().send().await.is(409);
                assert_eq!(self.relay.forget(), 0, "{step:?}: no loop");
                let again = json!({"callback_url": CALLBACK, "credential_id": self.id});
                assert_eq!(self.connect(again).await, self.id);
                Found::NeedsReauth
            }
            other => panic!("{step:?}: {other} {}", reply.text()),
        }
    }

    /// The token that is given out is one that the provider takes.
    async fn token_is_good(&self) {
        let path = format!("/credentials/{}/token", self.id);
        let token = self.ask(Method::GET, &path).send().await.is(200).json();
        let bearer = format!("Bearer {}", token["access_token"].as_str().unwrap());
        let userinfo = format!("{}/userinfo", self.provider.base_url());
        Ask::new(Method::GET, userinfo).header("Authorization", &bearer).send().await.is(200);
    }
}
