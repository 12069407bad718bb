//! The HTTP server: accepts connections within their limits, and stops gracefully.

pub(crate) mod connection;
mod head_check;
mod linger;
pub(crate) mod listener;
pub(crate) mod reply_body;
pub(crate) mod request_body;
pub(crate) mod service;
#[cfg(test)]
mod tests;
pub(crate) mod tls;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper_util::service::TowerToHyperService;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_rustls::TlsAcceptor;
use tokio_util::io::InspectReader;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use warp::Filter as _;
use warp::filters::BoxedFilter;
use warp::reply::Response;

use self::connection::Protocol;
use self::listener::{Accepted, Listener};
use self::service::{Api, DirectApi, RequestService, Services, Shared};
use super::app::{App, Settings};
use super::client_address::{is_trusted, subscriber};
use super::request::context::RequestContext;
use super::routes;
use crate::egress;
use crate::permits::{KeyedPermit, KeyedSemaphore};
use crate::random::Random;

/// Serves `app` on all `listeners` until `shutdown` completes.
///
/// Then nothing more is accepted, idle connections are closed, and requests in progress are
/// finished. Those that are not finished within `Limits::shutdown_grace` are cut off.
pub async fn serve(listeners: Vec<Listener>, app: App, shutdown: impl Future<Output = ()>) {
    let (settings, random) = (app.settings.clone(), app.random);
    let mut filter = routes::api(&app.settings.base_path);
    if let Some(page) = &settings.callback_page {
        filter = routes::callback_page(page, random).or(filter).unify().boxed();
    }
    let own = listeners.iter().filter_map(Listener::address).collect();
    app.broker.set_own_listeners(own);
    let direct = vec![super::proxy::api(app.clone()), super::mcp::api(app.clone())];
    let forward = super::forward::api(app.clone());
    let api = api(filter, move |context| {
        let mut extensions = http::Extensions::new();
        extensions.insert(app.clone());
        extensions.insert(context);
        extensions
    });
    let services = Services::Api { api, direct };
    serve_all(listeners, (services, forward), settings, random, shutdown).await;
}

/// Makes the service of a filter. `extend` returns the extensions of each request, for `warp::ext`.
fn api(
    filter: BoxedFilter<(Response,)>,
    extend: impl Fn(RequestContext) -> http::Extensions + Send + Sync + 'static,
) -> Api {
    let service = TowerToHyperService::new(warp::service(filter));
    Box::new(move |mut request, context| {
        request.extensions_mut().extend(extend(context));
        let response = hyper::service::Service::call(&service, request);
        Box::pin(async move { response.await.unwrap_or_else(|never| match never {}) })
    })
}

/// Makes the forward proxy of a server.
type ForwardProxy = Box<dyn FnOnce(Arc<Shared>) -> DirectApi + Send>;

async fn serve_all(
    listeners: Vec<Listener>,
    (api, forward): (Services, ForwardProxy),
    settings: Settings,
    random: Random,
    shutdown: impl Future<Output = ()>,
) {
    let Settings { trusted_proxies, limits, .. } = settings;
    allow_open_files(limits.connections);
    let (stop, cut, tasks) = (CancellationToken::new(), CancellationToken::new(), TaskTracker::new());
    let shared = Arc::new(Shared {
        trusted_proxies,
        limits,
        random,
        tasks: tasks.clone(),
        stop: stop.clone(),
        cut: cut.clone(),
    });
    let server = Arc::new(Server {
        connections: Arc::new(Semaphore::new(shared.limits.connections)),
        per_address: KeyedSemaphore::new(shared.limits.connections_per_address),
        api: Arc::new(api),
        forward: Arc::new(Services::Forward(forward(shared.clone()))),
        shared,
    });
    let grace = server.shared.limits.shutdown_grace;
    for listener in listeners {
        tasks.spawn(server.clone().accept_all(listener));
    }
    drop(server);
    shutdown.await;
    stop.cancel();
    tasks.close();
    if tokio::time::timeout(grace, tasks.wait()).await.is_err() {
        tracing::warn!("the grace period is over; requests in progress are cut off");
        cut.cancel();
    }
}

/// Raises the soft limit of open files towards the hard one: the usual 1,024 are fewer than the
/// connections.
fn allow_open_files(connections: usize) {
    let limit = getrlimit(Resource::Nofile);
    // A tunnel has a second socket, and half of the connections may be tunnels. The rest are the
    // database, its readers, other sockets to providers, and the log.
    let wanted = (connections + connections / 2 + egress::MAX_SOCKETS + 256) as u64;
    let possible = limit.maximum.map_or(wanted, |hard| hard.min(wanted));
    if limit.current.is_some_and(|soft| soft < possible) {
        let raised = Rlimit { current: Some(possible), maximum: limit.maximum };
        if let Err(error) = setrlimit(Resource::Nofile, raised) {
            tracing::warn!(%error, "the limit of open files stays below the number of connections");
        }
    }
}

/// Permit of one connection: one of all, and one of its address unless it is exempt.
type ConnectionPermit = (OwnedSemaphorePermit, Option<KeyedPermit<IpAddr>>);

/// Ties a permit to a socket until it is closed, also while it is a WebSocket. The closure exists
/// only to own the permit.
fn counted<S: AsyncRead>(socket: S, permit: ConnectionPermit) -> InspectReader<S, impl FnMut(&[u8])> {
    InspectReader::new(socket, move |_| _ = &permit)
}

/// State of a running server.
struct Server {
    connections: Arc<Semaphore>,
    per_address: Arc<KeyedSemaphore<IpAddr>>,
    api: Arc<Services>,
    forward: Arc<Services>,
    shared: Arc<Shared>,
}

impl Server {
    async fn accept_all(self: Arc<Self>, listener: Listener) {
        while let Some(accepted) = self.shared.stop.run_until_cancelled(listener.accept()).await {
            match accepted {
                Ok(connection) => self.admit(connection, &listener),
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    // Most likely there are no file descriptors left; connections that end return
                    // theirs.
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            }
        }
    }

    /// Serves a connection in a task of its own. A connection over a cap is closed.
    fn admit(self: &Arc<Self>, (stream, peer): Accepted, listener: &Listener) {
        let Some(permit) = self.permit(peer) else {
            // Not louder, so that a client with too many connections cannot fill the log.
            tracing::debug!(address = peer.map(tracing::field::display), "a connection over the limit was closed");
            return;
        };
        // A Unix socket needs no TLS.
        let (server, tls) = (self.clone(), listener.tls.clone().filter(|_| peer.is_some()));
        let services = if listener.is_forward_proxy { self.forward.clone() } else { self.api.clone() };
        self.shared.tasks.spawn(async move {
            let stream = counted(stream, permit);
            let conversation = async {
                let service = |tls| RequestService::new(server.shared.clone(), services, peer, tls);
                let Some(tls) = tls else { return server.serve(stream, service(false), Protocol::Http1).await };
                let limits = &server.shared.limits;
                let handshake = TlsAcceptor::from(tls.current(limits.tls_check)).accept(stream);
                // Boxed twice: TLS streams and handshakes are large, and plain connections need
                // neither.
                if let Ok(Ok(stream)) = Box::pin(tokio::time::timeout(limits.handshake_time, handshake)).await {
                    // ALPN (RFC 7301); a client without it speaks HTTP/1.1.
                    let is_h2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
                    let protocol = if is_h2 { Protocol::Http2 } else { Protocol::Http1 };
                    Box::pin(server.serve(stream, service(true), protocol)).await;
                }
            };
            server.shared.cut.run_until_cancelled(conversation).await;
        });
    }

    fn permit(&self, peer: Option<IpAddr>) -> Option<ConnectionPermit> {
        let counted = peer.filter(|peer| !is_trusted(*peer, &self.shared.trusted_proxies));
        let of_address = match counted {
            Some(address) => Some(self.per_address.try_acquire(subscriber(address))?),
            None => None,
        };
        Some((self.connections.clone().try_acquire_owned().ok()?, of_address))
    }

    async fn serve<S>(&self, stream: S, service: RequestService, protocol: Protocol)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        connection::serve(stream, service, protocol, &self.shared.limits, &self.shared.stop).await;
    }
}
