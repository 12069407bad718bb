//! Canonical form of a request's path: the one spelling that grants are compared with and that is
//! sent to the origin.
//!
//! Origins decode paths in different ways. A path that some of them would read as a path with dot
//! segments is rejected. Other differences are kept as *readings*: a deny compares every reading, so
//! that no spelling avoids it.

/// The maximal length of a path in bytes.
const MAX_PATH_LENGTH: usize = 8 * 1024;

/// Segments of a path, decoded.
pub type Segments = Vec<Vec<u8>>;

/// The canonical path of a request.
///
/// Unreserved characters (RFC 3986 §2.3) are plain. All bytes that a path cannot contain are
/// percent-encoded, with upper-case digits. Reserved characters stay as they were given.
#[derive(Clone, Debug)]
pub struct CanonicalPath {
    text: String,
    is_rewritten: bool,
    /// The first is the path as it is; an origin may read it as any of the others.
    readings: Vec<Segments>,
}

/// The reason why a path is rejected: `/problems/path-not-canonical`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// It does not begin with a slash.
    #[error("the path does not begin with '/'")]
    Start,
    /// Longer than 8 KiB.
    #[error("the path is longer than 8192 bytes")]
    Length,
    /// A NUL byte, also encoded.
    #[error("the path contains a NUL byte")]
    Nul,
    /// A backslash that is not encoded.
    #[error("the path contains a backslash; write '/' or %5C")]
    Backslash,
    /// `#` and a fragment.
    #[error("the path or the query contains '#': a request has no fragment")]
    Fragment,
    /// A percent sign without two hexadecimal digits.
    #[error("the path contains a '%' without two hexadecimal digits; write %25 for a percent sign")]
    Escape,
    /// White space, a control character or `?`.
    #[error("the path or the query contains a space or a control character; percent-encode it")]
    Character,
    /// A segment that is `.` or `..`, or that becomes one when it is decoded or cut at `;`.
    #[error("a segment of the path is '.' or '..', or becomes one when it is decoded or cut at ';'")]
    DotSegment,
    /// Another spelling than the canonical one, for a key whose grants have paths.
    #[error("this key has grants with paths: send the path in its canonical spelling")]
    Spelling,
}

impl CanonicalPath {
    /// Parses the path of a request, without its query.
    pub fn parse(given: &str) -> Result<Self, PathError> {
        if !given.starts_with('/') {
            return Err(PathError::Start);
        }
        if given.len() > MAX_PATH_LENGTH {
            return Err(PathError::Length);
        }
        let text = respelled(given)?;
        if text.split('/').any(|segment| is_dot_segment(segment.as_bytes())) {
            return Err(PathError::DotSegment);
        }
        if fully_decoded(text.as_bytes()).contains(&0) {
            return Err(PathError::Nul);
        }
        let readings = readings(&text);
        Ok(Self { is_rewritten: text != given, text, readings })
    }

    /// Returns the bytes that are sent.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns true if the request had another spelling of the path.
    pub fn is_rewritten(&self) -> bool {
        self.is_rewritten
    }

    /// Returns the segments, each decoded once. An encoded slash is a byte within its segment.
    pub fn segments(&self) -> &[Vec<u8>] {
        &self.readings[0]
    }

    /// Returns the segments as origins may read them: with encoded slashes and backslashes as
    /// separators, without parameters after `;`, without empty segments, and every mixture of
    /// these. The first is [`CanonicalPath::segments`].
    pub fn readings(&self) -> &[Segments] {
        &self.readings
    }
}

impl PartialEq for CanonicalPath {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for CanonicalPath {}

/// The target of a request: its path and its query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestTarget {
    /// The path.
    pub path: CanonicalPath,
    /// The query without its question mark, byte for byte as it was given.
    pub query: Option<String>,
}

impl RequestTarget {
    /// Parses a path with an optional query. The query is only checked for fragments, spaces and
    /// control characters, because its syntax is the origin's own.
    pub fn parse(target: &str) -> Result<Self, PathError> {
        let (path, query) = match target.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (target, None),
        };
        let path = CanonicalPath::parse(path)?;
        if let Some(query) = query {
            match query.bytes().find(|byte| *byte == b'#' || !byte.is_ascii_graphic()) {
                Some(b'#') => return Err(PathError::Fragment),
                Some(0) => return Err(PathError::Nul),
                Some(_) => return Err(PathError::Character),
                None => {}
            }
        }
        Ok(Self { path, query: query.map(str::to_owned) })
    }

    /// Returns path and query as they are sent.
    pub fn to_text(&self) -> String {
        match &self.query {
            Some(query) => format!("{}?{query}", self.path.as_str()),
            None => self.path.as_str().to_owned(),
        }
    }
}

/// Writes a path in its canonical spelling.
fn respelled(given: &str) -> Result<String, PathError> {
    let (mut text, mut rest) = (String::with_capacity(given.len()), given.as_bytes());
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        match byte {
            0 => return Err(PathError::Nul),
            b'\\' => return Err(PathError::Backslash),
            b'#' => return Err(PathError::Fragment),
            b'%' => {
                let decoded = escape(after).ok_or(PathError::Escape)?;
                rest = &after[2..];
                if is_unreserved(decoded) {
                    text.push(char::from(decoded));
                } else {
                    push_escape(&mut text, decoded);
                }
            }
            b'?' | b' ' => return Err(PathError::Character),
            byte if byte.is_ascii_control() => return Err(PathError::Character),
            byte if is_legal(*byte) => text.push(char::from(*byte)),
            byte => push_escape(&mut text, *byte),
        }
    }
    Ok(text)
}

fn push_escape(text: &mut String, byte: u8) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let digit = |half: u8| char::from(DIGITS[usize::from(half)]);
    text.extend(['%', digit(byte >> 4), digit(byte & 15)]);
}

/// RFC 3986 §2.3.
fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// Returns true for the characters of `pchar` (RFC 3986 §3.3) and the slash.
fn is_legal(byte: u8) -> bool {
    is_unreserved(byte) || b"!$&'()*+,;=:@/".contains(&byte)
}

/// Returns the byte of an escape whose digits begin here.
fn escape(digits: &[u8]) -> Option<u8> {
    let digit = |at: usize| char::from(*digits.get(at)?).to_digit(16);
    u8::try_from(digit(0)? * 16 + digit(1)?).ok()
}

/// Returns true if some decoding of the segment is `.` or `..`, alone, between slashes or
/// backslashes, or in front of `;`.
pub(super) fn is_dot_segment(segment: &[u8]) -> bool {
    let decoded = fully_decoded(segment);
    let mut pieces = decoded.split(|byte| is_separator(*byte));
    pieces.any(|piece| matches!(without_parameters(piece), b"." | b".."))
}

/// Decodes the escapes of a text once. A percent sign without digits stays.
pub(super) fn decoded_once(text: &[u8]) -> Vec<u8> {
    percent_encoding::percent_decode(text).collect()
}

/// Decodes until no escape remains, in one pass: a decoded byte may complete another escape.
fn fully_decoded(text: &[u8]) -> Vec<u8> {
    let mut decoded: Vec<u8> = Vec::with_capacity(text.len());
    for byte in text {
        decoded.push(*byte);
        while let [.., b'%', high, low] = decoded[..]
            && let Some(byte) = escape(&[high, low])
        {
            decoded.truncate(decoded.len() - 3);
            decoded.push(byte);
        }
    }
    decoded
}

fn is_separator(byte: u8) -> bool {
    matches!(byte, b'/' | b'\\')
}

fn without_parameters(segment: &[u8]) -> &[u8] {
    segment.split(|byte| *byte == b';').next().unwrap_or_default()
}

/// Returns the different readings of a canonical path, the exact one first.
fn readings(text: &str) -> Vec<Segments> {
    let mut readings = vec![read(text, false, false, false)];
    let has_one_reading = !text.contains(['%', ';']) && !text.contains("//") && !text.ends_with('/');
    if !has_one_reading {
        for choice in 1..8 {
            let reading = read(text, choice & 1 != 0, choice & 2 != 0, choice & 4 != 0);
            if !readings.contains(&reading) {
                readings.push(reading);
            }
        }
    }
    readings
}

/// Reads a path as an origin may: `split` decodes separators before splitting, `cut` drops
/// parameters, `merge` drops empty segments.
fn read(text: &str, split: bool, cut: bool, merge: bool) -> Segments {
    let mut segments = Segments::new();
    for segment in text[1..].split('/') {
        let decoded = if split { fully_decoded(segment.as_bytes()) } else { decoded_once(segment.as_bytes()) };
        for piece in decoded.split(|byte| split && is_separator(*byte)) {
            let piece = if cut { without_parameters(piece) } else { piece };
            if !(merge && piece.is_empty()) {
                segments.push(piece.to_vec());
            }
        }
    }
    segments
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn path(text: &str) -> CanonicalPath {
        CanonicalPath::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn path_gets_one_spelling() {
        for (given, canonical) in [
            ("/", "/"),
            ("/repos/a/b", "/repos/a/b"),
            ("/%72epos/%7Euser", "/repos/~user"),
            ("/a%2fb%3b", "/a%2Fb%3B"),
            ("/a;v=1/b", "/a;v=1/b"),
            ("/a//b/", "/a//b/"),
            ("/a%20b", "/a%20b"),
            ("/é", "/%C3%A9"),
            ("/{id}|[x]\"", "/%7Bid%7D%7C%5Bx%5D%22"),
            ("/a%5Cb", "/a%5Cb"),
            ("/...", "/..."),
            ("/.well-known/x", "/.well-known/x"),
            ("/a%2525b", "/a%2525b"),
        ] {
            let read = path(given);
            assert_eq!(read.as_str(), canonical, "{given}");
            assert_eq!(read.is_rewritten(), given != canonical, "{given}");
        }
    }

    #[test]
    fn ambiguous_path_is_rejected() {
        use PathError as E;
        for (text, error) in [
            ("", E::Start),
            ("*", E::Start),
            ("a/b", E::Start),
            ("/a\0", E::Nul),
            ("/a%00", E::Nul),
            ("/a%2500", E::Nul),
            ("/a\\b", E::Backslash),
            ("/a#b", E::Fragment),
            ("/a%", E::Escape),
            ("/a%2", E::Escape),
            ("/a%zz", E::Escape),
            ("/a%+1", E::Escape),
            ("/a%u002e", E::Escape),
            ("/a b", E::Character),
            ("/a\tb", E::Character),
            ("/a\r\nb", E::Character),
            ("/a?b", E::Character),
            ("/.", E::DotSegment),
            ("/..", E::DotSegment),
            ("/public/../secret", E::DotSegment),
            ("/a/./b", E::DotSegment),
            ("/a/%2e%2e/b", E::DotSegment),
            ("/a/%2E./b", E::DotSegment),
            ("/a/%252e%252e/b", E::DotSegment),
            ("/a/%25252e/b", E::DotSegment),
            ("/a/%%32e/b", E::Escape),
            ("/a/%25%32e/b", E::DotSegment),
            ("/a/..;/b", E::DotSegment),
            ("/a/..;x=1/b", E::DotSegment),
            ("/a/.;/b", E::DotSegment),
            ("/a/..%3Bx/b", E::DotSegment),
            ("/a/..%253Bx/b", E::DotSegment),
            ("/a/..%2Fb", E::DotSegment),
            ("/a%2F..%2Fb", E::DotSegment),
            ("/a%2f%2e%2e", E::DotSegment),
            ("/a%5C..%5Cb", E::DotSegment),
            ("/a%255c..", E::DotSegment),
            ("/a%2F..;x%2Fb", E::DotSegment),
        ] {
            assert_eq!(CanonicalPath::parse(text), Err(error), "{text}");
        }
        assert_eq!(CanonicalPath::parse(&format!("/{}", "a".repeat(8 * 1024))), Err(E::Length));
    }

    #[test]
    fn nested_escapes_are_decoded_in_linear_time() {
        let nested = format!("/%{}2e", "25".repeat(4_000));
        let started = std::time::Instant::now();
        assert_eq!(CanonicalPath::parse(&nested), Err(PathError::DotSegment));
        assert!(started.elapsed().as_secs() < 5);
    }

    #[test]
    fn encoded_slash_stays_in_its_segment() {
        let read = path("/o/a%2Fb;v/c");
        assert_eq!(read.segments(), [b"o".to_vec(), b"a/b;v".to_vec(), b"c".to_vec()]);
        let loosest: Segments = ["o", "a", "b", "c"].map(|segment| segment.as_bytes().to_vec()).into();
        assert!(read.readings().contains(&loosest), "{:?}", read.readings());
        assert_eq!(path("/a/b").readings().len(), 1);
    }

    #[test]
    fn query_is_kept_byte_for_byte() {
        let target = RequestTarget::parse("/a?x=%zz&y={}&&z=a/../b?c").unwrap();
        assert_eq!(target.query.as_deref(), Some("x=%zz&y={}&&z=a/../b?c"));
        assert_eq!(target.to_text(), "/a?x=%zz&y={}&&z=a/../b?c");
        assert_eq!(RequestTarget::parse("/a?").unwrap().query.as_deref(), Some(""));
        for (text, error) in [
            ("/a?x#y", PathError::Fragment),
            ("/a?x y", PathError::Character),
            ("/a?x\r\ny", PathError::Character),
            ("/a?\0", PathError::Nul),
            ("/a#?", PathError::Fragment),
        ] {
            assert_eq!(RequestTarget::parse(text).map(|target| target.to_text()), Err(error), "{text}");
        }
    }

    proptest! {
        #[test]
        fn canonical_path_parses_to_itself(text in "/([a-c.;/]|%2[eEfF5]|%5[cC]|%[0-9a-fA-F]{2}|\\PC){0,12}") {
            if let Ok(first) = CanonicalPath::parse(&text) {
                let second = CanonicalPath::parse(first.as_str()).unwrap();
                prop_assert_eq!(first.as_str(), second.as_str());
                prop_assert!(!second.is_rewritten());
                prop_assert_eq!(first.readings(), second.readings());
                prop_assert!(http::uri::PathAndQuery::try_from(first.as_str()).is_ok_and(|sent| sent.as_str() == first.as_str()));
            }
        }

        #[test]
        fn no_reading_has_a_dot_segment(text in "/([a.;/]|%2[eEfF5]|%5[cC]|%3[bB]|%25){0,10}") {
            if let Ok(path) = CanonicalPath::parse(&text) {
                for segment in path.readings().iter().flatten() {
                    prop_assert!(segment != b"." && segment != b"..");
                }
            }
        }
    }
}
