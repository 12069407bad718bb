//! An HTTP proxy that knows CONNECT alone, records what it was asked, and leads every name to one
//! port of this machine.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// The proxy; it ends with the test's runtime.
pub struct ConnectProxy {
    pub port: u16,
    asked: Arc<Mutex<Vec<String>>>,
    refusal: Arc<Mutex<Option<&'static str>>>,
}

impl ConnectProxy {
    pub async fn start(to: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let proxy = Self { port, asked: Arc::default(), refusal: Arc::default() };
        let (asked, refusal) = (proxy.asked.clone(), proxy.refusal.clone());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let refusal = *refusal.lock().expect("no thread fails");
                tokio::spawn(serve(stream, to, asked.clone(), refusal));
            }
        });
        proxy
    }

    /// Answers each CONNECT from now on with this response, or opens tunnels again.
    pub fn refuse(&self, response: Option<&'static str>) {
        *self.refusal.lock().expect("no thread fails") = response;
    }

    /// Takes the heads of the requests so far.
    pub fn take_asked(&self) -> Vec<String> {
        std::mem::take(&mut *self.asked.lock().expect("no thread fails"))
    }
}

async fn serve(mut near: TcpStream, to: u16, asked: Arc<Mutex<Vec<String>>>, refusal: Option<&str>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let Ok(byte) = near.read_u8().await else { return };
        head.push(byte);
    }
    asked.lock().expect("no thread fails").push(String::from_utf8_lossy(&head).into_owned());
    if let Some(refusal) = refusal {
        near.write_all(refusal.as_bytes()).await.ok();
        return;
    }
    let Ok(mut far) = TcpStream::connect(("127.0.0.1", to)).await else { return };
    near.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await.ok();
    tokio::io::copy_bidirectional(&mut near, &mut far).await.ok();
}
