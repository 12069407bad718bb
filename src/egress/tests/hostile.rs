//! A hostile provider for tests: a loopback server that sends exactly the given bytes.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use url::Url;

use crate::egress::message::{EgressLimits, LIMITS};
use crate::egress::{Egress, resolver};

/// Reaction of the server to a request.
#[derive(Clone)]
pub(crate) enum ServerStep {
    /// Sends the bytes.
    Say(Vec<u8>),
    /// Sends the bytes repeatedly until the client disconnects.
    Repeat(Vec<u8>),
    /// Sends the bytes one by one, a few milliseconds apart, repeatedly.
    Drip(Vec<u8>),
    /// Sends nothing and keeps the connection.
    Hang,
    /// Resets the connection.
    Reset,
}

/// The server; it stops when dropped.
pub(crate) struct Hostile {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<String>>>,
    task: JoinHandle<()>,
}

impl Hostile {
    /// Answers every request with these steps and then closes the connection.
    pub(crate) async fn new(steps: Vec<ServerStep>) -> Self {
        Self::listening((Ipv4Addr::LOCALHOST, 0).into(), vec![steps], None).await
    }

    /// Answers every request with these bytes.
    pub(crate) async fn saying(bytes: impl Into<Vec<u8>>) -> Self {
        Self::new(vec![ServerStep::Say(bytes.into())]).await
    }

    /// Answers the n-th request with the n-th bytes; the last ones are repeated.
    pub(crate) async fn saying_in_turn(responses: &[String]) -> Self {
        let steps = responses.iter().map(|response| vec![ServerStep::Say(response.clone().into_bytes())]).collect();
        Self::listening((Ipv4Addr::LOCALHOST, 0).into(), steps, None).await
    }

    /// Listens on `at`, with TLS if there is an acceptor.
    pub(super) async fn listening(at: SocketAddr, responses: Vec<Vec<ServerStep>>, tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind(at).await.expect("a port on loopback");
        let address = listener.local_addr().expect("a bound listener has an address");
        let seen = Arc::new(Mutex::new(Vec::new()));
        let task = tokio::spawn(accept(listener, responses, tls, Arc::clone(&seen)));
        Self { address, seen, task }
    }

    /// Returns the address of the server.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns a URL of the server.
    pub(crate) fn url(&self, path: &str) -> Url {
        Url::parse(&format!("http://{}{path}", self.address)).expect("a URL")
    }

    /// Returns all requests with headers and body; a connection without a request is empty.
    pub(crate) fn seen(&self) -> Vec<String> {
        self.seen.lock().expect("no test panics while it holds this").clone()
    }
}

impl Drop for Hostile {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Returns a response with a body and its correct length.
pub(crate) fn response(status: &str, content_type: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    )
}

/// Returns a client with the real limits that may reach loopback.
pub(crate) fn patient() -> Egress {
    limited(LIMITS)
}

/// Returns a client with limits of some milliseconds, so that no test waits for 15 s.
pub(crate) fn hasty() -> Egress {
    limited(EgressLimits { total: Duration::from_millis(60), ..LIMITS })
}

pub(super) fn limited(limits: EgressLimits) -> Egress {
    let allow = ["127.0.0.0/8".parse().expect("a network")];
    Egress::assemble(&allow, &[], limits, resolver::system(), None).expect("a client")
}

/// Returns a resolver with the same addresses for every name.
pub(super) fn resolving_to(addresses: &[IpAddr]) -> resolver::Lookup {
    let addresses = addresses.to_vec();
    Arc::new(move |_| {
        let addresses = addresses.clone();
        Box::pin(async move { Ok(addresses) })
    })
}

async fn accept(
    listener: TcpListener,
    responses: Vec<Vec<ServerStep>>,
    tls: Option<TlsAcceptor>,
    seen: Arc<Mutex<Vec<String>>>,
) {
    let mut count = 0;
    while let Ok((stream, _)) = listener.accept().await {
        let steps = responses[count.min(responses.len() - 1)].clone();
        let (tls, seen) = (tls.clone(), Arc::clone(&seen));
        count += 1;
        tokio::spawn(async move {
            match tls {
                None => converse(stream, steps, &seen).await,
                Some(tls) => match tls.accept(stream).await {
                    Ok(stream) => converse(stream, steps, &seen).await,
                    Err(_) => note(&seen, String::new()),
                },
            }
        });
    }
}

/// A connection that can be reset instead of closed.
trait Peer: AsyncRead + AsyncWrite + Unpin {
    fn reset(&self) {}
}

impl Peer for TcpStream {
    fn reset(&self) {
        self.set_zero_linger().expect("an option of every socket");
    }
}

impl Peer for tokio_rustls::server::TlsStream<TcpStream> {}

async fn converse(mut stream: impl Peer, steps: Vec<ServerStep>, seen: &Mutex<Vec<String>>) {
    let request = read_request(&mut stream).await;
    note(seen, request);
    for step in steps {
        let written = match step {
            ServerStep::Say(bytes) => stream.write_all(&bytes).await,
            ServerStep::Repeat(bytes) => loop {
                if let Err(error) = stream.write_all(&bytes).await {
                    break Err(error);
                }
            },
            ServerStep::Drip(bytes) => drip(&mut stream, &bytes).await,
            ServerStep::Hang => std::future::pending().await,
            ServerStep::Reset => return stream.reset(),
        };
        if written.is_err() {
            return;
        }
    }
    let _ = stream.shutdown().await;
}

async fn drip(stream: &mut (impl AsyncWrite + Unpin), bytes: &[u8]) -> std::io::Result<()> {
    for byte in bytes.iter().cycle() {
        stream.write_all(&[*byte]).await?;
        tokio::time::sleep(Duration::from_millis(3)).await;
    }
    Ok(())
}

fn note(seen: &Mutex<Vec<String>>, request: String) {
    seen.lock().expect("no test panics while it holds this").push(request);
}

async fn read_request(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let (mut request, mut buffer) = (Vec::new(), [0; 4096]);
    while let Ok(count @ 1..) = stream.read(&mut buffer).await {
        request.extend_from_slice(&buffer[..count]);
        if is_whole(&String::from_utf8_lossy(&request)) {
            break;
        }
    }
    String::from_utf8_lossy(&request).into_owned()
}

/// Returns true if the request is complete. Data that does not begin with a method is TLS.
fn is_whole(request: &str) -> bool {
    if !request.starts_with(|c: char| c.is_ascii_uppercase()) {
        return true;
    }
    let Some((head, body)) = request.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
    body.len() >= length.unwrap_or(0)
}
