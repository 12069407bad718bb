//! Checks of a request's head that hyper leaves to the server: `Host` and `Transfer-Encoding`. A
//! proxy in front may read an ambiguous head differently, so such a request ends its connection.

use std::net::Ipv6Addr;

use http::request::Parts;
use http::{Version, header};

use crate::http::problem::{self, Problem};

/// Returns the problem of a head that is not accepted.
pub(super) fn problem(head: &Parts) -> Option<Problem> {
    if let Some(fault) = host_fault(head) {
        return Some(Problem::new(&problem::MALFORMED_REQUEST, fault));
    }
    (!is_framing_known(head)).then(|| {
        Problem::new(
            &problem::TRANSFER_CODING,
            "The only transfer coding that is supported is chunked, without others.",
        )
    })
}

/// Requires exactly one well-formed `Host` in HTTP/1.1 (RFC 9112 §3.2). HTTP/1.0, as some health
/// checks speak it, has none, and HTTP/2 has `:authority` in its place.
fn host_fault(head: &Parts) -> Option<&'static str> {
    let hosts: Vec<_> = head.headers.get_all(header::HOST).iter().collect();
    let required =
        head.version == Version::HTTP_11 || head.version == Version::HTTP_2 && head.uri.authority().is_none();
    let authority = head.uri.authority().map(|authority| authority.as_str().as_bytes());
    if hosts.len() > 1 {
        Some("A request must have one Host header.")
    } else if hosts.is_empty() && required {
        Some("A request must have a Host header.")
    } else if hosts.iter().map(|host| host.as_bytes()).chain(authority).any(|host| !is_host(host)) {
        Some("The Host header must be a host, and maybe a port.")
    } else {
        None
    }
}

/// `uri-host [ ":" port ]` (RFC 9110 §7.2), without user info and with a host that is not empty.
fn is_host(text: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(text) else { return false };
    let (host, port) = match text.rfind(':') {
        Some(colon) if !text[colon..].contains(']') => (&text[..colon], &text[colon + 1..]),
        _ => (text, ""),
    };
    let is_port = port.is_empty() || port.bytes().all(|c| c.is_ascii_digit()) && port.parse::<u16>().is_ok();
    is_port
        && match host.strip_prefix('[') {
            Some(rest) => rest.strip_suffix(']').is_some_and(|address| address.parse::<Ipv6Addr>().is_ok()),
            None => !host.is_empty() && is_name(host),
        }
}

/// A name or an IPv4 address (RFC 3986 §3.2.2).
fn is_name(host: &str) -> bool {
    let percent = host.split('%').skip(1);
    let is_legal = |c: u8| c.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=%".contains(&c);
    host.bytes().all(is_legal)
        && percent.into_iter().all(|rest| rest.len() >= 2 && rest.bytes().take(2).all(|c| c.is_ascii_hexdigit()))
}

/// Returns false if `Transfer-Encoding` is anything but `chunked` (RFC 9112 §6.1). hyper takes each
/// one that ends in chunked.
fn is_framing_known(head: &Parts) -> bool {
    let mut codings = head.headers.get_all(header::TRANSFER_ENCODING).iter();
    let is_chunked = |coding: &http::HeaderValue| coding.as_bytes().trim_ascii().eq_ignore_ascii_case(b"chunked");
    match (codings.next(), codings.next()) {
        (None, _) => true,
        (Some(coding), None) => is_chunked(coding),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_is_a_host_and_maybe_a_port() {
        for host in
            ["a", "a.example", "a.example:80", "a.example:", "127.0.0.1:8484", "[::1]", "[::1]:80", "a_b", "%41"]
        {
            assert!(is_host(host.as_bytes()), "{host}");
        }
        for host in [
            "", " ", ":80", "a b", "a/b", "a?b", "a#b", "u@a", "a:b", "a:80:80", "a:65536", "a:+80", "a:-1", "::1",
            "[::1", "[]", "[a]", "[::1]x", "[::1]:x", "a\\b", "<a>", "%4", "%zz", "a,b:x", "http://a", "ä",
        ] {
            assert!(!is_host(host.as_bytes()), "{host}");
        }
        assert!(!is_host(b"\xff"));
    }

    #[test]
    fn chunked_is_the_only_transfer_coding() {
        let known = |codings: &[&str]| {
            let mut request = http::Request::new(());
            for coding in codings {
                request.headers_mut().append(header::TRANSFER_ENCODING, coding.parse().unwrap());
            }
            is_framing_known(&request.into_parts().0)
        };
        assert!(known(&[]) && known(&["chunked"]) && known(&["Chunked"]));
        for codings in [
            &["gzip, chunked"][..],
            &["gzip", "chunked"],
            &["chunked", "chunked"],
            &["chunked, chunked"],
            &["xchunked"],
            &[""],
        ] {
            assert!(!known(codings), "{codings:?}");
        }
    }
}
