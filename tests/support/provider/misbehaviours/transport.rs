//! Faults beneath the body: redirect, status, framing, size.

use std::io::Write as _;

use super::Outcome::{Garbage, Taken};
use super::{Misbehaviour, PLANTED, UNREADABLE};
use crate::support::provider::hostile::{Step, answer};

const TOO_LARGE: &str = "the response is larger than the limit";
const NOT_HTTP: &str = "the response is not valid HTTP";
const BROKEN: &str = "the connection broke before the response was complete";

pub(super) fn redirects(server: &str, elsewhere: &str) -> Vec<Misbehaviour> {
    let mut all = Vec::new();
    for (status, says) in [
        (300, "status 300"),
        (301, "status 301"),
        (302, "status 302"),
        (303, "status 303"),
        (307, "status 307"),
        (308, "status 308"),
    ] {
        for to in [
            format!("{server}/token"),
            format!("{elsewhere}/{PLANTED}"),
            "http://169.254.169.254/latest/".to_owned(),
            "//8.8.8.8/".to_owned(),
            "/me".to_owned(),
        ] {
            let head =
                format!("HTTP/1.1 {status} Away\r\nLocation: {to}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
            all.push(Misbehaviour::raw(&format!("{status} to {to}"), head, Garbage, says, false));
        }
    }
    all
}

pub(super) fn statuses() -> Vec<Misbehaviour> {
    let body = format!(r#"{{"access_token":"at","token_type":"bearer","x":"{PLANTED}"}}"#);
    let status =
        |status: &str, says| Misbehaviour::raw(status, answer(status, "application/json", &body), Garbage, says, false);
    let later = |after: &str| {
        format!("HTTP/1.1 429 Later\r\nRetry-After: {after}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
    };
    let mut all = vec![
        status("401 No", "status 401"),
        status("404 Nothing", "status 404"),
        status("408 Slow", "status 408"),
        status("429 Later", "status 429"),
        status("500 Oops", "status 500"),
        status("502 Bad", "status 502"),
        status("503 Later", "status 503"),
        status("504 Slow", "status 504"),
        status("599 What", "status 599"),
        status("999 What", "status 999"),
        Misbehaviour::raw("304", "HTTP/1.1 304 Same\r\nConnection: close\r\n\r\n", Garbage, "status 304", false),
    ];
    for after in ["1", "0", "-1", "99999999999999999999", "Wed, 21 Oct 2015 07:28:00 GMT", "soon", ""] {
        all.push(Misbehaviour::raw(
            &format!("429 with Retry-After: {after}"),
            later(after),
            Garbage,
            "status 429",
            false,
        ));
    }
    all
}

pub(super) fn framing() -> Vec<Misbehaviour> {
    let good = r#"{"access_token":"at","token_type":"bearer"}"#;
    let whole = String::from_utf8(answer("200 OK", "application/json", good)).expect("it is ASCII");
    let sized =
        |length: &str| format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{good}");
    let raw = |name: &str, bytes: String, says| Misbehaviour::raw(name, bytes, Garbage, says, false);
    let hints = "HTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\n";
    let headers: Vec<String> = (0..1000).map(|n| format!("X-{n}: {PLANTED}\r\n")).collect();
    let headers = headers.concat();
    vec![
        raw("nothing at all", String::new(), BROKEN),
        raw("half a head", "HTTP/1.1 200 OK\r\nContent-Len".to_owned(), BROKEN),
        raw("less than announced", sized("5000"), BROKEN),
        raw("half a chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n50\r\n{".to_owned(), BROKEN),
        Misbehaviour::new("a reset", vec![Step::Reset], Garbage, BROKEN, false),
        Misbehaviour::raw("more than announced", sized("5"), Garbage, UNREADABLE, true),
        raw("two lengths", sized(&format!("5\r\nContent-Length: {}", good.len())), NOT_HTTP),
        raw("a length below nothing", sized("-5"), NOT_HTTP),
        raw("a length that is a word", sized("many"), NOT_HTTP),
        raw("HTTP/0.9", format!("{good}\r\n\r\n"), NOT_HTTP),
        raw("SSH", format!("SSH-2.0-{PLANTED}\r\n\r\n"), NOT_HTTP),
        raw("a status of five digits", "HTTP/1.1 20000 OK\r\n\r\n".to_owned(), NOT_HTTP),
        raw("a blank in a header's name", "HTTP/1.1 200 OK\r\nna me: x\r\n\r\n".to_owned(), NOT_HTTP),
        raw("1,000 headers", whole.replacen("\r\n", &format!("\r\n{headers}"), 1), TOO_LARGE),
        Misbehaviour::raw(
            "100, 103 and then a good answer",
            format!("HTTP/1.1 100 Continue\r\n\r\n{hints}{whole}"),
            Taken,
            "",
            true,
        ),
        Misbehaviour::raw(
            "100 a thousand times",
            format!("{}{whole}", "HTTP/1.1 100 Continue\r\n\r\n".repeat(1000)),
            Taken,
            "",
            true,
        ),
        Misbehaviour::raw("a good answer twice", format!("{whole}{whole}"), Taken, "", true),
        Misbehaviour::raw(
            "cookies",
            whole.replacen("\r\n", &format!("\r\nSet-Cookie: a={PLANTED}\r\n"), 1),
            Taken,
            "",
            true,
        ),
    ]
}

pub(super) fn sizes() -> Vec<Misbehaviour> {
    let head =
        |more: &str| Step::Say(format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n{more}\r\n").into_bytes());
    let encoded = |name: &str, body: &[u8], says, confirms| {
        let length = format!("Content-Encoding: {name}\r\nContent-Length: {}\r\nConnection: close\r\n", body.len());
        let name = format!("{name}, {} bytes", body.len());
        Misbehaviour::new(&name, vec![head(&length), Step::Say(body.to_vec())], Garbage, says, confirms)
    };
    let endless = |name: &str, steps: Vec<Step>| Misbehaviour::new(name, steps, Garbage, TOO_LARGE, false);
    let megabyte = vec![b' '; 1024 * 1024 + 1];
    vec![
        endless("a body without an end", vec![head(""), Step::Repeat(vec![b' '; 16_384])]),
        endless(
            "chunks without an end",
            vec![
                head("Transfer-Encoding: chunked\r\n"),
                Step::Repeat([&b"40\r\n"[..], &[b' '; 64], b"\r\n"].concat().repeat(200)),
            ],
        ),
        endless(
            "a head without an end",
            vec![
                Step::Say(b"HTTP/1.1 200 OK\r\n".to_vec()),
                Step::Repeat(b"X: yyyyyyyyyyyyyyyyyyyyyyyyyyyy\r\n".to_vec()),
            ],
        ),
        endless(
            "a header without an end",
            vec![Step::Say(b"HTTP/1.1 200 OK\r\nX: ".to_vec()), Step::Repeat(vec![b'x'; 16_384])],
        ),
        Misbehaviour::raw(
            "a byte more than a megabyte",
            answer("200 OK", "application/json", megabyte),
            Garbage,
            TOO_LARGE,
            false,
        ),
        encoded("gzip", &bomb(), TOO_LARGE, false),
        encoded("gzip", b"this is not gzip", NOT_HTTP, false),
        encoded("br", b"\x0b\x02\x80", UNREADABLE, true),
    ]
}

/// A hundred megabytes of blanks, in a hundred kilobytes.
fn bomb() -> Vec<u8> {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    for _ in 0..100 {
        packed.write_all(&vec![b' '; 1024 * 1024]).expect("a vector takes all");
    }
    packed.finish().expect("a vector takes all")
}
