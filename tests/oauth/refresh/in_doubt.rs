//! A refresh whose answer never came whole: recorded, said, and tried again with the token that there is.

use std::time::Duration;

use crate::support::flow::acme_like;
use crate::support::http::Reply;
use crate::support::provider::relay::{Relay, Wire};
use crate::support::{Server, Setup};
use serde_json::{Value, json};
use strongroom::clock::{Clock, UnixTime};
use strongroom::random::Random;
use strongroom::sandbox::Sandbox;

struct Scene {
    server: Server,
    /// The provider, on a clock of its own that stands still.
    provider: Sandbox,
    relay: Relay,
    id: String,
}

impl Scene {
    async fn new() -> Self {
        let clock = Clock::manual(UnixTime(1_800_000_000));
        let provider = Sandbox::start(clock, Random).await.unwrap();
        let relay = Relay::before(provider.base_url()).await;
        let config = acme_like(&provider, &relay.base, "");
        let server = Server::with(Setup { config, ..Setup::default() }).await;
        let id = server.connect("acme").await;
        Self { server, provider, relay, id }
    }

    fn path(&self, rest: &str) -> String {
        format!("/v1/integrations/acme/credentials/{}{rest}", self.id)
    }

    async fn token(&self) -> Reply {
        self.server.get(&self.path("/token")).key(&self.server.key).send().await
    }

    async fn refresh(&self) -> Reply {
        self.server.post(&self.path("/refresh")).key(&self.server.key).send().await
    }

    async fn shown(&self) -> Value {
        self.server.get(&self.path("")).key(&self.server.key).send().await.is(200).json()
    }
}

// docs/standards.md: 25.
#[tokio::test]
async fn lost_request_costs_nothing() {
    let mut scene = Scene::new().await;
    let before = scene.token().await.is(200).json();
    scene.relay.set(Wire::SwallowRequest);
    let since = scene.server.clock.now().0;
    scene.refresh().await.is(502);
    let shown = scene.shown().await;
    assert_eq!((&shown["in_doubt_since"], &shown["status"]), (&json!(since), &json!("active")));
    assert_eq!(scene.token().await.is(200).json(), before, "what was stored is untouched");
    // Down altogether now: a try without an answer, and one that was not even sent, leave it in doubt.
    for _ in 0..3 {
        scene.server.clock.advance(Duration::from_secs(600));
        scene.refresh().await.is(502);
        assert_eq!(scene.shown().await["in_doubt_since"], since);
    }
    scene.relay.set(Wire::Pass);
    scene.relay.forget();
    let shown = scene.refresh().await.is(200).json();
    assert_eq!((&shown["in_doubt_since"], &shown["last_error"]), (&Value::Null, &Value::Null));
    assert_eq!(scene.relay.forget(), 1);
    assert_ne!(scene.token().await.is(200).json()["access_token"], before["access_token"]);
    assert_eq!(scene.provider.live_grants(), 1);
}

// docs/standards.md: 25.
#[tokio::test]
async fn lost_response_is_in_doubt_until_refused() {
    let mut scene = Scene::new().await;
    let before = scene.token().await.is(200).json();
    scene.relay.set(Wire::LoseAnswer);
    scene.server.clock.advance(Duration::from_secs(3_400));
    assert_eq!(scene.token().await.is(200).json(), before, "it has 200 seconds to live");
    assert!(scene.shown().await["in_doubt_since"].is_i64());
    scene.relay.forget();
    for _ in 0..5 {
        assert_eq!(scene.token().await.is(200).json(), before);
    }
    assert_eq!(scene.relay.forget(), 0, "it backs off");
    // The provider rotated, so that the old token earns the end of the grant: that is honest, and the end of it.
    scene.relay.set(Wire::Pass);
    scene.server.clock.advance(Duration::from_secs(300));
    let problem = scene.token().await.is(409).json();
    assert!(problem["cause"].as_str().unwrap().starts_with("invalid_grant"), "{problem}");
    assert_eq!(scene.relay.forget(), 1);
    let shown = scene.shown().await;
    assert_eq!((&shown["status"], &shown["in_doubt_since"]), (&json!("needs_reauth"), &Value::Null));
    for _ in 0..5 {
        scene.server.clock.advance(Duration::from_secs(600));
        scene.token().await.is(409);
        scene.refresh().await.is(409);
    }
    assert_eq!(scene.relay.forget(), 0, "no loop");
}
