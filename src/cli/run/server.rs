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

/// Time for an answer that is read here.
const ANSWER_TIME: Duration = Duration::from_secs(30);

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
    /// Time for an answer that is read here.
    answer_time: Duration,
}

/// A credential that the API key may use.
pub(super) type UsableCredential = (CredentialId, ProviderName);

/// What the API key may use, as the server says.
#[derive(Debug, Default)]
pub(super) struct Destinations {
    pub(super) hosts: Vec<HostPattern>,
    pub(super) credentials: Vec<UsableCredential>,
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
        let egress = Egress::new(&anywhere, &config.egress.ca_certificates, CONNECT_TIMEOUT, None);
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
        Ok(Self { egress, base, headers, answer_time: ANSWER_TIME })
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
        let exchange = async {
            let response = self.send(request, target).await.map_err(|error| unreachable(&error))?;
            let status = response.status();
            let body = Limited::new(response.into_body(), MAX_ANSWER).collect().await;
            let body = body.map_err(|error| unreachable(&error))?;
            Ok((status, body.to_bytes().to_vec()))
        };
        let late = |_| unreachable(&format_args!("no answer within {} s", self.answer_time.as_secs()));
        tokio::time::timeout(self.answer_time, exchange).await.map_err(late)?
    }

    /// Checks that the key is valid and cannot obtain a secret. With one that
    /// can, the command would need no relay.
    pub(super) async fn check_key(&self) -> Result<(), Failure> {
        let (status, body) = self.get(&format!("/v1/integrations/openai/credentials/{NO_CREDENTIAL}/token")).await?;
        match problem(&body).0.as_str() {
            "/problems/permission-missing" => Ok(()),
            "/problems/credential-not-found" | "/problems/not-granted" => Err(Failure::configuration(
                "this API key has USE_INTEGRATIONS, so the command could obtain secrets with it",
            )
            .advise(
                "create one with `strongroom key create --permission PROXY_INTEGRATIONS`, and no other permission",
            )),
            _ => Err(self.unexpected(status, &body)),
        }
    }

    /// Returns what the key may use.
    pub(super) async fn destinations(&self) -> Result<Destinations, Failure> {
        let (status, body) = self.get("/v1/proxy/destinations").await?;
        match problem(&body).0.as_str() {
            "/problems/permission-missing" => Err(Failure::configuration("this API key lacks PROXY_INTEGRATIONS")
                .advise("create one with `strongroom key create --permission PROXY_INTEGRATIONS`")),
            _ if status == StatusCode::OK => Destinations::parse(&body).ok_or_else(|| self.unexpected(status, &body)),
            _ => Err(self.unexpected(status, &body)),
        }
    }

    /// Builds the failure for an answer that a request here does not expect.
    fn unexpected(&self, status: StatusCode, body: &[u8]) -> Failure {
        let (kind, detail) = problem(body);
        match (kind.as_str(), detail) {
            ("/problems/invalid-api-key", _) => {
                Failure::new("the server does not accept this API key: it is unknown, revoked or expired")
                    .advise("create one with `strongroom key create --permission PROXY_INTEGRATIONS`")
            }
            ("/problems/user-required", _) => {
                Failure::configuration("this is a service key, which acts for a named user")
                    .advise("name the user with --user")
            }
            ("/problems/user-not-nameable", _) => {
                Failure::configuration("this API key belongs to one user, and cannot act for another one")
                    .advise("leave out --user")
            }
            (_, Some(detail)) => Failure::new(format!("the server at {} answered {status}: {detail}", self.base)),
            _ => Failure::new(format!("the server at {} answered {status}, and not as Strongroom does", self.base))
                .advise("check --server: it is the URL of Strongroom, with its base path"),
        }
    }

    /// Returns the certificate of the server's certification authority, if it has one.
    pub(super) async fn ca(&self) -> Result<Option<String>, Failure> {
        let (status, body) = self.get("/v1/proxy/ca.pem").await?;
        let text = String::from_utf8(body).unwrap_or_default();
        Ok((status == StatusCode::OK && text.contains("-----BEGIN CERTIFICATE-----")).then_some(text))
    }
}

impl Destinations {
    /// Reads the answer of the server; `None` if it is another document.
    fn parse(body: &[u8]) -> Option<Self> {
        let answer: Value = serde_json::from_slice(body).ok()?;
        let mut found = Self::default();
        let hosts = answer["destinations"].as_array()?.iter().filter_map(|place| place["host"].as_str());
        found.hosts.extend(hosts.filter_map(|host| host.parse::<HostPattern>().ok()));
        for (id, provider) in answer["providers"].as_object().into_iter().flatten() {
            if let (Ok(id), Some(Ok(provider))) = (id.parse(), provider.as_str().map(str::parse)) {
                found.credentials.push((id, provider));
            }
        }
        Some(found)
    }
}

/// Returns the type and the detail of a problem document. Of another document, the type is empty.
fn problem(body: &[u8]) -> (String, Option<String>) {
    let document: Value = serde_json::from_slice(body).unwrap_or_default();
    let text = |member: &str| document[member].as_str().map(str::to_owned);
    (text("type").unwrap_or_default(), text("detail"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{ClientSecrets, Environment, Sources};

    #[tokio::test]
    async fn server_that_never_answers_has_a_time_limit() {
        let sources = Sources { environment: Environment::given::<&str, &str>([]), ..Sources::default() };
        let installation = crate::broker::Installation::load(&sources, ClientSecrets::Leave, false).unwrap();
        let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", silent.local_addr().unwrap()).parse().unwrap();
        let mut server = Server::new(base, installation.config(), &Secret::new("srk_x"), None).unwrap();
        assert_eq!(server.answer_time, Duration::from_secs(30));
        server.answer_time = Duration::from_secs(1);
        let failure = server.get("/x").await.unwrap_err();
        assert!(failure.parts().0.contains("no answer within 1 s"), "{failure}");
    }
}
