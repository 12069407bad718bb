//! The accept loop: takes connections in, within their limits, and lets them go in peace when it is asked to stop.

use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{mpsc, watch};
use tokio_rustls::TlsAcceptor;

use super::App;
use super::address::is_trusted;
use super::connections::Connections;
use super::limits::Limits;
use super::listener::{Accepted, Listener};
use super::service::{Door, Requests, refusals};
use super::wire::{Watch, Wire};

/// The largest piece that is read from a connection at once.
const READ_BUFFER: usize = 64 * 1024;

/// Serves `app` on all of `listeners` until `shutdown` comes. Then nothing more is accepted, idle connections are closed,
/// and answers under way are finished; what is not finished after the grace period is cut. Returns when all of that is done.
pub async fn serve(listeners: Vec<Listener>, app: App, shutdown: impl Future<Output = ()>) {
    let limits = Arc::new(app.limits().clone());
    serve_door(listeners, Arc::new(app.door()), limits, shutdown).await;
}

pub(super) async fn serve_door(
    listeners: Vec<Listener>,
    door: Arc<Door>,
    limits: Arc<Limits>,
    shutdown: impl Future<Output = ()>,
) {
    let (stage, stage_seen) = watch::channel(Stage::Serving);
    let (busy, mut done) = mpsc::channel(1);
    let connections = Connections::new(&limits);
    let server = Server { door, connections, stage: stage_seen, busy, limits: limits.clone() };
    for listener in listeners {
        tokio::spawn(server.clone().accept_all(listener));
    }
    drop(server);
    shutdown.await;
    stage.send_replace(Stage::Stopping);
    if tokio::time::timeout(limits.shutdown_grace, done.recv()).await.is_err() {
        tracing::warn!("the grace period is over; what is still under way is cut off");
        stage.send_replace(Stage::Cut);
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Serving,
    Stopping,
    Cut,
}

#[derive(Clone)]
struct Server {
    door: Arc<Door>,
    connections: Arc<Connections>,
    stage: watch::Receiver<Stage>,
    /// Dropped by everybody who is done: the channel closes with the last.
    busy: mpsc::Sender<Infallible>,
    limits: Arc<Limits>,
}

impl Server {
    async fn accept_all(mut self, listener: Listener) {
        loop {
            let accepted = tokio::select! {
                biased;
                _ = self.stage.wait_for(|stage| *stage != Stage::Serving) => return,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok(connection) => self.admit(connection, &listener),
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    // Most likely there are no more file descriptors.
                    self.connections.evict_one();
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            }
        }
    }

    fn admit(&self, connection: Accepted, listener: &Listener) {
        let peer = match &connection {
            Accepted::Tcp(_, address) => Some(address.ip()),
            Accepted::Unix(_) => None,
        };
        let watch = Watch::new();
        let counted = peer.filter(|peer| !is_trusted(*peer, &self.door.trusted_proxies));
        let Some(admission) = self.connections.admit(counted, watch.clone()) else {
            tracing::warn!(address = peer.map(tracing::field::display), "no room for another connection");
            return;
        };
        let server = self.clone();
        let tls = listener.tls.clone();
        tokio::spawn(async move {
            let mut stage = server.stage.clone();
            let talk = async move {
                match (connection, tls) {
                    (Accepted::Tcp(stream, _), None) => server.talk(stream, peer, false, watch).await,
                    (Accepted::Tcp(stream, _), Some(tls)) => {
                        let acceptor = TlsAcceptor::from(tls.current(server.limits.tls_check));
                        let handshake = tokio::time::timeout(server.limits.handshake_time, acceptor.accept(stream));
                        if let Ok(Ok(stream)) = handshake.await {
                            server.talk(stream, peer, true, watch).await;
                        }
                    }
                    (Accepted::Unix(stream), _) => server.talk(stream, peer, false, watch).await,
                }
            };
            tokio::select! {
                () = talk => {}
                () = admission.evicted() => {}
                _ = stage.wait_for(|stage| *stage == Stage::Cut) => {}
            }
        });
    }

    /// Speaks HTTP/1.1 on one connection until it ends.
    async fn talk<S>(mut self, stream: S, peer: Option<IpAddr>, tls: bool, watch: Arc<Watch>)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let refusal = refusals(self.door.random, peer);
        let wire = Wire::new(stream, watch.clone(), self.limits.clone(), refusal);
        let requests = Requests { door: self.door.clone(), watch: watch.clone(), peer, tls, busy: self.busy.clone() };
        let connection = http1::Builder::new()
            // The wire keeps the times, for hyper's timer cannot tell an idle connection from a slow head. This one is
            // longer than both, and there so that hyper looks at the wire again after each answer.
            .timer(TokioTimer::new())
            .header_read_timeout(self.limits.idle_time + self.limits.header_time)
            .max_header_size(self.limits.header_bytes)
            .max_buf_size(READ_BUFFER)
            .serve_connection(TokioIo::new(wire), requests);
        tokio::pin!(connection);
        let ended = tokio::select! {
            ended = connection.as_mut() => Some(ended),
            _ = self.stage.wait_for(|stage| *stage != Stage::Serving) => None,
        };
        let ended = if let Some(ended) = ended {
            ended
        } else {
            watch.stop();
            connection.as_mut().graceful_shutdown();
            connection.await
        };
        if let Err(error) = ended {
            tracing::debug!(%error, "a connection ended in the middle");
        }
    }
}
