//! Hosts to which no credential of the API key is bound: tunnels whose bytes pass unchanged, and
//! requests that are passed on without a credential. Both need an API key that says so, have an audit
//! row before anything is dialled, and are dialled within the rules of the egress guard.

mod copy;
mod watched;

use std::sync::Arc;
use std::time::Duration;

use http::header::HOST;
use http::uri::PathAndQuery;
use http::{HeaderValue, Method, Request, Response};
use http_body_util::BodyExt as _;
use hyper::upgrade::OnUpgrade;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio_util::sync::CancellationToken;

use self::copy::copy_both;
use self::watched::{Hosts, WatchedHosts};
use super::body::{NotedBody, Progress, RequestPlace, StreamedBody};
use super::method::is_refused_method;
use super::refusal::ProxyError;
use super::response::passed_on;
use super::strip::strip_connection_headers;
use crate::broker::{Broker, Caller, KeyHosts};
use crate::egress::EgressError;
use crate::permits::KeyedSemaphore;
use crate::policy::{Destination, RequestTarget, Scheme};
use crate::vault::ProxiedRequest;

/// Time without a byte after which a tunnel counts as idle while the server stops.
const IDLE_AT_STOP: Duration = Duration::from_secs(1);

/// A request for a host without a credential.
pub struct UnmatchedRequest<'r> {
    /// The authenticated caller.
    pub caller: &'r Caller,
    /// Name of its part of the server.
    pub share: &'r str,
    /// The destination.
    pub destination: &'r Destination,
}

/// A connection to a host without a credential, for a tunnel.
pub struct PlainTunnel {
    server: TcpStream,
    destination: Destination,
    hosts: watch::Receiver<Option<Arc<KeyHosts>>>,
    idle: Duration,
    /// Keeps the hosts up to date.
    _watched: Arc<Hosts>,
    _place: (RequestPlace, OwnedSemaphorePermit),
}

/// The way to hosts without a credential.
pub struct PassThrough {
    broker: Broker,
    first_byte: Duration,
    idle: Duration,
    /// Requests and tunnels under way, by caller.
    running: Arc<KeyedSemaphore<String>>,
    tunnels: Arc<Semaphore>,
    /// The hosts that each caller must not reach without a credential.
    watched: WatchedHosts,
}

impl PassThrough {
    pub(super) fn new(
        broker: Broker,
        (first_byte, idle): (Duration, Duration),
        running: Arc<KeyedSemaphore<String>>,
        tunnels: usize,
    ) -> Self {
        let tunnels = Arc::new(Semaphore::new(tunnels));
        Self { broker, first_byte, idle, running, tunnels, watched: WatchedHosts::default() }
    }

    /// Opens the connection of a tunnel.
    ///
    /// # Errors
    /// The reason for which the tunnel was refused, or the failure to connect.
    pub async fn open_tunnel(&self, asked: UnmatchedRequest<'_>) -> Result<PlainTunnel, ProxyError> {
        let watched = self.watched.of(&self.broker, asked.caller, asked.share).await?;
        let hosts = watched.subscribe();
        let place = self.admit(&asked, hosts.borrow().as_deref())?;
        let permit = Arc::clone(&self.tunnels).try_acquire_owned().map_err(|_| ProxyError::TooManyTunnels)?;
        self.record(&asked, &Method::CONNECT, "").await?;
        let UnmatchedRequest { destination, .. } = asked;
        let dialling = self.broker.egress().dial_unmatched(destination.host(), destination.port());
        let server = dialling.await.map_err(not_reached)?;
        server.set_nodelay(true).ok();
        let (destination, idle) = (destination.clone(), self.idle);
        Ok(PlainTunnel { server, destination, hosts, idle, _watched: watched, _place: (place, permit) })
    }

    /// Sends a request as the caller wrote it, without the headers of its connection to us.
    ///
    /// # Errors
    /// The reason for which the request was refused, or has no response.
    pub async fn send(
        &self,
        asked: UnmatchedRequest<'_>,
        target: &str,
        request: Request<StreamedBody>,
    ) -> Result<Response<StreamedBody>, ProxyError> {
        let (mut parts, body) = request.into_parts();
        if is_refused_method(&parts.method) {
            return Err(ProxyError::Method(parts.method.to_string()));
        }
        let UnmatchedRequest { share, destination, .. } = asked;
        let authority = destination.authority();
        let unclear = || ProxyError::NoCredential(authority.clone());
        // Nothing is known about the TLS of such a host: its clients have CONNECT.
        if destination.scheme() != Scheme::Http {
            return Err(unclear());
        }
        let target = RequestTarget::parse(target)?;
        let hosts = self.broker.key_hosts(asked.caller, None).await?;
        let place = self.admit(&asked, hosts.as_deref())?;
        self.record(&asked, &parts.method, target.path.as_str()).await?;
        strip_connection_headers(&mut parts.headers);
        parts.headers.insert(HOST, HeaderValue::from_str(&authority).map_err(|_| unclear())?);
        let target: PathAndQuery = target.to_text().parse().map_err(|_| unclear())?;
        let uri = http::Uri::builder().scheme("http").authority(authority.as_str()).path_and_query(target);
        parts.uri = uri.build().map_err(|_| unclear())?;
        parts.version = http::Version::HTTP_11;
        parts.extensions.remove::<OnUpgrade>();
        let progress = Progress::begin();
        let request = Request::from_parts(parts, NotedBody::new(body, progress.clone()).boxed_unsync());
        let sending = self.broker.egress().stream_unmatched(request, share);
        let response = tokio::select! {
            response = sending => response.map_err(not_reached)?,
            () = progress.stalls_for(self.first_byte) => return Err(EgressError::TooSlow { sent: true }.into()),
        };
        Ok(passed_on(response, self.idle, place))
    }

    /// Refuses a host of a credential, and counts the request.
    fn admit(&self, asked: &UnmatchedRequest<'_>, hosts: Option<&KeyHosts>) -> Result<RequestPlace, ProxyError> {
        if !is_allowed(hosts, asked.destination) {
            return Err(ProxyError::NoCredential(asked.destination.authority()));
        }
        self.running.try_acquire(asked.share.to_owned()).ok_or(ProxyError::TooMany)
    }

    /// Writes the audit row.
    async fn record(&self, asked: &UnmatchedRequest<'_>, method: &Method, path: &str) -> Result<(), ProxyError> {
        let (method, host, path) = (method.to_string(), asked.destination.authority(), path.to_owned());
        let request = ProxiedRequest { method, host, path, grant: None, approval: None };
        Ok(self.broker.record_unmatched(asked.caller, request).await?)
    }
}

impl PlainTunnel {
    /// Copies bytes in both directions until both have ended, nothing passes for too long, the API
    /// key no longer allows it, or the server stops.
    pub async fn run(mut self, mut client: impl AsyncRead + AsyncWrite + Unpin, stop: &CancellationToken) {
        let progress = Progress::begin();
        let until_refused = async {
            while is_allowed(self.hosts.borrow_and_update().as_deref(), &self.destination)
                && self.hosts.changed().await.is_ok()
            {}
        };
        let until_stopped = async {
            stop.cancelled().await;
            progress.stalls_for(IDLE_AT_STOP).await;
        };
        tokio::select! {
            () = copy_both(&mut client, &mut self.server, &progress) => {}
            () = progress.stalls_for(self.idle) => tracing::debug!("an idle tunnel was closed"),
            () = until_refused => tracing::info!("a tunnel was closed: its API key no longer allows it"),
            () = until_stopped => {}
        }
    }
}

fn is_allowed(hosts: Option<&KeyHosts>, destination: &Destination) -> bool {
    hosts.is_some_and(|hosts| hosts.are_without(destination))
}

fn not_reached(error: EgressError) -> ProxyError {
    match error {
        EgressError::Refused(refusal) => ProxyError::NoAddress(refusal),
        error => error.into(),
    }
}
