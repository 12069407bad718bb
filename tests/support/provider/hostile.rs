//! A provider that means harm: a server that says exactly the bytes that it is told to say, with TLS or without.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use super::recording::Asked;

/// Action of the server after it has read a request.
#[derive(Clone, Debug)]
pub enum Step {
    /// Says the bytes.
    Say(Vec<u8>),
    /// Sends the bytes repeatedly until the peer disconnects.
    Repeat(Vec<u8>),
    /// Says the bytes one by one, a few milliseconds apart, and begins again at the end.
    Drip(Vec<u8>),
    /// Says nothing more, and keeps the connection.
    Hang,
    /// Breaks the connection off with a reset.
    Reset,
}

/// The server. What it was not told about is 404.
#[derive(Clone)]
pub struct Hostile {
    /// `http://127.0.0.1:port`, or `https://…`.
    pub base: String,
    told: Arc<Mutex<HashMap<String, Vec<Step>>>>,
    asked: Arc<Mutex<Vec<Asked>>>,
    connections: Arc<AtomicUsize>,
}

impl Hostile {
    pub async fn start() -> Self {
        Self::listen("127.0.0.1:0", None).await
    }

    pub async fn with_tls(acceptor: TlsAcceptor) -> Self {
        Self::listen("127.0.0.1:0", Some(acceptor)).await
    }

    /// A server at this address.
    pub async fn listen(at: &str, tls: Option<TlsAcceptor>) -> Self {
        let scheme = if tls.is_some() { "https" } else { "http" };
        let listener = TcpListener::bind(at).await.expect("a free port");
        let base = format!("{scheme}://{}", listener.local_addr().expect("an address"));
        let this = Self { base, told: Arc::default(), asked: Arc::default(), connections: Arc::default() };
        let server = this.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (server, tls) = (server.clone(), tls.clone());
                server.connections.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(async move {
                    match tls {
                        None => server.converse(stream, TcpStream::set_zero_linger).await,
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                server.converse(stream, |stream| stream.get_ref().0.set_zero_linger()).await;
                            }
                        }
                    }
                });
            }
        });
        this
    }

    /// From now on this path is answered like this.
    pub fn behaves(&self, path: &str, steps: Vec<Step>) {
        self.told.lock().expect("no holder panics").insert(path.to_owned(), steps);
    }

    /// From now on this path is answered 200 with this JSON.
    pub fn says(&self, path: &str, json: &serde_json::Value) {
        self.behaves(path, vec![Step::Say(answer("200 OK", "application/json", json.to_string()))]);
    }

    /// All requests to this path.
    pub fn asked(&self, path: &str) -> Vec<Asked> {
        self.asked.lock().expect("no holder panics").iter().filter(|asked| asked.path == path).cloned().collect()
    }

    /// Number of connections.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    pub fn port(&self) -> u16 {
        self.base.rsplit(':').next().and_then(|port| port.parse().ok()).expect("the base ends with a port")
    }

    /// All requests.
    pub fn all_asked(&self) -> Vec<Asked> {
        self.asked.lock().expect("no holder panics").clone()
    }

    async fn converse<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        mut stream: S,
        reset: impl Fn(&S) -> std::io::Result<()>,
    ) {
        let Some(request) = read_request(&mut stream).await else { return };
        let told = self.told.lock().expect("no holder panics").get(&request.path).cloned();
        self.asked.lock().expect("no holder panics").push(request);
        let steps = told.unwrap_or_else(|| vec![Step::Say(answer("404 Not Found", "text/plain", "nothing here"))]);
        for step in steps {
            let written = match step {
                Step::Say(bytes) => stream.write_all(&bytes).await,
                Step::Repeat(bytes) => loop {
                    if let Err(error) = stream.write_all(&bytes).await {
                        break Err(error);
                    }
                },
                Step::Drip(bytes) => drip(&mut stream, &bytes).await,
                Step::Hang => std::future::pending().await,
                Step::Reset => reset(&stream),
            };
            if written.is_err() {
                return;
            }
        }
        let _ = stream.shutdown().await;
    }
}

/// An answer with a body and its right length.
pub fn answer(status: &str, content_type: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    let body = body.as_ref();
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

/// A port that takes connections and never says a word, TLS or not.
pub async fn mute() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let base = format!("https://{}", listener.local_addr().expect("an address"));
    tokio::spawn(async move {
        let mut held: Vec<TcpStream> = Vec::new();
        while let Ok((stream, _)) = listener.accept().await {
            held.push(stream);
        }
    });
    base
}

async fn drip(stream: &mut (impl AsyncWrite + Unpin), bytes: &[u8]) -> std::io::Result<()> {
    for byte in bytes.iter().cycle() {
        stream.write_all(&[*byte]).await?;
        tokio::time::sleep(Duration::from_millis(3)).await;
    }
    Ok(())
}

/// A whole request; nothing where the connection ends before.
async fn read_request(stream: &mut (impl AsyncRead + Unpin)) -> Option<Asked> {
    let (mut bytes, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        let read = stream.read(&mut buffer).await.ok().filter(|read| *read > 0)?;
        bytes.extend_from_slice(&buffer[..read]);
        let text = String::from_utf8_lossy(&bytes);
        if super::peers::whole(&bytes) {
            return Some(Asked::read(&text));
        }
    }
}
