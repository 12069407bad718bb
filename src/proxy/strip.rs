//! Removal of what a caller may not send along with a credential: its own authentication,
//! forwarding headers, overrides and hop-by-hop headers.

use http::header::{CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HeaderName, TE, UPGRADE};
use http::{HeaderMap, HeaderValue};
use percent_encoding::percent_decode_str;

use crate::catalog::Entry;
use crate::catalog::entry::{AccessTokenPlace, Place};

/// Headers of one connection, and those that the proxy itself sets or answers.
const OF_CONNECTION: &[&str] =
    &["connection", "expect", "host", "http2-settings", "keep-alive", "te", "transfer-encoding", "upgrade"];

/// Beginnings of names of headers that are for a proxy.
const OF_PROXY: &[&str] = &["proxy-", "strongroom-"];

/// Headers that are removed from every request with a credential, beside those of the connection.
const REMOVED: &[&str] = &[
    "authorization",
    "cookie",
    // Origins may believe these about the client's address.
    "cf-connecting-ip",
    "forwarded",
    "true-client-ip",
    "via",
    "x-client-ip",
    "x-cluster-client-ip",
    "x-real-ip",
    // Some origins take the path from these.
    "x-original-url",
    "x-rewrite-url",
];

/// Headers that override the method at some origins.
pub(super) const METHOD_OVERRIDES: &[&str] = &["x-http-method", "x-http-method-override", "x-method-override"];

/// Beginning of names of headers about the way of a request.
const FORWARDED: &str = "x-forwarded-";

/// The places in a request from which an origin of one provider takes a secret.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuthSlots {
    /// Headers, in addition to those that are always removed.
    pub headers: Vec<HeaderName>,
    /// Parameters of the query.
    pub query: Vec<String>,
    /// Members of the body.
    pub members: Vec<String>,
}

impl AuthSlots {
    /// Collects the places that an entry names, for keys, tokens and further hosts.
    pub fn of(entry: &Entry) -> Self {
        let mut slots = Self::default();
        if let Some(key) = &entry.api_key {
            for name in key.name.iter().chain(&key.secrets) {
                slots.add(key.place, name);
            }
        }
        if let Some(token) = entry.oauth.as_ref().and_then(|oauth| oauth.access_token.as_ref()) {
            let place = match token.place {
                AccessTokenPlace::Header => Place::Header,
                AccessTokenPlace::Query => Place::Query,
            };
            slots.add(Some(place), &token.name);
        }
        for host in &entry.hosts {
            host.name.iter().for_each(|name| slots.add(host.place, name));
        }
        slots
    }

    fn add(&mut self, place: Option<Place>, name: &str) {
        match place {
            Some(Place::Header) => self.headers.extend(HeaderName::try_from(name)),
            Some(Place::Query) => self.query.push(name.to_owned()),
            Some(Place::Body) => self.members.push(name.to_owned()),
            Some(Place::Basic | Place::Path) | None => {}
        }
    }

    /// Returns true if a parameter of the query or of a form is one of these slots. Letter case does
    /// not count, because some origins ignore it.
    pub(super) fn is_parameter(names: &[String], pair: &str) -> bool {
        let name = pair.split('=').next().unwrap_or_default().replace('+', " ");
        let name: Vec<u8> = percent_decode_str(&name).collect();
        names.iter().any(|slot| slot.as_bytes().eq_ignore_ascii_case(&name))
    }
}

/// Removes all slots of the entry and everything that no caller may send with a credential. Returns
/// true if the caller asks for a WebSocket.
///
/// The headers that `Connection` names go first: otherwise an intermediary would remove the
/// injected one.
pub(super) fn strip_headers(headers: &mut HeaderMap, slots: &AuthSlots) -> bool {
    let is_websocket = names_token(headers, &CONNECTION, "upgrade") && names_token(headers, &UPGRADE, "websocket");
    strip_with(headers, |name| {
        REMOVED.contains(&name.as_str())
            || METHOD_OVERRIDES.contains(&name.as_str())
            || slots.headers.contains(name)
            || name.as_str().starts_with(FORWARDED)
    });
    is_websocket
}

/// Removes what belongs to the connection or is for a proxy (RFC 9110 §7.6.1), from a request
/// without a credential.
pub(super) fn strip_connection_headers(headers: &mut HeaderMap) {
    strip_with(headers, |_| false);
}

/// Removes the headers of the connection, and those that are `unwanted`.
fn strip_with(headers: &mut HeaderMap, unwanted: impl Fn(&HeaderName) -> bool) {
    let accepts_trailers = names_token(headers, &TE, "trailers");
    let named: Vec<HeaderName> = tokens(headers, &CONNECTION).filter_map(|name| name.parse().ok()).collect();
    // Without these two the body would have another meaning.
    for name in named.iter().filter(|name| ![CONTENT_LENGTH, CONTENT_TYPE].contains(name)) {
        headers.remove(name);
    }
    let unwanted = |name: &HeaderName| {
        OF_CONNECTION.contains(&name.as_str())
            || OF_PROXY.iter().any(|prefix| name.as_str().starts_with(prefix))
            || unwanted(name)
    };
    let unwanted: Vec<HeaderName> = headers.keys().filter(|name| unwanted(name)).cloned().collect();
    for name in &unwanted {
        headers.remove(name);
    }
    if accepts_trailers {
        headers.insert(TE, HeaderValue::from_static("trailers"));
    }
}

/// Returns the query without the parameters that are slots of the entry; `None` if nothing is left.
pub(super) fn strip_query(query: &str, slots: &AuthSlots) -> Option<String> {
    let kept = query.split('&').filter(|pair| !AuthSlots::is_parameter(&slots.query, pair));
    let kept = kept.collect::<Vec<_>>().join("&");
    let is_whole = kept.len() == query.len();
    (is_whole || !kept.is_empty()).then_some(kept)
}

/// Returns the path without the caller's secret, for a provider that takes its secret in the path:
/// the segment after `base_path` and `prefix`, if it is a placeholder, otherwise `None`.
pub(super) fn strip_path(
    path: &str,
    base_path: &str,
    prefix: &str,
    is_placeholder: impl Fn(&str) -> bool,
) -> Option<String> {
    let base = base_path.trim_end_matches('/');
    let rest = path.strip_prefix(base)?.strip_prefix(prefix)?;
    let (segment, rest) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let rest = if base.is_empty() && rest.is_empty() { "/" } else { rest };
    is_placeholder(segment).then(|| format!("{base}{rest}"))
}

/// Returns the items of a header that is a list, without white space.
fn tokens<'h>(headers: &'h HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'h str> {
    let values = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(str::trim)
}

fn names_token(headers: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    // A token may have parameters (`trailers;q=0.5`).
    tokens(headers, name).any(|item| item.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case(token))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[(&str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(HeaderName::try_from(*name).unwrap(), HeaderValue::from_static(value));
        }
        headers
    }

    fn names(headers: &HeaderMap) -> Vec<&str> {
        let mut names: Vec<_> = headers.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        names
    }

    #[test]
    fn authentication_of_the_caller_is_removed() {
        let mut sent = headers(&[
            ("Authorization", "Bearer a"),
            ("AUTHORIZATION", "Bearer b"),
            ("Cookie", "a=b"),
            ("Proxy-Authorization", "Basic x"),
            ("Proxy-Connection", "keep-alive"),
            ("Strongroom-Credential", "x"),
            ("Strongroom-Anything", "x"),
            ("X-Key", "a"),
            ("x-key", "b"),
            ("X-Other", "kept"),
            ("Anthropic-Version", "kept"),
        ]);
        let slots = AuthSlots { headers: vec![HeaderName::from_static("x-key")], ..AuthSlots::default() };
        assert!(!strip_headers(&mut sent, &slots));
        assert_eq!(names(&sent), ["anthropic-version", "x-other"]);
    }

    #[test]
    fn forwarding_and_override_headers_are_removed() {
        let mut sent = headers(&[
            ("Forwarded", "for=1"),
            ("X-Forwarded-For", "1"),
            ("X-Forwarded-Anything", "1"),
            ("X-Real-IP", "1"),
            ("Via", "1.1 a"),
            ("True-Client-IP", "1"),
            ("X-HTTP-Method-Override", "DELETE"),
            ("X-Original-URL", "/admin"),
            ("Host", "evil.example"),
            ("Expect", "100-continue"),
            ("Accept", "kept"),
        ]);
        strip_headers(&mut sent, &AuthSlots::default());
        assert_eq!(names(&sent), ["accept"]);
    }

    #[test]
    fn hop_by_hop_headers_are_removed() {
        let mut sent = headers(&[
            ("Connection", "keep-alive, X-Mine"),
            ("Connection", "content-length, Content-Type, close"),
            ("X-Mine", "1"),
            ("Keep-Alive", "5"),
            ("Transfer-Encoding", "chunked"),
            ("TE", "gzip, trailers;q=0.5"),
            ("Upgrade", "h2c"),
            ("HTTP2-Settings", "x"),
            ("Content-Length", "5"),
            ("Content-Type", "text/plain"),
            ("Trailer", "kept"),
        ]);
        assert!(!strip_headers(&mut sent, &AuthSlots::default()));
        assert_eq!(names(&sent), ["content-length", "content-type", "te", "trailer"]);
        assert_eq!(sent[TE], "trailers");
    }

    #[test]
    fn callers_own_headers_stay_without_a_credential() {
        let mut sent = headers(&[
            ("Connection", "keep-alive, X-Mine"),
            ("X-Mine", "1"),
            ("Proxy-Authorization", "Basic x"),
            ("Strongroom-User", "x"),
            ("Upgrade", "websocket"),
            ("Expect", "100-continue"),
            ("Authorization", "kept"),
            ("Cookie", "kept"),
            ("Via", "kept"),
            ("X-Forwarded-For", "kept"),
            ("X-HTTP-Method-Override", "kept"),
        ]);
        strip_connection_headers(&mut sent);
        assert_eq!(names(&sent), ["authorization", "cookie", "via", "x-forwarded-for", "x-http-method-override"]);
    }

    #[test]
    fn only_a_websocket_is_an_upgrade() {
        for (connection, upgrade, is_websocket) in [
            ("Upgrade", "websocket", true),
            ("keep-alive, upgrade", "WebSocket", true),
            ("upgrade", "h2c, websocket", true),
            ("upgrade", "h2c", false),
            ("notupgrade", "websocket", false),
            ("keep-alive", "websocket", false),
            ("upgrade", "websocketx", false),
        ] {
            let mut sent = headers(&[("Connection", connection), ("Upgrade", upgrade), ("Sec-WebSocket-Key", "k")]);
            assert_eq!(strip_headers(&mut sent, &AuthSlots::default()), is_websocket, "{connection} {upgrade}");
            assert_eq!(names(&sent), ["sec-websocket-key"]);
        }
    }

    #[test]
    fn query_loses_every_spelling_of_a_slot() {
        let slots = AuthSlots { query: vec!["api_key".to_owned(), "a b".to_owned()], ..AuthSlots::default() };
        for (query, kept) in [
            ("x=1&api_key=a&y=%zz&API_KEY=b&api%5Fkey=c&api_key", Some("x=1&y=%zz")),
            ("api_key=a", None),
            ("a+b=1&a%20b=2&ab=3", Some("ab=3")),
            ("", Some("")),
            ("x&&y=", Some("x&&y=")),
            ("my_api_key=1", Some("my_api_key=1")),
        ] {
            assert_eq!(strip_query(query, &slots).as_deref(), kept, "{query}");
        }
    }

    #[test]
    fn placeholder_is_removed_from_the_path() {
        let strip = |path: &str, base: &str| strip_path(path, base, "/bot", |segment| segment == "PLACE");
        assert_eq!(strip("/botPLACE/getMe", "/").as_deref(), Some("/getMe"));
        assert_eq!(strip("/v1/botPLACE/a/b", "/v1/").as_deref(), Some("/v1/a/b"));
        assert_eq!(strip("/v1/botPLACE", "/v1").as_deref(), Some("/v1"));
        assert_eq!(strip("/botPLACE", "").as_deref(), Some("/"));
        for (path, base) in [("/getMe", ""), ("/botOTHER/getMe", ""), ("/v2/botPLACE", "/v1"), ("/PLACE", "")] {
            assert_eq!(strip(path, base), None, "{path}");
        }
    }

    #[test]
    fn slots_are_all_places_of_the_entry() {
        let catalog = crate::catalog::Catalog::build([]).unwrap();
        let slots = |name: &str| AuthSlots::of(&catalog.get(name).unwrap().entry);
        let alpaca = ["apca-api-key-id", "apca-api-secret-key"].map(HeaderName::from_static);
        assert_eq!(slots("alpaca").headers, alpaca);
        assert_eq!(slots("trello").query, ["key", "token"]);
        assert_eq!(slots("pushover").members, ["token", "user"]);
        assert_eq!(slots("telegram"), AuthSlots::default());
    }
}
