//! A clock that is wrong, and is put right, or the other way round: by a second and by ten years, to 1970 and to 2038. At most
//! one refresh of a credential comes of it, no token is given out that its provider would not take, and nothing lives for ever.

use std::time::Duration;

use crate::support::flow::acme_like;
use crate::support::http::Ask;
use crate::support::{Server, Setup};
use futures_util::future::join_all;
use http::Method;
use serde_json::json;
use strongroom::clock::{Clock, UnixTime};
use strongroom::random::Random;
use strongroom::sandbox::{Sandbox, SandboxEndpoint};

const TRUE_TIME: i64 = 1_800_000_000;
const YEAR: i64 = 365 * 86_400;

/// Jumps of our clock, while the provider's clock is right.
fn jumps() -> Vec<i64> {
    let by = [1, 59, 300, 601, 3_599, 3_601, 86_400, 30 * 86_400, YEAR, 10 * YEAR];
    let mut jumps: Vec<i64> = by.into_iter().flat_map(|by| [TRUE_TIME + by, TRUE_TIME - by]).collect();
    jumps.extend([0, 1, 2_147_483_647, 2_147_483_648, 4_294_967_296]);
    jumps.into_iter().step_by(usize::try_from(crate::support::campaign(3, 1, 1)).unwrap()).collect()
}

/// Our clock and a provider with a clock of its own.
struct Scene {
    server: Server,
    provider: Sandbox,
    providers_clock: Clock,
}

impl Scene {
    async fn at(ours: i64) -> Self {
        let providers_clock = Clock::manual(UnixTime(TRUE_TIME));
        let provider = Sandbox::start(providers_clock.clone(), Random).await.unwrap();
        let config = acme_like(&provider, provider.base_url(), "");
        let clock = Some(Clock::manual(UnixTime(ours)));
        let server = Server::with(Setup { config, clock, ..Setup::default() }).await;
        Self { server, provider, providers_clock }
    }

    fn jump(&self, to: i64) {
        self.server.clock.set(UnixTime(to));
    }

    async fn token(&self, id: &str) -> crate::support::http::Reply {
        let path = format!("/v1/integrations/acme/credentials/{id}/token");
        self.server.get(&path).key(&self.server.key).send().await
    }

    /// The provider takes the token that we give out.
    async fn gives_a_good_token(&self, id: &str, case: &str) {
        let token = self.token(id).await;
        assert_eq!(token.status, 200, "{case}: {}", token.text());
        let bearer = format!("Bearer {}", token.json()["access_token"].as_str().unwrap());
        let userinfo = format!("{}/userinfo", self.provider.base_url());
        let answer = Ask::new(Method::GET, userinfo).header("Authorization", &bearer).send().await;
        assert_eq!(answer.status, 200, "{case}: a token that the provider does not take any more");
    }

    fn refreshes(&self) -> u64 {
        self.provider.requests(SandboxEndpoint::Token) - 1
    }
}

/// The clock is right when the account is connected, and then jumps.
#[tokio::test]
async fn clock_jump_costs_at_most_one_refresh() {
    for to in jumps() {
        let case = format!("a jump by {}", to - TRUE_TIME);
        let scene = Scene::at(TRUE_TIME).await;
        let id = scene.server.connect("acme").await;
        scene.jump(to);
        join_all((0..8).map(|_| scene.token(&id))).await;
        for _ in 0..3 {
            scene.server.broker.refresh_due().await.unwrap();
        }
        scene.gives_a_good_token(&id, &case).await;
        assert!(scene.refreshes() <= 1, "{case}: {} refreshes", scene.refreshes());
    }
}

/// The clock is wrong when the account is connected, and then put right; an hour and more later the first token is over, at
/// the provider, whatever we once thought of its end.
#[tokio::test]
async fn token_from_a_wrong_clock_is_not_served_forever() {
    for from in jumps() {
        let case = format!("a clock that was wrong by {}", from - TRUE_TIME);
        let scene = Scene::at(from).await;
        let id = scene.server.connect("acme").await;
        scene.jump(TRUE_TIME);
        scene.gives_a_good_token(&id, &case).await;
        for _ in 0..2 {
            scene.providers_clock.advance(Duration::from_secs(3_700));
            scene.server.clock.advance(Duration::from_secs(3_700));
            scene.server.broker.refresh_due().await.unwrap();
            scene.gives_a_good_token(&id, &case).await;
        }
        assert!(scene.refreshes() <= 3, "{case}: {} refreshes", scene.refreshes());
    }
}

/// A login that started under a wrong clock expires, and so does its row.
#[tokio::test]
async fn pending_login_does_not_live_forever() {
    for from in jumps() {
        let case = format!("a clock that was wrong by {}", from - TRUE_TIME);
        let scene = Scene::at(from).await;
        let started = scene.server.initiate("acme").await;
        scene.jump(TRUE_TIME + 1_300);
        let now = scene.server.clock.now();
        let callback = scene.server.log_in(&started).await;
        let completed = scene.server.complete("acme", &callback).await;
        assert_eq!(
            completed.status,
            400,
            "{case}: a login of ten minutes was completed after twenty: {}",
            completed.text()
        );
        scene.server.vault.logins().purge_expired(now).await.unwrap();
        assert_eq!(scene.server.vault.status().unwrap().pending, 0, "{case}");
    }
}

/// The server answers at every time, with numbers that fit.
#[tokio::test]
async fn every_time_can_be_served_and_shown() {
    let server = Server::start().await;
    server.create_api_key_credential("openai").await;
    for at in jumps().into_iter().chain([-YEAR, 253_402_300_800]) {
        server.clock.set(UnixTime(at));
        let listed = server.get("/v1/integrations/credentials").key(&server.key).send().await.is(200).json();
        assert_eq!(listed.as_array().unwrap().len(), 1, "{at}");
        let id = server.create_api_key_credential("openai").await;
        let path = format!("/v1/integrations/openai/credentials/{id}");
        let shown = server.get(&path).key(&server.key).send().await.is(200).json();
        assert_eq!(shown["created_at"], json!(at));
        server.get(&format!("{path}/token")).key(&server.key).send().await.is(200);
        server.delete(&path).key(&server.key).send().await.is(200);
    }
    assert!(server.vault.integrity().verify().unwrap().holds());
}
