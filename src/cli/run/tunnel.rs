//! The relay as a forward proxy: CONNECT, and requests with an absolute URL.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{HOST, PROXY_AUTHORIZATION};
use http::{HeaderValue, Method, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use url::Host;

use super::message::{refused, remove_connection_headers, remove_own_headers, returned};
use crate::broker::HostPattern;
use crate::config::is_loopback;
use crate::egress::{BoxError, StreamBody};
use crate::id::UserId;
use crate::policy::{Destination, Scheme};
use crate::secret::Secret;

/// Message for a host of a credential if the server has no forward proxy.
const NO_LISTENER: &str = "this host belongs to a credential, and the relay has no forward proxy for it: use the base URL in \
                           the variables of the provider";

/// Hosts of credentials, and the way to each host.
pub(super) struct Tunnels {
    /// Hosts of the credentials.
    pub(super) bound: Vec<HostPattern>,
    /// The server's forward proxy.
    pub(super) forward: Option<ForwardProxy>,
}

/// The server's forward proxy: `host:port`, and the header that it asks for.
pub(super) struct ForwardProxy {
    address: String,
    authorization: HeaderValue,
}

/// Checks an address of `--forward-proxy`. The API key crosses the way to it in clear.
pub(super) fn forward_proxy(text: &str) -> Result<String, String> {
    if text.contains("://") {
        return Err("write HOST:PORT, without a scheme".to_owned());
    }
    let destination = Destination::parse_connect(text).map_err(|_| "write HOST:PORT, such as 127.0.0.1:8485")?;
    if !Host::parse(destination.host()).is_ok_and(|host| is_loopback(&host)) {
        return Err(format!(
            "the API key would cross the network in clear: name a loopback address, such as that of a tunnel: \
             ssh -L 8485:127.0.0.1:{} {}",
            destination.port(),
            destination.host()
        ));
    }
    Ok(text.to_owned())
}

impl ForwardProxy {
    pub(super) fn new(address: String, key: &Secret, user: Option<&UserId>) -> Option<Self> {
        let user = user.map(ToString::to_string).unwrap_or_default();
        let pair = STANDARD.encode(format!("{user}:{}", key.expose()));
        let mut authorization = HeaderValue::from_str(&format!("Basic {pair}")).ok()?;
        authorization.set_sensitive(true);
        Some(Self { address, authorization })
    }
}

impl Tunnels {
    fn is_bound(&self, destination: &Destination) -> bool {
        self.bound.iter().any(|pattern| destination.fits(pattern))
    }

    /// Returns true if a host is bound by https or by http. A tunnel may carry either.
    fn is_bound_in_tunnel(&self, destination: &Destination) -> bool {
        self.is_bound(destination) || self.is_bound(&destination.clone().with_scheme(Scheme::Http))
    }

    /// Opens a tunnel.
    pub(super) async fn connect(&self, request: Request<Incoming>) -> Response<StreamBody> {
        // The whole target: a URL is not a destination of CONNECT.
        let authority = request.uri().to_string();
        let Ok(destination) = Destination::parse_connect(&authority) else {
            return refused(StatusCode::BAD_REQUEST, "CONNECT needs HOST:PORT");
        };
        if self.is_bound_in_tunnel(&destination) {
            return match &self.forward {
                Some(forward) => forward.connect(request, &authority).await,
                None => refused(StatusCode::FORBIDDEN, NO_LISTENER),
            };
        }
        match TcpStream::connect((destination.host().trim_matches(['[', ']']), destination.port())).await {
            Ok(stream) => {
                tokio::spawn(async move {
                    let Ok(client) = hyper::upgrade::on(request).await else { return };
                    copy(client, stream).await;
                });
                established()
            }
            Err(error) => unreachable(&authority, &error),
        }
    }

    /// Sends a request whose URL is absolute.
    pub(super) async fn absolute(&self, request: Request<Incoming>) -> Response<StreamBody> {
        let authority = request.uri().authority().map_or("", |authority| authority.as_str()).to_owned();
        let scheme = match request.uri().scheme_str() {
            Some("http") => Scheme::Http,
            Some("https") => Scheme::Https,
            _ => return refused(StatusCode::BAD_REQUEST, "the URL is neither http nor https"),
        };
        let Ok(destination) = Destination::parse_authority(scheme, &authority) else {
            return refused(StatusCode::BAD_REQUEST, "the host of the URL has no clear meaning");
        };
        let (mut parts, body) = request.into_parts();
        remove_connection_headers(&mut parts.headers);
        let host = HeaderValue::from_str(&authority).unwrap_or(HeaderValue::from_static(""));
        parts.headers.insert(HOST, host);
        let body = body.map_err(|error| -> BoxError { Box::new(error) }).boxed_unsync();
        let address = if self.is_bound(&destination) {
            let Some(forward) = &self.forward else { return refused(StatusCode::FORBIDDEN, NO_LISTENER) };
            remove_own_headers(&mut parts.headers);
            parts.headers.insert(PROXY_AUTHORIZATION, forward.authorization.clone());
            forward.address.clone()
        } else if scheme == Scheme::Https {
            return refused(StatusCode::BAD_REQUEST, "use CONNECT for https");
        } else {
            let target = parts.uri.path_and_query().map_or("/", |target| target.as_str());
            parts.uri = target.parse::<Uri>().unwrap_or_default();
            format!("{}:{}", destination.host(), destination.port())
        };
        match exchange(&address, Request::from_parts(parts, body)).await {
            Ok(response) => returned(response),
            Err(error) => unreachable(&authority, &error),
        }
    }
}

impl ForwardProxy {
    /// Opens a tunnel through the server's forward proxy, and hands its refusal back.
    async fn connect(&self, request: Request<Incoming>, authority: &str) -> Response<StreamBody> {
        let body: StreamBody = Empty::new().map_err(|never| match never {}).boxed_unsync();
        let mut asked = Request::new(body);
        *asked.method_mut() = Method::CONNECT;
        *asked.uri_mut() = authority.parse().unwrap_or_default();
        let host = HeaderValue::from_str(authority).unwrap_or(HeaderValue::from_static(""));
        asked.headers_mut().insert(HOST, host);
        asked.headers_mut().insert(PROXY_AUTHORIZATION, self.authorization.clone());
        let response = match exchange(&self.address, asked).await {
            Ok(response) => response,
            Err(error) => return unreachable(&self.address, &error),
        };
        if response.status() != StatusCode::OK {
            return returned(response);
        }
        tokio::spawn(async move {
            let (client, server) = (hyper::upgrade::on(request), hyper::upgrade::on(response));
            if let (Ok(client), Ok(server)) = tokio::join!(client, server) {
                copy(client, TokioIo::new(server)).await;
            }
        });
        established()
    }
}

/// Sends a request over a connection of its own.
async fn exchange(address: &str, request: Request<StreamBody>) -> Result<Response<Incoming>, BoxError> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let builder = http1::Builder::new().preserve_header_case(true).to_owned();
    let (mut sender, connection) = builder.handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection.with_upgrades());
    Ok(sender.send_request(request).await?)
}

/// Copies in both directions until both have ended.
async fn copy(client: Upgraded, server: impl AsyncRead + AsyncWrite) {
    let (mut from_client, mut to_client) = tokio::io::split(TokioIo::new(client));
    let (mut from_server, mut to_server) = tokio::io::split(server);
    let upwards = async {
        if tokio::io::copy(&mut from_client, &mut to_server).await.is_err() {
            // The server takes no more. Unread bytes would make the client lose the server's answer.
            let _ = tokio::io::copy(&mut from_client, &mut tokio::io::sink()).await;
        }
        let _ = to_server.shutdown().await;
    };
    let downwards = async {
        let _ = tokio::io::copy(&mut from_server, &mut to_client).await;
        let _ = to_client.shutdown().await;
    };
    tokio::join!(upwards, downwards);
}

fn established() -> Response<StreamBody> {
    Response::new(Empty::new().map_err(|never| match never {}).boxed_unsync())
}

fn unreachable(authority: &str, error: &dyn std::fmt::Display) -> Response<StreamBody> {
    refused(StatusCode::BAD_GATEWAY, &format!("cannot reach {authority}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tunnel_to_a_host_of_http_is_bound() {
        let bound = ["http://a.example", "b.example"].map(|host| host.parse().unwrap()).into();
        let tunnels = Tunnels { bound, forward: None };
        for (authority, is_bound) in
            [("a.example:80", true), ("a.example:443", false), ("b.example:443", true), ("b.example:80", false)]
        {
            let destination = Destination::parse_connect(authority).unwrap();
            assert_eq!(tunnels.is_bound_in_tunnel(&destination), is_bound, "{authority}");
        }
    }
}
