//! The accept loop: takes connections in, within their limits, and lets them go in peace when it is asked to stop.

mod address;
mod conn_state;
pub(crate) mod connections;
mod head;
pub(crate) mod listener;
pub(crate) mod service;
mod timeout_stream;
pub(crate) mod tls;

use std::convert::Infallible;
use std::net::IpAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{mpsc, watch};
use tokio_rustls::TlsAcceptor;

use self::address::is_trusted;
use self::conn_state::{Wanted, Watch};
use self::connections::Connections;
use self::listener::{Accepted, Listener};
use self::service::{Connection, Door, Requests, refusals};
use self::timeout_stream::Wire;
use super::app::App;
use super::limits::Limits;

/// The largest piece that is read from a connection at once.
const READ_BUFFER: usize = 64 * 1024;

/// Serves `app` on all of `listeners` until `shutdown` comes. Then nothing more is accepted, idle connections are closed,
/// and answers under way are finished; what is not finished after the grace period is cut. Returns when all of that is done.
pub async fn serve(listeners: Vec<Listener>, app: App, shutdown: impl Future<Output = ()>) {
    let limits = Arc::new(app.limits().clone());
    serve_door(listeners, Arc::new(app.door()), limits, shutdown).await;
}

pub(crate) async fn serve_door(
    listeners: Vec<Listener>,
    door: Arc<Door>,
    limits: Arc<Limits>,
    shutdown: impl Future<Output = ()>,
) {
    let (accepting, may_accept) = watch::channel(true);
    let (busy, mut done) = mpsc::channel(1);
    let connections = Connections::new(&limits);
    allow_open_files(limits.connections);
    let server = Server { door, connections: connections.clone(), accepting: may_accept, busy, limits: limits.clone() };
    for listener in listeners {
        tokio::spawn(server.clone().accept_all(listener));
    }
    drop(server);
    shutdown.await;
    accepting.send_replace(false);
    connections.want(Wanted::Stop);
    if tokio::time::timeout(limits.shutdown_grace, done.recv()).await.is_err() {
        tracing::warn!("the grace period is over; what is still under way is cut off");
        connections.want(Wanted::Cut);
    }
}

/// Raises the soft limit of open files as far as the hard one lets it: the usual 1,024 are fewer than the connections.
fn allow_open_files(connections: usize) {
    let limit = getrlimit(Resource::Nofile);
    // What is not a connection: the database and its readers, sockets to providers, the log.
    let wanted = connections as u64 + 256;
    let possible = limit.maximum.map_or(wanted, |hard| hard.min(wanted));
    if limit.current.is_some_and(|soft| soft < possible) {
        let raised = Rlimit { current: Some(possible), maximum: limit.maximum };
        if let Err(error) = setrlimit(Resource::Nofile, raised) {
            tracing::warn!(%error, "the limit of open files stays below the number of connections");
        }
    }
}

#[derive(Clone)]
struct Server {
    door: Arc<Door>,
    connections: Arc<Connections>,
    accepting: watch::Receiver<bool>,
    /// Dropped by everybody who is done: the channel closes with the last.
    busy: mpsc::Sender<Infallible>,
    limits: Arc<Limits>,
}

impl Server {
    async fn accept_all(mut self, listener: Listener) {
        loop {
            let accepted = tokio::select! {
                biased;
                _ = self.accepting.wait_for(|accepting| !accepting) => return,
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
            // Not louder: whoever fills the room must not fill the log too.
            tracing::debug!(address = peer.map(tracing::field::display), "no room for another connection");
            return;
        };
        let server = self.clone();
        let tls = listener.tls.clone();
        tokio::spawn(async move {
            let _admission = admission;
            let cut = watch.clone();
            let talk = pin!(async move {
                match (connection, tls) {
                    (Accepted::Tcp(stream, _), None) => server.talk(stream, peer, false, watch).await,
                    (Accepted::Tcp(stream, _), Some(tls)) => {
                        let acceptor = TlsAcceptor::from(tls.current(server.limits.tls_check));
                        let handshake = tokio::time::timeout(server.limits.handshake_time, acceptor.accept(stream));
                        if let Ok(Ok(stream)) = Box::pin(handshake).await {
                            // Much larger than the others, which would be as large beside it.
                            Box::pin(server.talk(stream, peer, true, watch)).await;
                        }
                    }
                    (Accepted::Unix(stream), _) => server.talk(stream, peer, false, watch).await,
                }
            });
            cut.until_cut(talk).await;
        });
    }

    /// Speaks HTTP/1.1 on one connection until it ends.
    async fn talk<S>(self, stream: S, peer: Option<IpAddr>, tls: bool, watch: Arc<Watch>)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let refusal = refusals(self.door.random, peer);
        let wire = Wire::new(stream, watch.clone(), self.limits.clone(), refusal);
        let connection = Connection::new(self.door.clone(), watch.clone(), peer, tls, self.busy.clone());
        let requests = Requests(Arc::new(connection));
        // Pinned where it is made: a value that is moved into its place has two.
        let talk = pin!(
            http1::Builder::new()
                // The wire keeps the times, for hyper's timer cannot tell an idle connection from a slow head. This one never
                // comes, and is there so that hyper looks at the wire again after each answer.
                .timer(Never)
                .header_read_timeout(self.limits.idle_time)
                .max_header_size(self.limits.header_bytes)
                .max_buf_size(READ_BUFFER)
                .serve_connection(TokioIo::new(wire), requests)
        );
        let ended = watch.until_done(talk, http1::Connection::graceful_shutdown).await;
        if let Err(error) = ended {
            tracing::debug!(%error, "a connection ended in the middle");
        }
    }
}

/// A timer that never comes and costs nothing.
#[derive(Clone, Copy, Debug)]
struct Never;

impl hyper::rt::Timer for Never {
    fn sleep(&self, _: Duration) -> Pin<Box<dyn hyper::rt::Sleep>> {
        Box::pin(*self)
    }

    fn sleep_until(&self, _: Instant) -> Pin<Box<dyn hyper::rt::Sleep>> {
        Box::pin(*self)
    }
}

impl hyper::rt::Sleep for Never {}

impl Future for Never {
    type Output = ();

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpStream;
    use warp::reply::Response;

    use super::*;
    use crate::http::server::service::{Answered, Arrival};
    use crate::random::Random;

    /// A door with a route that panics, and one that takes its time and then sets `done`.
    async fn open(done: Arc<AtomicBool>) -> std::net::SocketAddr {
        let answer = async |path: &str, done: &AtomicBool| {
            match path {
                "/panic" => panic!("a secret"),
                "/slow" => tokio::time::sleep(Duration::from_millis(100)).await,
                _ => return Response::new("fine".into()),
            }
            done.store(true, Ordering::SeqCst);
            Response::new("done".into())
        };
        let routes = move |head: http::request::Parts, _: hyper::body::Incoming, _: Arrival| {
            let done = done.clone();
            let answered = async move { Answered::bare(answer(head.uri.path(), &done).await) };
            Box::pin(answered) as _
        };
        let door =
            Door { routes: Box::new(routes), trusted_proxies: Vec::new(), come_back: Duration::ZERO, random: Random };
        let listener = Listener::tcp("127.0.0.1:0").await.unwrap();
        let address = listener.address().unwrap();
        tokio::spawn(serve_door(vec![listener], Arc::new(door), Arc::default(), std::future::pending()));
        address
    }

    #[tokio::test]
    async fn a_panic_is_one_500_without_a_word_of_it_and_the_connection_goes_on() {
        let mut socket = TcpStream::connect(open(Arc::default()).await).await.unwrap();
        for method in ["GET", "POST"] {
            socket.write_all(format!("{method} /panic HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes()).await.unwrap();
        }
        socket.write_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await.unwrap();
        let mut answers = String::new();
        socket.read_to_string(&mut answers).await.unwrap();
        assert_eq!(answers.matches("HTTP/1.1 500").count(), 2, "{answers}");
        assert_eq!(answers.matches("/problems/internal").count(), 2);
        assert!(answers.ends_with("fine") && !answers.contains("a secret"), "{answers}");
    }

    #[tokio::test]
    async fn what_was_begun_comes_to_its_end_when_the_caller_hangs_up() {
        let done = Arc::new(AtomicBool::new(false));
        let mut socket = TcpStream::connect(open(done.clone()).await).await.unwrap();
        socket.write_all(b"POST /slow HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        tokio::time::sleep(Duration::from_millis(30)).await;
        drop(socket);
        tokio::time::sleep(Duration::from_millis(200)).await;
        assert!(done.load(Ordering::SeqCst));
    }
}
