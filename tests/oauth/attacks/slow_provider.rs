//! A provider that takes too long, or cannot prove who it is: it is given up, and told nothing.

use std::time::Duration;

use crate::support::provider::acme::{ACCESS_TOKEN, behave, settings, unspoilt};
use crate::support::provider::authority::{Authority, self_signed};
use crate::support::provider::hostile::{Hostile, mute};
use crate::support::provider::misbehaviours::{CODE, slow};
use crate::support::provider::peers::html_server;
use crate::support::{Server, Setup};
use serde_json::{Value, json};
use strongroom::egress::EgressLimits;

#[tokio::test]
async fn slow_provider_times_out() {
    let acme = Hostile::start().await;
    let limits = EgressLimits { total: Duration::from_millis(250), ..EgressLimits::default() };
    let server = Server::with(Setup { config: settings(&acme), egress: (limits, None), ..Setup::default() }).await;
    for case in slow() {
        behave(&acme);
        acme.behaves("/token", case.steps.clone());
        let reply = unspoilt(server.connect_acme(&[]).await);
        assert_eq!(reply.status, 504, "{}: {}", case.name, reply.text());
        assert_eq!(reply.json()["type"], "/problems/provider-timeout", "{}", case.name);
        let says = reply.detail().as_str().unwrap().to_owned();
        assert!(says.starts_with("OAuth2 callback failed to exchange code for tokens: "), "{}: {says}", case.name);
        assert!(says.contains(case.says), "{}: {says}", case.name);
        assert_eq!(server.list().await, json!([]));

        behave(&acme);
        acme.behaves("/me", case.steps.clone());
        acme.behaves("/revoke", case.steps.clone());
        let connected = server.connect_acme(&[]).await.is(200);
        assert_eq!(connected.json()["username"], Value::Null, "{}", case.name);
        acme.behaves("/token", case.steps);
        let path =
            format!("/v1/integrations/acme/credentials/{}", connected.json()["credentials_id"].as_str().unwrap());
        let reply = unspoilt(server.post(&format!("{path}/refresh")).key(&server.key).send().await);
        assert_eq!(reply.status, 504, "{}: {}", case.name, reply.text());
        let shown = unspoilt(server.get(&path).key(&server.key).send().await.is(200)).json();
        let now = json!(server.clock.now().0);
        assert_eq!((&shown["status"], &shown["in_doubt_since"]), (&json!("active"), &now), "{}", case.name);
        let token = server.get(&format!("{path}/token")).key(&server.key).send().await.is(200).json();
        assert_eq!(token["access_token"], ACCESS_TOKEN, "{}: what is valid still is given", case.name);
        assert_eq!(server.delete_acme(&connected).await, false, "{}", case.name);
    }
    assert_eq!(acme.asked("/token").len(), 3 * slow().len());
}

#[tokio::test]
async fn silent_provider_times_out_before_anything_is_sent() {
    let acme = Hostile::start().await;
    let limits = EgressLimits { connect: Duration::from_millis(100), ..EgressLimits::default() };
    let config = settings(&acme).replace(&format!("{}/token", acme.base), &format!("{}/token", mute().await));
    let server = Server::with(Setup { config, egress: (limits, None), ..Setup::default() }).await;
    let reply = server.connect_acme(&[]).await.is(504);
    assert!(reply.text().contains("no connection in time"), "{}", reply.text());
}

// docs/standards.md: 12.
#[tokio::test(flavor = "multi_thread")]
async fn bad_certificate_is_told_nothing() {
    let authority = Authority::new();
    let good = Hostile::with_tls(authority.acceptor("127.0.0.1", 2020..2200)).await;
    good.says("/token", &json!({"access_token": ACCESS_TOKEN, "token_type": "bearer"}));
    let bad = [
        ("expired", Hostile::with_tls(authority.acceptor("127.0.0.1", 2000..2020)).await),
        ("early", Hostile::with_tls(authority.acceptor("127.0.0.1", 2199..2200)).await),
        ("elsewhere", Hostile::with_tls(authority.acceptor("provider.example", 2020..2200)).await),
        ("unknown", Hostile::with_tls(Authority::new().acceptor("127.0.0.1", 2020..2200)).await),
        ("itself", Hostile::with_tls(self_signed("127.0.0.1")).await),
    ];
    let plain = html_server().await;
    let mut config = format!("[egress]\nca_certificates = [{:?}]\n", authority.file());
    let no_tls = plain.replace("http:", "https:");
    let all = bad.iter().map(|(name, server)| (*name, &server.base)).chain([("good", &good.base), ("plain", &no_tls)]);
    for (name, base) in all {
        let entry = format!(
            "[providers.{name}]\ndisplay_name = \"{name}\"\nclient_id = \"c\"\nclient_secret = \"s\"\n\
             [providers.{name}.oauth]\nauthorize_url = \"{base}/authorize\"\ntoken_url = \"{base}/token\"\n"
        );
        config.push_str(&entry);
    }
    let server = Server::with(Setup { config, ..Setup::default() }).await;
    let connect = async |name: &str| {
        let started = server.initiate(name).await;
        let path = format!("/v1/integrations/{name}/oauth/complete");
        let body = json!({"code": CODE, "state_token": started.state});
        unspoilt(server.post(&path).key(&server.key).json(&body).send().await)
    };
    connect("good").await.is(200);
    for (name, served) in &bad {
        let said = connect(name).await.is(502).text();
        assert!(said.contains("its certificate is not trusted"), "{name}: {said}");
        assert_eq!(served.all_asked().len(), 0, "{name}");
    }
    let said = connect("plain").await.is(502).text();
    assert!(said.contains("the TLS handshake failed"), "{said}");
}
