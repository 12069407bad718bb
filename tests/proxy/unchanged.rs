//! Requests and answers pass as they are: bodies byte for byte, values of a header in their order, and
//! over HTTP/1.1 names in their case.

use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::forward::basic;
use crate::origin::{BEARER, Origin, Scene};
use crate::unmatched;

/// Number of requests, each with an answer.
const ROUNDS: usize = 60;

/// What must arrive: the headers with names of the test, and the body.
#[derive(Debug, PartialEq, Eq)]
struct Message {
    /// Names and values, by the name in lower case.
    headers: BTreeMap<String, Vec<(String, Vec<u8>)>>,
    body: Vec<u8>,
}

/// A message to send. `chunks` are lengths of its chunks; none if it has a length.
#[derive(Clone, Debug)]
struct Sent {
    headers: Vec<(String, Vec<u8>)>,
    body: Vec<u8>,
    chunks: Vec<usize>,
}

fn sent() -> impl Strategy<Value = Sent> {
    // Few names, so that some come more than once. Bytes above ASCII are obs-text (RFC 9110 §5.5).
    let value = vec(prop_oneof![8 => 0x21_u8..0x7f, 1 => 0x80_u8..=0xff], 1..20);
    let headers = vec(("[Xx]-[Tt][Ee]-[a-cA-C]", value), 0..8);
    let body = prop_oneof![
        vec(any::<u8>(), 0..3_000),
        Just(br#"{"n":1.0e2,"big":12345678901234567890,"n":"\u00e9"}"#.to_vec()),
        Just(b"\x1f\x8b not gzip".to_vec()),
    ];
    let chunks = prop_oneof![Just(Vec::new()), vec(1_usize..900, 1..5)];
    (headers, body, chunks).prop_map(|(headers, body, chunks)| Sent { headers, body, chunks })
}

impl Sent {
    fn bytes(&self, begin: &str) -> Vec<u8> {
        let mut bytes = begin.as_bytes().to_vec();
        for (name, value) in &self.headers {
            bytes.extend([name.as_bytes(), b": ", value, b"\r\n"].concat());
        }
        if self.chunks.is_empty() {
            bytes.extend(format!("Content-Length: {}\r\n\r\n", self.body.len()).into_bytes());
            bytes.extend(&self.body);
            return bytes;
        }
        bytes.extend(b"Transfer-Encoding: chunked\r\n\r\n");
        let (mut rest, mut lengths) = (&self.body[..], self.chunks.iter().cycle());
        while !rest.is_empty() {
            let chunk;
            (chunk, rest) = rest.split_at(rest.len().min(*lengths.next().unwrap()));
            bytes.extend([format!("{:x}\r\n", chunk.len()).as_bytes(), chunk, b"\r\n"].concat());
        }
        bytes.extend(b"0\r\n\r\n");
        bytes
    }

    fn message(&self) -> Message {
        Message { headers: by_name(self.headers.iter().cloned()), body: self.body.clone() }
    }
}

fn by_name(headers: impl Iterator<Item = (String, Vec<u8>)>) -> BTreeMap<String, Vec<(String, Vec<u8>)>> {
    let mut named = BTreeMap::<_, Vec<_>>::new();
    for (name, value) in headers.filter(|(name, _)| name.to_ascii_lowercase().starts_with("x-te-")) {
        named.entry(name.to_ascii_lowercase()).or_default().push((name, value));
    }
    named
}

/// Reads a message to its end, and tells whether it is chunked.
async fn read(stream: &mut TcpStream) -> (Message, bool) {
    let mut bytes = Vec::new();
    let mut more = async |bytes: &mut Vec<u8>| {
        let read = tokio::time::timeout(std::time::Duration::from_secs(20), stream.read_buf(bytes)).await;
        assert!(read.expect("it arrives").unwrap() > 0, "{}", String::from_utf8_lossy(bytes));
    };
    let end = loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break end;
        }
        more(&mut bytes).await;
    };
    let mut body = bytes.split_off(end + 4);
    let lines = bytes[..end].split(|byte| *byte == b'\n').skip(1).map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    let headers: Vec<(String, Vec<u8>)> = lines
        .map(|line| {
            let colon = line.iter().position(|byte| *byte == b':').unwrap();
            (String::from_utf8(line[..colon].to_vec()).unwrap(), line[colon + 1..].trim_ascii().to_vec())
        })
        .collect();
    let length = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    if let Some((_, length)) = length {
        let length: usize = std::str::from_utf8(length).unwrap().parse().unwrap();
        while body.len() < length {
            more(&mut body).await;
        }
    } else {
        while !body.ends_with(b"0\r\n\r\n") {
            more(&mut body).await;
        }
    }
    let is_chunked = length.is_none();
    let body = if is_chunked { joined(&body) } else { body };
    (Message { headers: by_name(headers.into_iter()), body }, is_chunked)
}

fn joined(mut chunked: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    loop {
        let end = chunked.windows(2).position(|window| window == b"\r\n").unwrap();
        let length = usize::from_str_radix(std::str::from_utf8(&chunked[..end]).unwrap(), 16).unwrap();
        if length == 0 {
            return body;
        }
        body.extend(&chunked[end + 2..end + 2 + length]);
        chunked = &chunked[end + 4 + length..];
    }
}

#[tokio::test]
async fn messages_pass_as_they_are() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let scene = Scene::new(&Origin::at(base.clone()), &format!("{BEARER}\n{}", unmatched::TUNNELS)).await;
    let (id, host) = (&scene.id, base.trim_start_matches("http://"));
    let path_proxy = format!("POST /v1/proxy/{id}/x HTTP/1.1\r\nHost: a\r\nX-API-Key: {}\r\n", scene.agent);
    let absolute = format!("POST {base}/v1/x HTTP/1.1\r\nHost: {host}\r\n{}", basic(&scene.agent));
    let other = TcpListener::bind("127.0.0.2:0").await.unwrap();
    let host = other.local_addr().unwrap();
    let unmatched = format!("POST http://{host}/v1/x HTTP/1.1\r\nHost: {host}\r\n{}", basic(&scene.agent));
    unmatched::allow(&scene).await;
    let ways = [
        (scene.server.address, path_proxy, &listener),
        (scene.server.forward, absolute, &listener),
        (scene.server.forward, unmatched, &other),
    ];
    let (mut runner, strategy) = (TestRunner::deterministic(), sent());
    let mut next = || strategy.new_tree(&mut runner).unwrap().current();
    for round in 0..ROUNDS {
        let (request, answer) = (next(), next());
        let (address, begin, listener) = &ways[round % ways.len()];
        let mut caller = TcpStream::connect(address).await.unwrap();
        caller.write_all(&request.bytes(begin)).await.unwrap();
        let (mut origin, _) = listener.accept().await.unwrap();
        assert_eq!(read(&mut origin).await, (request.message(), !request.chunks.is_empty()), "round {round}");
        let begin = "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nConnection: close\r\n";
        origin.write_all(&answer.bytes(begin)).await.unwrap();
        assert_eq!(read(&mut caller).await, (answer.message(), !answer.chunks.is_empty()), "round {round}");
    }
}
