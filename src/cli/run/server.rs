//! The server that `strongroom run` sends to, and its checks of the API key.

use std::time::Duration;

use http::header::HOST;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::body::Incoming;
use serde_json::Value;
use url::Url;

use crate::broker::HostPattern;
use crate::cli::failure::Failure;
use crate::config::{Config, Listen};
use crate::egress::{Egress, EgressError, StreamBody};
use crate::id::{CredentialId, ProviderName, UserId};
use crate::secret::Secret;

/// Time to connect to the server.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Maximum size of an answer that is read here, in bytes.
const MAX_ANSWER: usize = 4 * 1024 * 1024;

/// A credential that no user has.
const NO_CREDENTIAL: &str = "00000000-0000-4000-8000-000000000000";

/// The server, with the API key for requests to it.
pub(super) struct Server {
    egress: Egress,
    /// URL of the API, without a slash at its end.
    base: Url,
    headers: HeaderMap,
}

/// What the API key may use, as the server says.
#[derive(Debug, Default)]
pub(super) struct Destinations {
    pub(super) hosts: Vec<HostPattern>,
    pub(super) credentials: Vec<(CredentialId, ProviderName)>,
}

/// Returns the URL of the server of this configuration, as this machine reaches it.
pub(super) fn url_of(config: &Config) -> Result<Url, Failure> {
    let server = &config.server;
    let base = match &server.listen {
        Listen::Tcp { host, port } if server.tls.is_none() => format!("http://{}", reachable(host, *port)),
        _ => server.public_url.as_str().trim_end_matches('/').to_owned(),
    };
    let unknown =
        |_| Failure::configuration("the address of the server is unknown").advise("name it with --server URL");
    Url::parse(&format!("{base}{}", server.base_path)).map_err(unknown)
}

/// Returns the address at which this machine reaches a listener.
pub(super) fn reachable(host: &str, port: u16) -> String {
    match host {
        "0.0.0.0" => format!("127.0.0.1:{port}"),
        "::" => format!("[::1]:{port}"),
        host if host.contains(':') => format!("[{host}]:{port}"),
        host => format!("{host}:{port}"),
    }
}

impl Server {
    pub(super) fn new(base: Url, config: &Config, key: &Secret, user: Option<&UserId>) -> Result<Self, Failure> {
        // Plain HTTP is possible only to this machine.
        let anywhere = ["0.0.0.0/0", "::/0"].map(|network| network.parse().expect("a legal network"));
        let egress = Egress::new(&anywhere, &config.egress.ca_certificates, CONNECT_TIMEOUT);
        let egress = egress.map_err(|error| Failure::configuration(error.to_string()))?;
        let value = |text: &str| {
            let value = HeaderValue::from_str(text).map(|mut value| {
                value.set_sensitive(true);
                value
            });
            value.map_err(|_| Failure::configuration("the API key has characters that no API key has"))
        };
        let mut headers = HeaderMap::new();
        headers.insert("x-api-key", value(key.expose())?);
        if let Some(user) = user {
            headers.insert("strongroom-user", value(user.as_str())?);
        }
        headers.insert(HOST, value(&base[url::Position::BeforeHost..url::Position::AfterPort])?);
        Ok(Self { egress, base, headers })
    }

    /// Sends a request of the command with the API key. `target` is below the URL of the server.
    pub(super) async fn send(
        &self,
        mut request: Request<StreamBody>,
        target: &str,
    ) -> Result<Response<Incoming>, EgressError> {
        let origin = &self.base[..url::Position::BeforePath];
        let uri = format!("{origin}{}{target}", self.base.path().trim_end_matches('/'));
        // An address that does not parse is refused by the client below.
        *request.uri_mut() = uri.parse::<Uri>().unwrap_or_default();
        for (name, value) in &self.headers {
            request.headers_mut().insert(name, value.clone());
        }
        self.egress.stream(request, false, "run").await
    }

    /// Sends a GET request, and reads the answer.
    pub(super) async fn get(&self, target: &str) -> Result<(StatusCode, Vec<u8>), Failure> {
        let unreachable = |error: &dyn std::fmt::Display| {
            Failure::new(format!("the server at {} does not answer: {error}", self.base))
                .advise("start it with `strongroom serve`, or name another one with --server URL")
        };
        let body = Empty::new().map_err(|never| match never {}).boxed_unsync();
        let mut request = Request::new(body);
        *request.method_mut() = Method::GET;
        let response = self.send(request, target).await.map_err(|error| unreachable(&error))?;
        let status = response.status();
        let body = Limited::new(response.into_body(), MAX_ANSWER).collect().await;
        let body = body.map_err(|error| unreachable(&error))?;
        Ok((status, body.to_bytes().to_vec()))
    }

    /// Checks that the key is valid and cannot obtain a secret. With one that
    /// can, the command would need no relay.
    pub(super) async fn check_key(&self) -> Result<(), Failure> {
        let (status, body) = self.get(&format!("/v1/integrations/openai/credentials/{NO_CREDENTIAL}/token")).await?;
        if status == StatusCode::UNAUTHORIZED {
            return Err(Failure::new("the server does not accept this API key: it is unknown, revoked or expired")
                .advise("create one with `strongroom key create --permission PROXY_INTEGRATIONS`"));
        }
        if problem(&body).as_deref() == Some("/problems/permission-missing") {
            return Ok(());
        }
        Err(Failure::configuration("this API key has USE_INTEGRATIONS, so the command could obtain secrets with it")
            .advise("create one with `strongroom key create --permission PROXY_INTEGRATIONS`, and no other permission"))
    }

    /// Returns what the key may use; `None` if the server does not say.
    pub(super) async fn destinations(&self) -> Result<Option<Destinations>, Failure> {
        let (status, body) = self.get("/v1/proxy/destinations").await?;
        match status {
            StatusCode::OK => Ok(Some(Destinations::parse(&body))),
            StatusCode::NOT_FOUND => Ok(None),
            StatusCode::FORBIDDEN => Err(Failure::configuration("this API key lacks PROXY_INTEGRATIONS")
                .advise("create one with `strongroom key create --permission PROXY_INTEGRATIONS`")),
            StatusCode::BAD_REQUEST => {
                Err(Failure::configuration("this is a service key, which acts for a named user")
                    .advise("name the user with --user"))
            }
            status => Err(Failure::new(format!("the server answered {status}, and not what the API key may use"))),
        }
    }

    /// Returns the certificate of the server's certification authority, if it has one.
    pub(super) async fn ca(&self) -> Option<String> {
        let (status, body) = self.get("/v1/proxy/ca.pem").await.ok()?;
        let text = String::from_utf8(body).ok()?;
        (status == StatusCode::OK && text.contains("-----BEGIN CERTIFICATE-----")).then_some(text)
    }
}

impl Destinations {
    /// Reads the answer of the server.
    fn parse(body: &[u8]) -> Self {
        let answer: Value = serde_json::from_slice(body).unwrap_or_default();
        let mut found = Self::default();
        let hosts = answer["destinations"].as_array().into_iter().flatten().filter_map(|place| place["host"].as_str());
        found.hosts.extend(hosts.filter_map(|host| host.parse::<HostPattern>().ok()));
        for (id, provider) in answer["providers"].as_object().into_iter().flatten() {
            if let (Ok(id), Some(Ok(provider))) = (id.parse(), provider.as_str().map(str::parse)) {
                found.credentials.push((id, provider));
            }
        }
        found
    }
}

/// Returns the type of a problem document.
fn problem(body: &[u8]) -> Option<String> {
    serde_json::from_slice::<Value>(body).ok()?.get("type")?.as_str().map(str::to_owned)
}
