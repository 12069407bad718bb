//! Attempts of the caller, the callback and the token response to choose the host of the token endpoint, which receives
//! the code, the verifier and the client secret. No secret may leave.

use std::net::Ipv4Addr;

use crate::support::flow::CALLBACK;
use crate::support::http::Reply;
use crate::support::provider::authority::Authority;
use crate::support::provider::hostile::Hostile;
use crate::support::provider::names::Names;
use crate::support::{Server, Setup};
use serde_json::{Value, json};
use strongroom::egress::EgressLimits;
use strongroom::permission::Permission;

const HOST: &str = "accounts.acme.invalid";

/// The honest provider, the attacker's server, and the names that were resolved.
struct Bench {
    acme: Hostile,
    evil: Hostile,
    names: Names,
    authority: Authority,
}

impl Bench {
    async fn new() -> Self {
        let authority = Authority::new();
        let evil = Hostile::with_tls(authority.acceptor("127.0.0.1", 2020..2200)).await;
        let acme = Hostile::start().await;
        acme.says("/token", &json!({"access_token": "at", "refresh_token": "rt", "token_type": "bearer"}));
        Self { acme, evil, names: Names::default(), authority }
    }

    /// A server whose provider `acme` has this entry, in which `BASE` is the honest provider. Every name is said to be this
    /// machine, which does not listen on the port of https.
    async fn server(&self, oauth: &str) -> Server {
        self.server_with(oauth, Setup::default()).await
    }

    /// The networks of chosen hosts are those of `egress.allow`, so that only the host's form decides.
    async fn server_with(&self, oauth: &str, setup: Setup) -> Server {
        self.server_of("allow_private = [\"127.0.0.0/8\"]", oauth, setup).await
    }

    async fn server_of(&self, further: &str, oauth: &str, setup: Setup) -> Server {
        let config = format!(
            "[egress]\nca_certificates = [\"{}\"]\n[providers.acme]\ndisplay_name = \"Acme\"\nclient_id = \"c\"\n\
             client_secret = \"s\"\n{further}\n[providers.acme.oauth]\n{oauth}\n",
            self.authority.file().display()
        );
        let lookup = self.names.answering(|_, _| vec!["127.0.0.1"]);
        let config = config.replace("BASE", &self.acme.base);
        Server::with(Setup { config, egress: (EgressLimits::default(), Some(lookup)), ..setup }).await
    }

    /// The ways to name another host than the listed one.
    fn ways(&self) -> Vec<String> {
        let evil = self.evil.base.trim_start_matches("https://");
        let address = u32::from(Ipv4Addr::LOCALHOST);
        vec![
            evil.to_owned(),
            format!("https://{evil}"),
            format!("http://{evil}"),
            format!("//{evil}"),
            format!("https://{HOST}@{evil}"),
            format!("{HOST}@{evil}"),
            format!("{HOST}:443@{evil}"),
            format!("{evil}/{HOST}"),
            format!("{evil}#{HOST}"),
            format!("{evil}?{HOST}"),
            format!("{evil}\\{HOST}"),
            format!("{evil}%2f.{HOST}"),
            format!("{evil}\0.{HOST}"),
            format!("evil.{HOST}"),
            format!("{HOST}.evil.example"),
            format!("{HOST}:8443"),
            format!("{HOST}."),
            format!("https://{HOST}/token/"),
            format!("http://{HOST}"),
            format!("{HOST}\r\nHost: evil.example"),
            format!(" {HOST}"),
            "accounts。acme.invalid".to_owned(),
            "аccounts.acme.invalid".to_owned(),
            "{accounts}".to_owned(),
            "..".to_owned(),
            "../..".to_owned(),
            "[::1]".to_owned(),
            format!("{address}:{}", self.evil.port()),
            format!("0x7f.1:{}", self.evil.port()),
            "x".repeat(300),
            String::new(),
        ]
    }

    /// Checks that only the honest provider and the names that `may` allows were asked.
    fn assert_nobody_was_asked(&self, may: impl Fn(&str) -> bool) {
        assert_eq!(self.evil.connections(), 0, "evil was connected to");
        let strangers: Vec<String> = self.names.asked().into_iter().filter(|name| !may(name)).collect();
        assert_eq!(strangers, Vec::<String>::new());
    }
}

async fn initiate(server: &Server, inputs: &Value) -> Reply {
    let body = json!({
        "callback_url": CALLBACK, "inputs": inputs,
        // These are neither requested nor used.
        "token_url": "https://evil.example/token", "authorize_url": "https://evil.example/", "issuer": "https://evil.example",
    });
    server.post("/v1/integrations/acme/oauth/initiate").key(&server.key).json(&body).send().await
}

async fn complete(server: &Server, started: &Reply, callback: &Value) -> Reply {
    let body = json!({"code": "c0de", "state_token": started.json()["state_token"], "callback_params": callback});
    server.post("/v1/integrations/acme/oauth/complete").key(&server.key).json(&body).send().await
}

async fn delete(server: &Server, completed: &Reply) -> Value {
    let path = format!("/v1/integrations/acme/credentials/{}", completed.json()["credentials_id"].as_str().unwrap());
    server.delete(&path).key(&server.key).send().await.is(200).json()["revoked"].clone()
}

#[tokio::test]
async fn caller_chooses_a_label_and_never_a_host() {
    let bench = Bench::new().await;
    let server = bench
        .server(
            "authorize_url = \"https://{accounts}.acme.invalid/authorize\"\ntoken_url = \"https://{accounts}.acme.invalid/token\"\n\
             inputs.accounts = { pattern = \"(?s).*\", example = \"shop\" }",
        )
        .await;
    for way in [bench.ways(), vec!["a.b".to_owned(), "-a".to_owned(), "a-".to_owned(), "a_b".to_owned()]].concat() {
        initiate(&server, &json!({"accounts": way})).await.is(422);
    }
    // What is one label stays under the domain, whatever it looks like.
    for way in ["localhost", "0x7f000001", "2130706433", "xn--bcher-kva", "EVIL"] {
        let started = initiate(&server, &json!({"accounts": way})).await.is(200);
        let login = url::Url::parse(started.json()["login_url"].as_str().unwrap()).unwrap();
        assert_eq!(login.host_str().unwrap(), format!("{}.acme.invalid", way.to_lowercase()));
        complete(&server, &started, &json!({})).await.is(502);
    }
    assert_eq!(bench.names.asked().len(), 5);
    bench.assert_nobody_was_asked(|name| name.ends_with(".acme.invalid"));
}

#[tokio::test]
async fn caller_stays_within_its_path_segment() {
    let bench = Bench::new().await;
    let server = bench
        .server(
            "authorize_url = \"BASE/{accounts}/authorize\"\ntoken_url = \"https://login.acme.invalid/{accounts}/v2/token\"\n\
             inputs.accounts = { pattern = \"(?s).*\", example = \"tenant\" }",
        )
        .await;
    let mut taken = 0;
    for way in bench.ways() {
        let started = initiate(&server, &json!({"accounts": way})).await;
        if started.status == 422 {
            continue;
        }
        taken += 1;
        let login = url::Url::parse(started.json()["login_url"].as_str().unwrap()).unwrap();
        assert_eq!(login.origin(), url::Url::parse(&bench.acme.base).unwrap().origin(), "{way}");
        assert_eq!(login.path_segments().unwrap().count(), 2, "{way}: {login}");
        complete(&server, &started, &json!({})).await.is(502);
    }
    assert_eq!((bench.names.asked().len(), taken > 10), (taken, true));
    bench.assert_nobody_was_asked(|name| name == "login.acme.invalid");
}

#[tokio::test]
async fn callback_chooses_only_among_listed_hosts() {
    let bench = Bench::new().await;
    let server = bench
        .server(&format!(
            "authorize_url = \"BASE/authorize\"\ntoken_url = \"https://{{accounts}}/token\"\n\
             inputs.accounts = {{ from = \"callback\", member = \"accounts-server\", hosts = [\"{HOST}\"], example = \"{HOST}\" }}"
        ))
        .await;
    for way in bench.ways() {
        let started = initiate(&server, &json!({"accounts": way})).await.is(200);
        let callback = json!({"accounts-server": way, "iss": "https://evil.example", "token_endpoint": way});
        let refused = complete(&server, &started, &callback).await.is(400);
        assert!(refused.text().contains("'accounts' is malformed"), "{way}: {}", refused.text());
        // The state is consumed: one code cannot try several hosts.
        complete(&server, &started, &json!({"accounts-server": HOST})).await.is(400);
    }
    let started = initiate(&server, &json!({})).await.is(200);
    assert!(complete(&server, &started, &json!({})).await.is(400).text().contains("'accounts' is missing"));
    assert_eq!(bench.names.asked(), Vec::<String>::new(), "nobody was asked for any name");
    // The listed host does not listen, so the provider is unreachable, and the host was not rejected.
    let started = initiate(&server, &json!({})).await.is(200);
    complete(&server, &started, &json!({"accounts-server": format!("https://{}/", HOST.to_uppercase())})).await.is(502);
    bench.assert_nobody_was_asked(|name| name == HOST);
    assert_eq!((bench.names.asked().len(), bench.acme.all_asked().len()), (1, 0));
}

/// An entry whose further URLs are where the token answer says.
fn instance(hosts: &str, example: &str) -> String {
    format!(
        "authorize_url = \"BASE/authorize\"\ntoken_url = \"BASE/token\"\nrefresh_url = \"https://{{instance}}/refresh\"\n\
         api_base_url = \"https://{{instance}}/api\"\ntoken_metadata = [\"instance_url\"]\n\
         identity = {{ url = \"https://{{instance}}/me\", username = \"/name\" }}\n\
         revoke = {{ url = \"https://{{instance}}/revoke\", ends = \"token\" }}\n\
         inputs.instance = {{ from = \"token\", member = \"instance_url\", hosts = [\"{hosts}\"], example = \"{example}\" }}"
    )
}

#[tokio::test]
async fn token_response_chooses_only_among_listed_hosts() {
    let bench = Bench::new().await;
    let server = bench.server(&instance("*.acme.invalid", HOST)).await;
    for way in bench.ways().into_iter().filter(|way| way != "evil.accounts.acme.invalid") {
        bench.acme.says(
            "/token",
            &json!({
                "access_token": "at", "refresh_token": "rt", "token_type": "bearer", "instance_url": way,
                // What a credential's own metadata are called.
                "inputs": {"instance": bench.evil.base}, "callback": {"instance_url": way}, "instance": way,
                "token_endpoint": bench.evil.base, "userinfo_endpoint": bench.evil.base,
            }),
        );
        let started = initiate(&server, &json!({"instance": way})).await.is(200);
        let completed = complete(&server, &started, &json!({"instance_url": way, "instance": way})).await.is(200);
        assert_eq!(completed.json()["username"], Value::Null, "{way}");
        assert_eq!(delete(&server, &completed).await, false, "{way}: its tokens wait for somebody who knows where to");
    }
    assert_eq!(bench.names.asked(), Vec::<String>::new(), "nobody was asked for any name");
    bench.acme.says(
        "/token",
        &json!({"access_token": "at", "token_type": "bearer", "instance_url": "https://eu7.acme.invalid"}),
    );
    let started = initiate(&server, &json!({})).await.is(200);
    let completed = complete(&server, &started, &json!({})).await.is(200);
    delete(&server, &completed).await;
    assert_eq!(bench.names.asked(), ["eu7.acme.invalid", "eu7.acme.invalid"], "who it is, and the revocation");
    bench.assert_nobody_was_asked(|name| name == "eu7.acme.invalid");
}

#[tokio::test]
async fn refresh_response_moves_nothing() {
    let bench = Bench::new().await;
    let server =
        bench.server(&instance("*.acme.invalid", HOST).replace("https://{instance}/refresh", "BASE/refresh")).await;
    let tokens = |instance: &str| {
        json!({
            "access_token": "at", "refresh_token": "rt", "token_type": "bearer", "instance_url": instance, "instance": instance,
            "inputs": {"instance": instance}, "callback": {"instance_url": instance}, "refresh_url": instance,
        })
    };
    bench.acme.says("/token", &tokens("eu7.acme.invalid"));
    let started = initiate(&server, &json!({})).await.is(200);
    let completed = complete(&server, &started, &json!({})).await.is(200);
    let id = completed.json()["credentials_id"].as_str().unwrap().to_owned();
    let ways = bench.ways();
    for way in &ways {
        bench.acme.says("/refresh", &tokens(way));
        server.post(&format!("/v1/integrations/acme/credentials/{id}/refresh")).key(&server.key).send().await.is(200);
    }
    assert_eq!(bench.acme.asked("/refresh").len(), ways.len());
    let before = bench.names.asked().len();
    delete(&server, &completed).await;
    assert_eq!(bench.names.asked()[before..], ["eu7.acme.invalid"], "it is revoked where it was connected");
    bench.assert_nobody_was_asked(|name| name == "eu7.acme.invalid");
}

#[tokio::test]
async fn refresh_goes_to_a_listed_host_or_nowhere() {
    let bench = Bench::new().await;
    let before = bench.server(&instance("old.acme.invalid", "old.acme.invalid")).await;
    let answer = json!({"access_token": "at", "refresh_token": "rt", "token_type": "bearer", "instance_url": "old.acme.invalid"});
    bench.acme.says("/token", &answer);
    let started = initiate(&before, &json!({})).await.is(200);
    let completed = complete(&before, &started, &json!({})).await.is(200);
    let id = completed.json()["credentials_id"].as_str().unwrap().to_owned();
    let path = format!("/v1/integrations/acme/credentials/{id}/refresh");
    before.post(&path).key(&before.key).send().await.is(502);
    assert_eq!(bench.names.asked(), ["old.acme.invalid", "old.acme.invalid"], "who it is, and the refresh");
    let (vault, clock, _folder) = (before.vault.clone(), before.clock.clone(), before.folder.clone());
    drop(before);
    let again = Setup { vault: Some(vault), clock: Some(clock), ..Setup::default() };
    let after = bench.server_with(&instance("new.acme.invalid", "new.acme.invalid"), again).await;
    after.post(&path).key(&after.key).send().await.is(502);
    assert_eq!(bench.names.asked().len(), 2);
    bench.assert_nobody_was_asked(|name| name == "old.acme.invalid");
}

#[tokio::test]
async fn unlisted_host_receives_nothing_any_more() {
    let bench = Bench::new().await;
    let before = bench.server(&instance("old.acme.invalid", "old.acme.invalid")).await;
    bench
        .acme
        .says("/token", &json!({"access_token": "at", "token_type": "bearer", "instance_url": "old.acme.invalid"}));
    let started = initiate(&before, &json!({})).await.is(200);
    let completed = complete(&before, &started, &json!({})).await.is(200);
    let asked = bench.names.asked().len();
    let (vault, clock, _folder) = (before.vault.clone(), before.clock.clone(), before.folder.clone());
    drop(before);
    let again = Setup { vault: Some(vault), clock: Some(clock), ..Setup::default() };
    let after = bench.server_with(&instance("new.acme.invalid", "new.acme.invalid"), again).await;
    assert_eq!(delete(&after, &completed).await, false);
    assert_eq!(bench.names.asked().len(), asked);
    let admin = after.service_key_with(&[], &[Permission::Admin]).await;
    let queue = after.get("/v1/revocations").key(&admin).send().await.is(200).json();
    assert_eq!(queue[0]["last_error"], "'instance' is malformed; for example \"new.acme.invalid\"");
}

// Isolation: a host that depends on a value of the caller is the caller's, also inside a fixed domain.
#[tokio::test]
async fn egress_allow_does_not_cover_a_templated_host() {
    let oauth = "authorize_url = \"BASE/authorize\"\ntoken_url = \"https://{tenant}.acme.invalid/token\"\n\
                 inputs = { tenant = { pattern = \"[a-z]+\", example = \"a\" } }\n";
    let path = "/v1/integrations/acme/oauth/";
    for (allow, said) in [("", "allow_private"), ("allow_private = [\"127.0.0.0/8\"]", "could not be reached")] {
        let bench = Bench::new().await;
        let server = bench.server_of(allow, oauth, Setup::default()).await;
        let body = json!({"callback_url": CALLBACK, "inputs": {"tenant": "a"}});
        let started = server.post(&format!("{path}initiate")).key(&server.key).json(&body).send().await.is(200).json();
        let body = json!({"code": "c", "state_token": started["state_token"]});
        let refused = server.post(&format!("{path}complete")).key(&server.key).json(&body).send().await.is(502);
        assert!(refused.text().contains(said), "{}", refused.text());
    }
}

// Isolation: the result of a discovery and a caller's input never share a map.
#[tokio::test]
async fn input_named_server_is_not_taken_for_a_discovery() {
    let bench = Bench::new().await;
    let oauth = "authorize_url = \"BASE/{server}/authorize\"\ntoken_url = \"BASE/token\"\n\
                 inputs = { server = { pattern = \"(?s).*\", example = \"a\" } }\n";
    let server = bench.server(oauth).await;
    let evil = &bench.evil.base;
    let found = json!({
        "oauth": {"authorize_url": format!("{evil}/a"), "token_url": format!("{evil}/t")}, "redirect_uri": "x",
        "client": "configured",
    });
    let path = "/v1/integrations/acme/oauth/";
    let body = json!({"callback_url": CALLBACK, "inputs": {"server": found.to_string()}});
    let started = server.post(&format!("{path}initiate")).key(&server.key).json(&body).send().await.is(200).json();
    let body = json!({"code": "c", "state_token": started["state_token"]});
    server.post(&format!("{path}complete")).key(&server.key).json(&body).send().await.is(200);
    assert_eq!(bench.evil.connections(), 0);
}

// Isolation: an announced `iss` must not be absent if the caller chose the host.
#[tokio::test]
async fn announced_iss_of_a_templated_host_is_required() {
    let bench = Bench::new().await;
    let oauth = "authorize_url = \"https://{tenant}.acme.invalid/authorize\"\ntoken_url = \"BASE/token\"\n\
                 issuer = \"https://acme.invalid\"\nannounces_iss = true\ninputs = { tenant = { pattern = \"[a-z]+\", example = \"a\" } }\n";
    let server = bench.server(oauth).await;
    let path = "/v1/integrations/acme/oauth/";
    let complete = async |params: Option<Value>| {
        let body = json!({"callback_url": CALLBACK, "inputs": {"tenant": "a"}});
        let started = server.post(&format!("{path}initiate")).key(&server.key).json(&body).send().await.is(200).json();
        let mut body = json!({"code": "c", "state_token": started["state_token"]});
        if let Some(params) = params {
            body["callback_params"] = params;
        }
        server.post(&format!("{path}complete")).key(&server.key).json(&body).send().await
    };
    assert_eq!(complete(None).await.is(400).detail(), "Invalid or expired state token");
    complete(Some(json!({"iss": "https://acme.invalid"}))).await.is(200);
}
