//! Spellings of hosts that two programs read in different ways, in every place of a request that names one.

use serde_json::json;

use crate::entry_points::{EntryPoint, EntryPoints};
use crate::forward::{basic, connect, forward};
use crate::mcp;
use crate::support::raw::Answer;

/// The corpus of `src/policy/destination.rs`, with the host and the port of the origin.
fn spellings(host: &str, port: &str) -> Vec<String> {
    let corpus: Vec<String> = serde_json::from_str(include_str!("../support/ambiguous_hosts.json")).unwrap();
    let of_origin = |text: &String| text.replace("a.example", host).replace("443", port);
    let mut spellings: Vec<String> = corpus.iter().map(of_origin).collect();
    // Other names of the same address are other hosts.
    spellings
        .extend(["[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[0:0:0:0:0:ffff:7f00:1]"].map(|ip| format!("{ip}:{port}")));
    // In a head, such a text is no spelling of a host but the end of the head.
    spellings.retain(|text| !text.contains('\n'));
    spellings
}

fn is_refused(answer: Option<Answer>, about: &str) {
    // Some are not even HTTP, and end the connection.
    let Some(answer) = answer else { return };
    assert!([400, 403, 404, 421].contains(&answer.status), "{about}: {answer:?}");
}

/// The hosts of the two origins: the one that is bound at the server, and the other name of the machine.
fn places(points: &EntryPoints) -> [(String, String); 2] {
    let port = points.origin.base.rsplit(':').next().unwrap().to_owned();
    [("127.0.0.1".to_owned(), port.clone()), ("localhost".to_owned(), port)]
}

#[tokio::test]
async fn unclear_host_of_the_target_is_refused() {
    let points = EntryPoints::fine().await;
    let (good, key) = (points.origin.base.trim_start_matches("http://").to_owned(), basic(&points.plain.agent));
    for (host, port) in places(&points) {
        for text in spellings(&host, &port) {
            for named in [&good, &text] {
                for line in [format!("CONNECT {text} HTTP/1.1"), format!("GET http://{text}/v1/a HTTP/1.1")] {
                    let mut raw = forward(&points.plain.server).await;
                    raw.try_send(format!("{line}\r\nHost: {named}\r\n{key}\r\n")).await;
                    is_refused(raw.answer().await, &format!("{line:?}, Host: {named:?}"));
                }
            }
            let mut wire = points.wire(EntryPoint::Path).await.unwrap();
            let line = format!("GET /v1/proxy/{}@{text}/v1/a HTTP/1.1", points.plain.id);
            wire.raw.try_send(format!("{line}\r\nHost: x\r\n{}\r\n", wire.key)).await;
            is_refused(wire.raw.answer().await, &format!("{line:?}"));
            let url = format!("http://{text}/v1/a");
            let (result, is_error) =
                mcp::call(&points.plain, "http_get", json!({"credential": points.plain.id, "url": url})).await;
            assert!(is_error, "{url:?}: {result}");
        }
    }
    assert!(points.origin.received().is_empty(), "{:#?}", points.origin.received());
}

#[tokio::test]
async fn unclear_host_header_is_refused() {
    let points = EntryPoints::fine().await;
    let (good, key) = (points.origin.base.trim_start_matches("http://").to_owned(), basic(&points.plain.agent));
    for (host, port) in places(&points) {
        // White space around a value is not a part of it.
        for text in spellings(&host, &port).into_iter().filter(|text| text.trim() != good) {
            for head in [
                connect(&good, &key).replace(&format!("Host: {good}"), &format!("Host: {text}")),
                format!("GET http://{good}/v1/a HTTP/1.1\r\nHost: {text}\r\n{key}\r\n"),
            ] {
                let mut raw = forward(&points.plain.server).await;
                raw.try_send(&head).await;
                is_refused(raw.answer().await, &format!("{head:?}"));
            }
        }
    }
    for point in [EntryPoint::PlainTunnel, EntryPoint::TlsHttp1] {
        let good = points.wire(point).await.unwrap().host;
        let (host, port) = good.rsplit_once(':').unwrap();
        for text in spellings(host, port).into_iter().filter(|text| text.trim() != good) {
            let mut wire = points.wire(point).await.unwrap();
            wire.raw.try_send(format!("GET /v1/a HTTP/1.1\r\nHost: {text}\r\n\r\n")).await;
            is_refused(wire.raw.answer().await, &format!("{point:?}: Host: {text:?}"));
        }
        assert!(points.received(point).is_empty(), "{point:?}: {:#?}", points.received(point));
    }
}

#[tokio::test]
async fn unclear_authority_of_http2_is_refused() {
    let points = EntryPoints::fine().await;
    let good = points.secure.authority.clone();
    let (host, port) = good.rsplit_once(':').unwrap();
    let mut client = points.http2().await;
    for text in spellings(host, port).into_iter().filter(|text| *text != good) {
        let named = |authority: &str| {
            http::Uri::builder().scheme("https").authority(authority).path_and_query("/v1/a").build().ok()
        };
        let by_authority = named(&text).map(http::Request::get);
        let by_host = named(&good).map(|uri| http::Request::get(uri).header("Host", &text));
        // The client library does not send some of them.
        for request in [by_authority, by_host].into_iter().flatten() {
            let Ok(request) = request.body(http_body_util::Full::default()) else { continue };
            let answer = client.send_request(request).await;
            let status = answer.map_or(400, |answer| answer.status().as_u16());
            assert!([400, 403, 421].contains(&status), "{text:?}: {status}");
            if client.is_closed() {
                client = points.http2().await;
            }
        }
    }
    assert!(points.secure.received().is_empty(), "{:#?}", points.secure.received());
}
