//! A second look at the head of a request: what the HTTP parser forgives, and this door does not.
//!
//! hyper drops `Content-Length` where `Transfer-Encoding` is present (RFC 9112 §6.3), so that nobody after it can see
//! that both were sent: the beginning of request smuggling. So the bytes are kept until the request is dispatched.

/// What the bytes of one head say.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct HeadFacts {
    content_length: bool,
    transfer_encoding: bool,
    hosts: usize,
    http_1_0: bool,
}

impl HeadFacts {
    /// Reads the first head in `bytes`; gives its facts and its length, or nothing where it is not whole.
    pub(crate) fn read(bytes: &[u8]) -> Option<(Self, usize)> {
        let mut facts = Self::default();
        let (mut position, mut request_line_seen) = (0, false);
        while let Some(length) = bytes[position..].iter().position(|byte| *byte == b'\n') {
            let line = bytes[position..position + length].trim_ascii_end();
            position += length + 1;
            if !request_line_seen {
                // Empty lines before a request are skipped (RFC 9112 §2.2).
                request_line_seen = !line.is_empty();
                facts.http_1_0 = line.ends_with(b" HTTP/1.0");
            } else if line.is_empty() {
                return Some((facts, position));
            } else {
                facts.note(line);
            }
        }
        None
    }

    fn note(&mut self, line: &[u8]) {
        let name = line.split(|byte| *byte == b':').next().unwrap_or_default();
        self.content_length |= name.eq_ignore_ascii_case(b"content-length");
        self.transfer_encoding |= name.eq_ignore_ascii_case(b"transfer-encoding");
        self.hosts += usize::from(name.eq_ignore_ascii_case(b"host"));
    }

    /// Why this request is refused, if it is. HTTP/1.0, as some health checks speak it, knows no `Host`.
    pub(crate) fn fault(&self) -> Option<&'static str> {
        if self.content_length && self.transfer_encoding {
            Some("A request must not have both Content-Length and Transfer-Encoding.")
        } else if self.hosts == 0 && !self.http_1_0 {
            Some("A request must have a Host header.")
        } else if self.hosts > 1 {
            Some("A request must have one Host header.")
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(head: &str) -> Option<&'static str> {
        HeadFacts::read(head.as_bytes()).unwrap().0.fault()
    }

    #[test]
    fn a_head_ends_at_its_first_empty_line() {
        let bytes = b"\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\nbody";
        assert_eq!(HeadFacts::read(bytes).unwrap().1, bytes.len() - 4);
        assert_eq!(HeadFacts::read(&bytes[..20]), None);
        assert_eq!(HeadFacts::read(b"GET / HTTP/1.1\nHost: x\n\n").unwrap().1, 24);
    }

    #[test]
    fn ambiguous_lengths_and_hosts_are_refused() {
        assert_eq!(fault("GET / HTTP/1.1\r\nHost: x\r\n\r\n"), None);
        assert_eq!(fault("GET / HTTP/1.0\r\n\r\n"), None);
        for head in [
            "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: x\r\ntransfer-encoding: chunked\r\ncontent-length: 5\r\n\r\n",
            "GET / HTTP/1.1\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: x\r\nhost: y\r\n\r\n",
        ] {
            assert!(fault(head).is_some(), "{head}");
        }
    }
}
