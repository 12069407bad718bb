//! The part of a request that a person approves, and its digest.

use http::{HeaderMap, HeaderName, Method, header};
use sha2::{Digest as _, Sha256};

use crate::id::{ApiKeyId, CredentialId};

/// The largest body of a request that can be approved: the digest covers all of it.
pub const MAX_APPROVAL_BODY: usize = 1 << 20;

/// Headers that an approval does not cover, because clients change them from try to try.
const NOT_COVERED: [HeaderName; 9] = [
    header::ACCEPT_ENCODING,
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::DATE,
    header::EXPECT,
    HeaderName::from_static("prefer"),
    HeaderName::from_static("traceparent"),
    HeaderName::from_static("tracestate"),
    header::USER_AGENT,
];

/// The facts of a request that an approval is bound to.
#[derive(Clone, Copy, Debug)]
pub struct ApprovalFacts<'r> {
    /// The API key that sends the request.
    pub key: ApiKeyId,
    /// The credential.
    pub credential: CredentialId,
    /// The method.
    pub method: &'r Method,
    /// The canonical URL with its query, without a secret in it.
    pub url: &'r str,
    /// The headers that are forwarded, without the credential's.
    pub headers: &'r HeaderMap,
    /// The whole body, of at most [`MAX_APPROVAL_BODY`] bytes.
    pub body: &'r [u8],
}

impl ApprovalFacts<'_> {
    /// Returns the headers that the approval covers, by name. Values of one name keep their order.
    pub fn covered_headers(&self) -> Vec<(&str, &[u8])> {
        let covered = self.headers.iter().filter(|(name, _)| !NOT_COVERED.contains(name));
        let mut covered: Vec<_> = covered.map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
        // Stable: the order of values within one name has a meaning.
        covered.sort_by_key(|(name, _)| *name);
        covered
    }

    /// Returns the SHA-256 over all facts. Each is preceded by its length, so that different facts
    /// have different digests.
    pub fn digest(&self) -> [u8; 32] {
        let mut digest = Sha256::new();
        let mut add = |part: &[u8]| {
            digest.update((part.len() as u64).to_be_bytes());
            digest.update(part);
        };
        add(b"strongroom approval 1");
        add(self.key.to_string().as_bytes());
        add(self.credential.to_string().as_bytes());
        add(self.method.as_str().as_bytes());
        add(self.url.as_bytes());
        add(&Sha256::digest(self.body));
        for (name, value) in self.covered_headers() {
            add(name.as_bytes());
            add(value);
        }
        digest.finalize().into()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use http::HeaderValue;

    use super::*;

    const ONE: &str = "00000000-0000-7000-8000-000000000001";
    const TWO: &str = "00000000-0000-7000-8000-000000000002";

    fn headers(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        lines.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))).collect()
    }

    fn facts<'r>(headers: &'r HeaderMap, body: &'r [u8]) -> ApprovalFacts<'r> {
        let (key, credential) = (ONE.parse().unwrap(), ONE.parse().unwrap());
        ApprovalFacts { key, credential, method: &Method::POST, url: "https://a.example/x?y", headers, body }
    }

    #[test]
    fn every_fact_changes_the_digest() {
        let sent = headers(&[("content-type", "text/plain"), ("x-a", "1"), ("x-b", "2")]);
        let base = facts(&sent, b"body");
        let other_headers = [
            headers(&[("content-type", "text/html"), ("x-a", "1"), ("x-b", "2")]),
            headers(&[("content-type", "text/plain"), ("x-a", "1")]),
            headers(&[("content-type", "text/plain"), ("x-a", "12"), ("x-b", "")]),
            headers(&[("content-type", "text/plain"), ("x-a", "1"), ("x-b", "2"), ("x-b", "2")]),
            headers(&[("content-type", "text/plain"), ("x-a", "2"), ("x-b", "1")]),
            headers(&[("content-type", "text/plain"), ("x-a", "1"), ("x-b", "2"), ("cookie", "c")]),
        ];
        let mut digests = vec![
            base.digest(),
            ApprovalFacts { key: TWO.parse().unwrap(), ..base }.digest(),
            ApprovalFacts { credential: TWO.parse().unwrap(), ..base }.digest(),
            ApprovalFacts { method: &Method::PUT, ..base }.digest(),
            ApprovalFacts { url: "https://a.example/x?Y", ..base }.digest(),
            ApprovalFacts { url: "http://a.example/x?y", ..base }.digest(),
            ApprovalFacts { body: b"bodY", ..base }.digest(),
            ApprovalFacts { body: b"", ..base }.digest(),
        ];
        digests.extend(other_headers.iter().map(|headers| ApprovalFacts { headers, ..base }.digest()));
        let different: HashSet<_> = digests.iter().collect();
        assert_eq!(different.len(), digests.len());
    }

    #[test]
    fn changing_headers_are_not_covered() {
        let sent = headers(&[("x-a", "1")]);
        let mut again = headers(&[("x-a", "1")]);
        for name in &NOT_COVERED {
            again.insert(name, HeaderValue::from_static("changes"));
        }
        assert_eq!(facts(&sent, b"").digest(), facts(&again, b"").digest());
        let swapped = headers(&[("x-b", "2"), ("x-a", "1")]);
        let sorted = headers(&[("x-a", "1"), ("x-b", "2")]);
        assert_eq!(facts(&swapped, b"").digest(), facts(&sorted, b"").digest(), "names have no order");
        let reversed = headers(&[("x-a", "2"), ("x-a", "1")]);
        let ordered = headers(&[("x-a", "1"), ("x-a", "2")]);
        assert_ne!(facts(&reversed, b"").digest(), facts(&ordered, b"").digest(), "values of a name have");
    }
}
