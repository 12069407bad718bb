//! The relay: a proxy on a loopback port that adds the API key to the requests of the command.
//!
//! Its URL has no credential in it, so it serves only sockets of its own user. Below `/v1/proxy/` it
//! is the server's path proxy. As a forward proxy it passes hosts of credentials on to the server's
//! forward proxy, and dials other hosts itself.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{HOST, ORIGIN, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};

use super::message::{refused, remove_connection_headers, remove_own_headers, returned};
use super::peer;
use super::server::Server;
use super::tunnel::Tunnels;
use crate::cli::failure::Failure;
use crate::egress::{BoxError, StreamBody};
use crate::id::CredentialId;
use crate::random::Random;

/// Beginning of the paths that the relay passes on.
const PATH_PROXY: &str = "/v1/proxy/";

/// End of the names of hosts that do not exist, for `run --check`.
pub(super) const CHECK_HOST: &str = "check.strongroom.invalid";

/// The listener, before anything is served.
pub(super) struct Relay {
    listener: TcpListener,
    address: SocketAddr,
    /// Token of this run, if the owner of a socket is not known.
    token: Option<String>,
}

/// The parts of the relay that its connections share.
pub(super) struct RelayState {
    pub(super) server: Server,
    pub(super) tunnels: Tunnels,
    /// Credentials that the path proxy is limited to; empty: all of the key.
    pub(super) credentials: Vec<CredentialId>,
    port: u16,
    token: Option<String>,
    /// Hosts of `run --check` that were asked for.
    pub(super) checked: Mutex<BTreeSet<String>>,
}

impl Relay {
    /// Listens on a free port. With `proxy_auth`, or if the owner of a socket cannot be seen here,
    /// clients need a token.
    pub(super) async fn open(proxy_auth: bool) -> Result<Self, Failure> {
        let failed = |error: std::io::Error| Failure::new(format!("cannot listen on a loopback address: {error}"));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let ours = TcpStream::connect(address).await.map_err(failed)?;
        let (_accepted, _) = listener.accept().await.map_err(failed)?;
        let sees_owners = peer::is_own(ours.local_addr().map_err(failed)?, address);
        let token = (proxy_auth || !sees_owners).then(|| Random.base64url::<24>());
        Ok(Self { listener, address, token })
    }

    /// Returns the URL of the forward proxy.
    pub(super) fn proxy_url(&self) -> String {
        match &self.token {
            Some(token) => format!("http://strongroom:{token}@{}", self.address),
            None => format!("http://{}", self.address),
        }
    }

    /// Returns the URL of the path proxy, with a slash at its end. Few clients send a user name that
    /// is in a base URL, so a token is in the path.
    pub(super) fn path_url(&self) -> String {
        let token = self.token.as_ref().map(|token| format!("/{token}")).unwrap_or_default();
        format!("http://{}{token}{PATH_PROXY}", self.address)
    }

    pub(super) fn port(&self) -> u16 {
        self.address.port()
    }

    /// Serves in the background, until the runtime ends.
    pub(super) fn serve(self, server: Server, tunnels: Tunnels, credentials: Vec<CredentialId>) -> Arc<RelayState> {
        let Self { listener, address, token } = self;
        let port = address.port();
        let state = RelayState { server, tunnels, credentials, port, token, checked: Mutex::default() };
        let state = Arc::new(state);
        let shared = Arc::clone(&state);
        tokio::spawn(async move {
            loop {
                // A failure is one of this connection, or passes when other connections end.
                let Ok((stream, from)) = listener.accept().await else {
                    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
                    continue;
                };
                if shared.token.is_some() || peer::is_own(from, address) {
                    tokio::spawn(serve_connection(Arc::clone(&shared), stream));
                }
            }
        });
        state
    }
}

async fn serve_connection(state: Arc<RelayState>, stream: TcpStream) {
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request| {
        let state = Arc::clone(&state);
        async move { Ok::<_, Infallible>(state.answer(request).await) }
    });
    let connection = http1::Builder::new()
        .preserve_header_case(true)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    // The client ended the connection early.
    let _ = connection.await;
}

impl RelayState {
    async fn answer(&self, request: Request<Incoming>) -> Response<StreamBody> {
        let is_proxied = request.method() == Method::CONNECT || request.uri().scheme().is_some();
        if !is_proxied {
            return self.path_proxy(request).await;
        }
        if !self.is_authenticated(request.headers()) {
            let mut refusal = refused(StatusCode::PROXY_AUTHENTICATION_REQUIRED, "this relay needs its token");
            let challenge = HeaderValue::from_static("Basic realm=\"strongroom run\"");
            refusal.headers_mut().insert(PROXY_AUTHENTICATE, challenge);
            return refusal;
        }
        if let Some(host) = request.uri().host().filter(|host| host.ends_with(CHECK_HOST)) {
            self.checked.lock().unwrap_or_else(PoisonError::into_inner).insert(host.to_owned());
            return refused(StatusCode::BAD_GATEWAY, "this host is for `strongroom run --check` only");
        }
        if request.method() == Method::CONNECT {
            self.tunnels.connect(request).await
        } else {
            self.tunnels.absolute(request).await
        }
    }

    /// Passes a request on to the server's path proxy.
    async fn path_proxy(&self, request: Request<Incoming>) -> Response<StreamBody> {
        if self.is_of_web_page(request.headers()) {
            return refused(StatusCode::FORBIDDEN, "requests of web pages and to other host names are not passed on");
        }
        let target = request.uri().path_and_query().map_or("/", |target| target.as_str());
        let target = match &self.token {
            Some(token) => target.strip_prefix('/').and_then(|target| target.strip_prefix(token.as_str())),
            None => Some(target),
        };
        let Some(target) = target.filter(|target| target.starts_with(PATH_PROXY)).map(str::to_owned) else {
            return refused(StatusCode::NOT_FOUND, "this is the relay of `strongroom run`: /v1/proxy/ID/PATH");
        };
        let selected = target[PATH_PROXY.len()..].split(['/', '@', '?']).next().unwrap_or_default();
        let is_selected = |id: &CredentialId| id.to_string().eq_ignore_ascii_case(selected);
        if !self.credentials.is_empty() && !self.credentials.iter().any(is_selected) {
            return refused(StatusCode::FORBIDDEN, "this credential was not given with --credential");
        }
        let (mut parts, body) = request.into_parts();
        remove_connection_headers(&mut parts.headers);
        remove_own_headers(&mut parts.headers);
        let body = body.map_err(|error| -> BoxError { Box::new(error) }).boxed_unsync();
        match self.server.send(Request::from_parts(parts, body), &target).await {
            Ok(response) => returned(response),
            Err(error) => refused(StatusCode::BAD_GATEWAY, &format!("the server does not answer: {error}")),
        }
    }

    /// Returns true if a browser may have sent the request for a web page. A page whose host name was
    /// resolved to this machine (DNS rebinding) has that name in `Host`.
    fn is_of_web_page(&self, headers: &HeaderMap) -> bool {
        let own = [format!("127.0.0.1:{}", self.port), format!("localhost:{}", self.port)];
        let mut hosts = headers.get_all(HOST).iter();
        let is_own = hosts.next().is_some_and(|host| own.iter().any(|own| host == own)) && hosts.next().is_none();
        !is_own || headers.contains_key(ORIGIN) || headers.contains_key("sec-fetch-site")
    }

    fn is_authenticated(&self, headers: &HeaderMap) -> bool {
        let Some(token) = &self.token else { return true };
        let expected = format!("Basic {}", STANDARD.encode(format!("strongroom:{token}")));
        let presented = headers.get(PROXY_AUTHORIZATION).map(HeaderValue::as_bytes).unwrap_or_default();
        crate::secret::Secret::new(expected).equals(&String::from_utf8_lossy(presented))
    }
}
