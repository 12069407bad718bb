//! Other servers that a test needs: one that is not there, one that talks nonsense, one that gives known tokens.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// A port on which no process listens.
pub async fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    listener.local_addr().expect("an address").port()
}

/// The base URL of a server that is not there.
pub async fn closed_port() -> String {
    format!("http://127.0.0.1:{}", free_port().await)
}

/// A server that answers everything with a page.
pub async fn html_server() -> String {
    answering(|_| ("200 OK", "text/html", "<html>Sorry!</html>".to_owned())).await
}

/// A provider whose token endpoint answers everything with `tokens`; it has nothing else.
pub async fn fake_provider(tokens: Value) -> String {
    let tokens = tokens.to_string();
    answering(move |head| {
        if head.starts_with("POST /token ") {
            ("200 OK", "application/json", tokens.clone())
        } else {
            ("404 Not Found", "text/plain", "nothing here".to_owned())
        }
    })
    .await
}

/// A server with one answer a connection; it gets the head of the request. Gives its base URL.
pub async fn answering(
    answer: impl Fn(&str) -> (&'static str, &'static str, String) + Send + Sync + 'static,
) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let base = format!("http://{}", listener.local_addr().expect("an address"));
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let request = read_request(&mut stream).await;
            let (status, kind, body) = answer(&request);
            let length = body.len();
            let text = format!(
                "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
            );
            let _ = stream.write_all(text.as_bytes()).await;
        }
    });
    base
}

/// A server with TLS and one answer a connection: the raw response to the request. Gives its port.
pub async fn over_tls<B: Into<Vec<u8>>>(
    acceptor: TlsAcceptor,
    answer: impl Fn(&str) -> B + Send + Sync + 'static,
) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let port = listener.local_addr().expect("an address").port();
    let answer = Arc::new(answer);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, answer) = (acceptor.clone(), answer.clone());
            tokio::spawn(async move {
                let Ok(mut stream) = acceptor.accept(stream).await else { return };
                let request = read_request(&mut stream).await;
                let answer = answer(&request).into();
                stream.write_all(&answer).await.ok();
                stream.shutdown().await.ok();
            });
        }
    });
    port
}

/// The head, and what of the body came with it or soon after.
pub async fn read_request(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let (mut bytes, mut buffer) = (Vec::new(), [0; 4096]);
    while let Ok(Ok(read @ 1..)) = tokio::time::timeout(Duration::from_millis(200), stream.read(&mut buffer)).await {
        bytes.extend_from_slice(&buffer[..read]);
        if whole(&bytes) {
            break;
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

pub fn whole(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
    });
    body.len() >= length.unwrap_or(0)
}
