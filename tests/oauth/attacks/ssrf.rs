//! Requests to inner addresses are rejected: every URL of `support/forbidden_urls.txt`, in every place that a URL can come
//! from, and names that change their address between two lookups.

use std::fmt::Write as _;
use std::path::Path;

use crate::support::flow::CALLBACK;
use crate::support::http::Reply;
use crate::support::provider::authority::Authority;
use crate::support::provider::hostile::Hostile;
use crate::support::provider::names::Names;
use crate::support::{Server, Setup};
use serde_json::{Value, json};
use strongroom::catalog::template::Template;
use strongroom::config::Config;
use strongroom::egress::EgressLimits;
use strongroom::jose::{Algorithm, Header, SigningKey, sign};
use strongroom::permission::Permission;

/// A provider at 127.0.0.2, the only address that may be reached, and a trap at 127.0.0.1, whose certificate is good.
struct Bench {
    acme: Hostile,
    trap: Hostile,
    names: Names,
    authority: Authority,
}

impl Bench {
    async fn new() -> Self {
        let authority = Authority::new();
        let trap = Hostile::with_tls(authority.acceptor("127.0.0.1", 2020..2200)).await;
        let acme = Hostile::listen("127.0.0.2:0", None).await;
        acme.says("/token", &json!({"access_token": "at", "token_type": "bearer"}));
        Self { acme, trap, names: Names::default(), authority }
    }

    /// The forbidden URLs; every name in them is said to be 10.0.0.1.
    fn forbidden(&self) -> Vec<String> {
        let lines = include_str!("../../support/forbidden_urls.txt").lines().filter(|line| !line.starts_with("# "));
        lines.map(|line| line.replace("PORT", &self.trap.port().to_string())).collect()
    }

    async fn server(&self, config: &str) -> Server {
        self.server_where(config, |_, _| vec!["10.0.0.1"]).await
    }

    async fn server_where(
        &self,
        config: &str,
        answer: impl Fn(&str, usize) -> Vec<&'static str> + Send + Sync + 'static,
    ) -> Server {
        let setup = Setup {
            config: format!("{config}\n[egress]\nca_certificates = [\"{}\"]\n", self.authority.file().display()),
            egress: (EgressLimits::default(), Some(self.names.answering(answer))),
            allow: Some(vec!["127.0.0.2/32".parse().unwrap()]),
            ..Setup::default()
        };
        Server::with(setup).await
    }
}

/// An entry with these URLs.
fn provider(name: &str, base: &str, token_url: &str, more: &str) -> String {
    format!(
        "[providers.{name}]\ndisplay_name = \"{name}\"\nclient_id = \"c\"\nclient_secret = \"s\"\n\
         [providers.{name}.oauth]\nauthorize_url = \"{base}/authorize\"\ntoken_url = {token_url:?}\n{more}\n"
    )
}

async fn connect(server: &Server, provider: &str) -> Reply {
    let path = format!("/v1/integrations/{provider}/oauth/");
    let started = server.post(&format!("{path}initiate")).key(&server.key).json(&json!({"callback_url": CALLBACK}));
    let state = started.send().await.is(200).json()["state_token"].clone();
    let body = json!({"code": "c", "state_token": state});
    server.post(&format!("{path}complete")).key(&server.key).json(&body).send().await
}

async fn delete(server: &Server, provider: &str, connected: &Value) -> Value {
    let id = connected["credentials_id"].as_str().unwrap();
    let path = format!("/v1/integrations/{provider}/credentials/{id}");
    server.delete(&path).key(&server.key).send().await.is(200).json()["revoked"].clone()
}

/// The last errors of the queued revocations.
async fn reasons(server: &Server) -> Vec<String> {
    let admin = server.service_key_with(&[], &[Permission::Admin]).await;
    let queue = server.get("/v1/revocations").key(&admin).send().await.is(200).json();
    queue.as_array().unwrap().iter().map(|row| row["last_error"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn no_endpoint_of_an_entry_leads_inside() {
    let bench = Bench::new().await;
    let base = &bench.acme.base;
    let (mut config, mut names, mut refused) = (String::new(), Vec::new(), 0);
    for (n, url) in bench.forbidden().iter().enumerate() {
        let identity_and_revocation = format!(
            "identity = {{ url = {url:?}, username = \"/name\" }}\nrevoke = {{ url = {url:?}, ends = \"token\" }}"
        );
        // What no entry can say is refused when a server starts.
        if Template::parse(url).is_err() {
            refused += 1;
            continue;
        }
        config.push_str(&provider(&format!("tok{n}"), base, url, ""));
        config.push_str(&provider(&format!("who{n}"), base, &format!("{base}/token"), &identity_and_revocation));
        names.push((n, url.clone()));
    }
    assert!(names.len() + refused >= 90 && names.len() >= 60, "{} are taken, {refused} refused", names.len());
    let server = bench.server(&config).await;
    for (n, url) in &names {
        let reply = connect(&server, &format!("tok{n}")).await.is(502);
        assert!(reply.text().contains("the request is not allowed"), "{url}: {}", reply.text());
        let who = format!("who{n}");
        let connected = connect(&server, &who).await.is(200).json();
        assert_eq!(connected["username"], Value::Null, "{url}");
        assert_eq!(delete(&server, &who, &connected).await, false, "{url}");
    }
    let reasons = reasons(&server).await;
    assert_eq!(reasons.len(), names.len());
    assert!(reasons.iter().all(|reason| reason.starts_with("the request is not allowed")), "{reasons:?}");
    assert_eq!(bench.trap.connections(), 0);
}

// docs/standards.md: 28.
#[tokio::test]
async fn no_document_of_an_issuer_leads_inside() {
    let bench = Bench::new().await;
    let (base, key) = (&bench.acme.base, SigningKey::generate().with_id("k"));
    let issuer = |n: usize| format!("{base}/i{n}");
    let mut config = String::new();
    let forbidden = bench.forbidden();
    for (n, url) in forbidden.iter().enumerate() {
        writeln!(config, "[trusted_issuers.i{n}]\nissuer = \"{}\"\naudience = [\"a\"]", issuer(n)).unwrap();
        let document = json!({"issuer": issuer(n), "jwks_uri": url});
        bench.acme.says(&format!("/.well-known/oauth-authorization-server/i{n}"), &document);
        let inside = format!("[trusted_issuers.o{n}]\nissuer = {url:?}\naudience = [\"a\"]\n");
        if Config::from_toml(&inside, Path::new("/")).is_ok() {
            config.push_str(&inside);
        }
    }
    let server = bench.server(&config).await;
    let now = server.clock.now().0;
    for (n, url) in forbidden.iter().enumerate() {
        for issuer in [issuer(n), url.clone()] {
            let header = Header { kind: Some("at+jwt"), key_id: Some("k".to_owned()), jwk: None };
            let claims = json!({"iss": issuer, "aud": "a", "sub": "x", "exp": now + 60, "iat": now, "scope": "READ_INTEGRATIONS"});
            let token = sign(&header, claims.as_object().unwrap(), &key, Algorithm::Es256).unwrap();
            let ask = server.get("/v1/integrations/credentials");
            ask.header("Authorization", &format!("Bearer {}", token.expose())).send().await.is(401);
        }
        let asked = bench.acme.asked(&format!("/.well-known/oauth-authorization-server/i{n}")).len();
        assert_eq!(asked, 1, "{url}: the document was read");
    }
    assert_eq!(bench.trap.connections(), 0);
}

// docs/standards.md: 28.
#[tokio::test]
async fn no_mcp_server_leads_inside() {
    let bench = Bench::new().await;
    let base = &bench.acme.base;
    let server = bench.server("").await;
    let begin = async |url: &str| {
        let body = json!({"callback_url": CALLBACK, "inputs": {"server_url": url}});
        server.post("/v1/integrations/mcp/oauth/initiate").key(&server.key).json(&body).send().await.status
    };
    let names = |resource: &str, issuer: &str| {
        let document = json!({"resource": format!("{base}/{resource}"), "authorization_servers": [issuer]});
        bench.acme.says(&format!("/.well-known/oauth-protected-resource/{resource}"), &document);
    };
    for (n, url) in bench.forbidden().iter().enumerate() {
        assert!([422, 502].contains(&begin(url).await), "the caller names {url}");

        names(&format!("m{n}"), url);
        assert_eq!(begin(&format!("{base}/m{n}")).await, 502, "the server names {url}");

        let issuer = format!("{base}/i{n}");
        names(&format!("r{n}"), &issuer);
        let metadata = json!({
            "issuer": issuer, "authorization_endpoint": format!("{base}/authorize"),
            "token_endpoint": format!("{base}/token"), "registration_endpoint": url,
            "code_challenge_methods_supported": ["S256"],
        });
        bench.acme.says(&format!("/.well-known/oauth-authorization-server/i{n}"), &metadata);
        assert_eq!(begin(&format!("{base}/r{n}")).await, 502, "the authorization server names {url}");
    }
    assert_eq!(bench.trap.connections(), 0);
}

// docs/standards.md: 28.
#[tokio::test]
async fn no_metadata_of_a_provider_leads_inside() {
    let bench = Bench::new().await;
    let base = &bench.acme.base;
    let (mut config, forbidden) = (String::new(), bench.forbidden());
    let publish = |name: &str, changes: &[(&str, &str)]| {
        let issuer = format!("{base}/{name}");
        let mut document = json!({
            "issuer": issuer, "authorization_endpoint": format!("{base}/authorize"), "token_endpoint": format!("{base}/token"),
            "authorization_response_iss_parameter_supported": false,
        });
        for (member, url) in changes {
            document[*member] = json!(url);
        }
        bench.acme.says(&format!("/.well-known/oauth-authorization-server/{name}"), &document);
        format!(
            "[providers.{name}]\ndisplay_name = \"{name}\"\nclient_id = \"c\"\nclient_secret = \"s\"\n\
             [providers.{name}.oauth]\nissuer = \"{issuer}\"\n"
        )
    };
    for (n, url) in forbidden.iter().enumerate() {
        config.push_str(&publish(&format!("tok{n}"), &[("token_endpoint", url)]));
        config.push_str(&publish(&format!("who{n}"), &[("userinfo_endpoint", url), ("revocation_endpoint", url)]));
    }
    let server = bench.server(&config).await;
    let (mut refused, mut malformed) = (0, 0);
    for (n, url) in forbidden.iter().enumerate() {
        for name in [format!("tok{n}"), format!("who{n}")] {
            let path = format!("/v1/integrations/{name}/oauth/initiate");
            let started = server.post(&path).key(&server.key).json(&json!({"callback_url": CALLBACK})).send().await;
            if started.status == 502 {
                assert!(started.text().contains("no usable '"), "{url}: {}", started.text());
                malformed += 1;
                continue;
            }
            let body = json!({"code": "c", "state_token": started.is(200).json()["state_token"]});
            let path = format!("/v1/integrations/{name}/oauth/complete");
            let completed = server.post(&path).key(&server.key).json(&body).send().await;
            if name.starts_with("tok") {
                assert!(completed.is(502).text().contains("the request is not allowed"), "{url}");
            } else {
                let connected = completed.is(200).json();
                assert_eq!(connected["username"], Value::Null, "{url}");
                // Null where the URL is malformed: an optional member that is malformed counts as absent.
                assert_ne!(delete(&server, &name, &connected).await, true, "{url}");
            }
            refused += 1;
        }
    }
    assert_eq!((refused + malformed, refused >= 120), (2 * forbidden.len(), true));
    assert_eq!(bench.trap.connections(), 0);
}

#[tokio::test]
async fn rebinding_name_is_checked_at_each_connection() {
    let bench = Bench::new().await;
    let acceptor = bench.authority.acceptor("provider.example", 2020..2200);
    let good = Hostile::listen("127.0.0.2:0", Some(acceptor.clone())).await;
    let trap = Hostile::listen(&format!("127.0.0.1:{}", good.port()), Some(acceptor)).await;
    let base = format!("https://provider.example:{}", good.port());
    good.says("/token", &json!({"access_token": "at", "token_type": "bearer"}));
    good.says("/me", &json!({"name": "Ann"}));
    let more = format!(
        "identity = {{ url = \"{base}/me\", username = \"/name\" }}\nrevoke = {{ url = \"{base}/revoke\", ends = \"token\" }}"
    );
    let config = provider("acme", &base, &format!("{base}/token"), &more);
    let rebinding = |_: &str, asked: usize| match asked {
        // The first login: good for the code; good for the token, among inner addresses. The third: good for the code.
        0 | 4 => vec!["127.0.0.2"],
        1 => vec!["127.0.0.1", "10.0.0.1", "127.0.0.2", "::1"],
        // Its revocation: rebound to this machine.
        2 => vec!["127.0.0.1"],
        // The second login: the name is this machine's before the code is sent, in other words.
        3 => vec!["::ffff:127.0.0.1", "::1", "0.0.0.0"],
        // The third login's token.
        _ => vec!["169.254.169.254", "fd00:ec2::254", "64:ff9b::a9fe:a9fe"],
    };
    let server = bench.server_where(&config, rebinding).await;
    let first = connect(&server, "acme").await.is(200).json();
    assert_eq!(first["username"], "Ann");
    assert_eq!(delete(&server, "acme", &first).await, false);
    assert_eq!(connect(&server, "acme").await.is(502).json()["type"], "/problems/provider-unavailable");
    let third = connect(&server, "acme").await.is(200).json();
    assert_eq!(third["username"], Value::Null);
    assert_eq!((good.all_asked().len(), trap.connections()), (3, 0));
    assert!(reasons(&server).await[0].contains("the address is not public"));
}
