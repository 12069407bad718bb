//! A relay before a provider that can drop a request or a response, and reports when it did.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

use super::peers::whole;

/// Treatment of the next request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wire {
    /// It goes through, and so does its answer.
    Pass,
    /// It does not reach the provider; the connection is closed.
    SwallowRequest,
    /// The provider carries it out; its answer is lost, and the connection closed.
    LoseAnswer,
    /// It does not reach the provider, and the connection stays open.
    HoldRequest,
    /// The provider carries it out; its answer is held back, and the connection stays open.
    HoldAnswer,
}

/// Events on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// A whole request has arrived.
    Requested,
    /// The provider's answer is there.
    Answered,
    /// It has been handed on.
    HandedOn,
}

/// The relay; it ends with the test's runtime.
pub struct Relay {
    /// `http://127.0.0.1:port`
    pub base: String,
    wire: Arc<Mutex<Wire>>,
    moments: mpsc::UnboundedReceiver<Moment>,
}

impl Relay {
    /// Stands before the server at `base`.
    pub async fn before(base: &str) -> Self {
        let to = base.strip_prefix("http://").expect("a loopback server").to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let here = format!("http://{}", listener.local_addr().expect("an address"));
        let wire = Arc::new(Mutex::new(Wire::Pass));
        let (tell, moments) = mpsc::unbounded_channel();
        let how = Arc::clone(&wire);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(relay(stream, to.clone(), Arc::clone(&how), tell.clone()));
            }
        });
        Self { base: here, wire, moments }
    }

    /// From the next request on.
    pub fn set(&self, wire: Wire) {
        *self.wire.lock().expect("no holder panics") = wire;
    }

    /// Waits until this has happened.
    pub async fn until(&mut self, wanted: Moment) {
        let seen = async { while self.moments.recv().await.is_some_and(|moment| moment != wanted) {} };
        tokio::time::timeout(Duration::from_secs(20), seen).await.unwrap_or_else(|_| panic!("{wanted:?} never came"));
    }

    /// Forgets what has happened; gives how many requests have arrived.
    pub fn forget(&mut self) -> usize {
        std::iter::from_fn(|| self.moments.try_recv().ok()).filter(|moment| *moment == Moment::Requested).count()
    }
}

async fn relay(mut near: TcpStream, to: String, wire: Arc<Mutex<Wire>>, tell: mpsc::UnboundedSender<Moment>) {
    while let Some(request) = message(&mut near).await {
        let how = *wire.lock().expect("no holder panics");
        let _ = tell.send(Moment::Requested);
        match how {
            Wire::SwallowRequest => return,
            Wire::HoldRequest => std::future::pending().await,
            Wire::Pass | Wire::LoseAnswer | Wire::HoldAnswer => {}
        }
        let Ok(mut far) = TcpStream::connect(&to).await else { return };
        if far.write_all(&request).await.is_err() {
            return;
        }
        let Some(answer) = message(&mut far).await else { return };
        let _ = tell.send(Moment::Answered);
        match how {
            Wire::LoseAnswer => return,
            Wire::HoldAnswer => std::future::pending().await,
            _ => {}
        }
        if near.write_all(&answer).await.is_err() {
            return;
        }
        let _ = tell.send(Moment::HandedOn);
    }
}

/// A whole request or answer, by its `Content-Length`.
async fn message(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let (mut bytes, mut buffer) = (Vec::new(), [0; 4096]);
    while !whole(&bytes) {
        match stream.read(&mut buffer).await {
            Ok(read @ 1..) => bytes.extend_from_slice(&buffer[..read]),
            _ => return None,
        }
    }
    Some(bytes)
}
