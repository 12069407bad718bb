//! Bodies pass in both directions while they are written, with their trailers, and are not held.

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use serde_json::json;
use strongroom::http::Limits;
use strongroom::permission::Permission;

use crate::forward::{basic, connect};
use crate::origin::{BEARER, Origin, SECRET, Scene};

/// An origin that is spoken to in bytes, and a scene in which it is the API.
async fn scene() -> (TcpListener, Scene) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = Origin::at(format!("http://{}", listener.local_addr().unwrap()));
    let scene = Scene::new(&origin, BEARER).await;
    (listener, scene)
}

/// Reads until `text` has arrived; returns everything so far.
async fn until(stream: &mut TcpStream, text: &str) -> String {
    let mut bytes = Vec::new();
    loop {
        let read = tokio::time::timeout(std::time::Duration::from_secs(20), stream.read_buf(&mut bytes)).await;
        let so_far = String::from_utf8_lossy(&bytes).into_owned();
        if so_far.contains(text) {
            return so_far;
        }
        assert!(read.expect("it arrives").unwrap() > 0, "{so_far}");
    }
}

fn head(scene: &Scene, method: &str, more: &str) -> String {
    format!("{method} /v1/proxy/{}/x HTTP/1.1\r\nHost: x\r\nX-API-Key: {}\r\n{more}\r\n", scene.id, scene.agent)
}

#[tokio::test]
async fn upload_passes_while_it_is_written() {
    let (listener, scene) = scene().await;
    let mut caller = TcpStream::connect(scene.server.address).await.unwrap();
    let more = "Transfer-Encoding: chunked\r\nTrailer: X-Sum\r\n";
    caller.write_all(head(&scene, "PUT", more).as_bytes()).await.unwrap();
    caller.write_all(b"5\r\nfirst\r\n").await.unwrap();
    let (mut origin, _) = listener.accept().await.unwrap();
    until(&mut origin, "5\r\nfirst\r\n").await;
    caller.write_all(b"6\r\nsecond\r\n0\r\nX-Sum: 11\r\n\r\n").await.unwrap();
    let rest = until(&mut origin, "0\r\n").await;
    assert!(rest.contains("6\r\nsecond\r\n"), "{rest}");
    origin.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.unwrap();
    assert!(until(&mut caller, "\r\n\r\n").await.starts_with("HTTP/1.1 204 "));
}

#[tokio::test]
async fn download_passes_while_it_is_written() {
    let (listener, scene) = scene().await;
    let mut caller = TcpStream::connect(scene.server.address).await.unwrap();
    caller.write_all(head(&scene, "GET", "TE: trailers\r\n").as_bytes()).await.unwrap();
    let (mut origin, _) = listener.accept().await.unwrap();
    until(&mut origin, "\r\n\r\n").await;
    let answer =
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n";
    origin.write_all(answer.as_bytes()).await.unwrap();
    origin.write_all(b"9\r\ndata: a\n\n\r\n").await.unwrap();
    until(&mut caller, "data: a\n\n").await;
    let trailer = format!("9\r\ndata: b\n\n\r\n0\r\nX-Sum: {SECRET}\r\n\r\n");
    origin.write_all(trailer.as_bytes()).await.unwrap();
    let end = until(&mut caller, "0\r\n").await;
    assert!(end.contains("data: b\n\n") && !end.contains(SECRET), "{end}");
}

#[tokio::test]
async fn length_of_a_body_is_kept() {
    let (listener, scene) = scene().await;
    let mut caller = TcpStream::connect(scene.server.address).await.unwrap();
    let length = 300_000;
    let more = format!("Content-Length: {length}\r\n");
    caller.write_all(head(&scene, "POST", &more).as_bytes()).await.unwrap();
    let sending = tokio::spawn(async move {
        caller.write_all(&vec![b'x'; length]).await.unwrap();
        caller
    });
    let (mut origin, _) = listener.accept().await.unwrap();
    let sent = until(&mut origin, "\r\n\r\n").await;
    assert!(sent.to_ascii_lowercase().contains(&format!("content-length: {length}\r\n")), "{sent:.600}");
    let mut left = length - sent.split_once("\r\n\r\n").unwrap().1.len();
    let mut buffer = vec![0; 65_536];
    while left > 0 {
        left -= origin.read(&mut buffer).await.unwrap();
    }
    let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n");
    origin.write_all(answer.as_bytes()).await.unwrap();
    origin.write_all(&vec![b'y'; length]).await.unwrap();
    let mut caller = sending.await.unwrap();
    let received = until(&mut caller, "\r\n\r\n").await;
    assert!(received.contains(&format!("Content-Length: {length}\r\n")), "{received:.600}");
}

/// The handshake of RFC 6455 §1.3.
const HANDSHAKE: &str = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

fn accepted(accept: &str) -> String {
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Set-Cookie: session=1\r\nSec-WebSocket-Accept: {accept}\r\n\r\nhello"
    )
}

/// Opens a WebSocket through the proxy: the connections of the caller and of the origin.
async fn websocket(scene: &Scene, listener: &TcpListener) -> (TcpStream, TcpStream) {
    let mut caller = TcpStream::connect(scene.server.address).await.unwrap();
    caller.write_all(head(scene, "GET", HANDSHAKE).as_bytes()).await.unwrap();
    let (mut origin, _) = listener.accept().await.unwrap();
    let sent = until(&mut origin, "\r\n\r\n").await;
    assert!(sent.contains(SECRET) && sent.to_ascii_lowercase().contains("upgrade: websocket"), "{sent}");
    origin.write_all(accepted("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=").as_bytes()).await.unwrap();
    let answer = until(&mut caller, "hello").await;
    assert!(answer.starts_with("HTTP/1.1 101 ") && !answer.to_ascii_lowercase().contains("cookie"), "{answer}");
    (caller, origin)
}

async fn is_ended(mut caller: TcpStream) {
    let mut buffer = [0; 16];
    let ended = tokio::time::timeout(std::time::Duration::from_secs(20), caller.read(&mut buffer)).await;
    assert!(matches!(ended.expect("the connection ends"), Ok(0) | Err(_)));
}

#[tokio::test]
async fn websocket_passes_until_its_key_is_revoked() {
    let (listener, scene) = scene().await;
    let (mut caller, mut origin) = websocket(&scene, &listener).await;
    caller.write_all(b"ping").await.unwrap();
    until(&mut origin, "ping").await;
    origin.write_all(b"pong").await.unwrap();
    until(&mut caller, "pong").await;
    for key in scene.server.vault.api_keys().list().unwrap() {
        scene.server.vault.api_keys().revoke(key.id, &strongroom::vault::AuditContext::system()).await.unwrap();
    }
    is_ended(caller).await;
}

#[tokio::test]
async fn websocket_ends_with_its_grant() {
    let (listener, scene) = scene().await;
    let admin = scene.server.service_key_with(&[], &[Permission::Admin]).await;
    let agent = scene.server.vault.api_keys().authenticate(&scene.agent).unwrap().unwrap().id.to_string();
    let add = async |body| scene.server.post("/v1/grants").key(&admin).json(&body).send().await.is(201);
    add(json!({"key": agent, "effect": "allow", "methods": ["GET"]})).await;
    let (caller, _origin) = websocket(&scene, &listener).await;
    add(json!({"key": agent, "effect": "deny", "paths": ["/v1/x"]})).await;
    is_ended(caller).await;
}

#[tokio::test]
async fn websocket_ends_with_its_credential() {
    let (listener, scene) = scene().await;
    let (caller, _origin) = websocket(&scene, &listener).await;
    let path = format!("/v1/integrations/acme/credentials/{}", scene.id);
    scene.server.delete(&path).key(&scene.server.key).send().await.is(200);
    is_ended(caller).await;
}

#[tokio::test]
async fn answer_of_no_websocket_is_refused() {
    let (listener, scene) = scene().await;
    let mut caller = TcpStream::connect(scene.server.address).await.unwrap();
    caller.write_all(head(&scene, "GET", HANDSHAKE).as_bytes()).await.unwrap();
    let (mut origin, _) = listener.accept().await.unwrap();
    until(&mut origin, "\r\n\r\n").await;
    origin.write_all(accepted("c29tZXRoaW5nIGVsc2U=").as_bytes()).await.unwrap();
    let answer = until(&mut caller, "\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 502 "), "{answer}");
}

#[tokio::test]
async fn requests_of_one_key_under_way_are_limited() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = Origin::at(format!("http://{}", listener.local_addr().unwrap()));
    let limits = Limits { proxied_per_key: 1, ..Limits::default() };
    let scene = Scene::on(origin.server_within(BEARER, limits).await, SECRET).await;
    let mut caller = TcpStream::connect(scene.server.address).await.unwrap();
    caller.write_all(head(&scene, "GET", "").as_bytes()).await.unwrap();
    let (mut first, _) = listener.accept().await.unwrap();
    until(&mut first, "\r\n\r\n").await;
    first
        .write_all(b"HTTP/1.1 200 OK\r\nContent-Type: image/png\r\nConnection: close\r\nContent-Length: 2\r\n\r\na")
        .await
        .unwrap();
    until(&mut caller, "\r\n\r\na").await;
    let refused = scene.get("/x").await.is(429);
    assert!(refused.header("Retry-After").is_some(), "the body of the first is not sent yet");
    first.write_all(b"b").await.unwrap();
    until(&mut caller, "b").await;
    let mut next = TcpStream::connect(scene.server.address).await.unwrap();
    next.write_all(head(&scene, "GET", "").as_bytes()).await.unwrap();
    let (mut second, _) = listener.accept().await.unwrap();
    until(&mut second, "\r\n\r\n").await;
}

#[tokio::test]
async fn held_bodies_take_memory_of_their_key() {
    let origin = Origin::fine().await;
    let limits = Limits { body_memory_per_key: 100_000, ..Limits::default() };
    let server = origin.server_within("in = \"body\"\nname = \"token\"", limits).await;
    let scene = Scene::on(server, SECRET).await;
    let send = async |length: usize| {
        let body = serde_json::json!({"a": "x".repeat(length)});
        scene.ask(http::Method::POST, "/x").key(&scene.agent).json(&body).send().await
    };
    send(90_000).await.is(200);
    let refused = send(101_000).await.is(429);
    assert!(refused.detail().as_str().unwrap().contains("too large together"), "{}", refused.text());
    assert_eq!(origin.received().len(), 1);
}

#[tokio::test]
async fn caller_that_hangs_up_ends_the_request() {
    let (listener, scene) = scene().await;
    let mut caller = TcpStream::connect(scene.server.address).await.unwrap();
    caller.write_all(head(&scene, "GET", "").as_bytes()).await.unwrap();
    let (mut origin, _) = listener.accept().await.unwrap();
    until(&mut origin, "\r\n\r\n").await;
    drop(caller);
    let mut buffer = [0; 16];
    let ended = tokio::time::timeout(std::time::Duration::from_secs(20), origin.read(&mut buffer)).await;
    assert!(matches!(ended.expect("the connection ends"), Ok(0) | Err(_)));
}

/// Sends a long body, of which the origin reads nothing: it answers 413 and closes its connection.
async fn early_answer<S: AsyncRead + AsyncWrite + Unpin>(mut caller: S, head: String, listener: TcpListener) {
    let length = 32 * 1024 * 1024;
    caller.write_all(head.replace("LENGTH", &length.to_string()).as_bytes()).await.unwrap();
    caller.write_all(&vec![b'x'; 1024]).await.unwrap();
    let (mut origin, _) = listener.accept().await.unwrap();
    until(&mut origin, "\r\n\r\n").await;
    origin.write_all(b"HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Length: 5\r\n\r\nlarge").await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"large") {
        assert_ne!(caller.read_buf(&mut answer).await.unwrap(), 0);
    }
    assert!(answer.starts_with(b"HTTP/1.1 413 "), "{answer:?}");
    drop(origin);
    caller.write_all(&vec![b'x'; length - 1024]).await.expect("the proxy reads the rest");
    assert_eq!(caller.read(&mut [0]).await.expect("no reset"), 0);
}

#[tokio::test]
async fn early_answer_is_not_lost() {
    let (listener, scene) = scene().await;
    let caller = TcpStream::connect(scene.server.address).await.unwrap();
    early_answer(caller, head(&scene, "POST", "Content-Length: LENGTH\r\n"), listener).await;
}

#[tokio::test]
async fn early_answer_in_a_tunnel_is_not_lost() {
    let (listener, scene) = scene().await;
    let mut caller = TcpStream::connect(scene.server.forward).await.unwrap();
    let authority = listener.local_addr().unwrap().to_string();
    caller.write_all(connect(&authority, &basic(&scene.agent)).as_bytes()).await.unwrap();
    until(&mut caller, "\r\n\r\n").await;
    let head = format!("POST /v1/x HTTP/1.1\r\nHost: {authority}\r\nContent-Length: LENGTH\r\n\r\n");
    early_answer(caller, head, listener).await;
}
