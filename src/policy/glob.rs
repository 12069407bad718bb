//! Patterns of paths: `*` within a segment, `**` for any number of segments.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::path::{decoded_once, is_dot_segment};

/// The maximal length of a pattern in bytes.
const MAX_PATTERN_LENGTH: usize = 1024;

/// A pattern such as `/repos/*/issues/**`, compared with the decoded segments of a path.
///
/// `*` stands for any bytes of one segment, also for an encoded slash; an empty segment matches no
/// star. `**` is a whole segment and stands for any number of segments, none included. Escapes are
/// decoded: `%2A` is a star that is meant literally.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathPattern {
    text: String,
    segments: Vec<SegmentPattern>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum SegmentPattern {
    /// `**`.
    Any,
    /// Literal bytes, and `None` for each star.
    One(Vec<Option<u8>>),
}

/// The reason why a text is not a pattern of paths.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathPatternError {
    /// It does not begin with a slash.
    #[error("a path pattern begins with '/': write for example \"/repos/**\"")]
    Start,
    /// Longer than 1 KiB.
    #[error("a path pattern has at most 1024 bytes")]
    Length,
    /// A control character, a backslash, `?` or `#`.
    #[error("a path pattern has no query, fragment, backslash or control character")]
    Character,
    /// A percent sign without two hexadecimal digits.
    #[error("'%' in a path pattern needs two hexadecimal digits; write %25 for a percent sign")]
    Escape,
    /// `**` with other characters in its segment.
    #[error("'**' is a whole segment of a path pattern: write for example \"/repos/**/issues\"")]
    Stars,
    /// `.`, `..` or an empty segment, which no request can have or which is a slip.
    #[error("a path pattern has no segment that is '.', '..' or empty")]
    Segment,
}

impl PathPattern {
    /// Returns true if the pattern matches these decoded segments. The time is at most proportional
    /// to the length of the path times the length of the pattern.
    pub fn matches(&self, segments: &[Vec<u8>]) -> bool {
        let is_any = |pattern: &SegmentPattern| *pattern == SegmentPattern::Any;
        wildcard(&self.segments, segments, is_any, |pattern, segment| match pattern {
            SegmentPattern::Any => false,
            // A star does not match an empty segment: an origin that merges slashes would drop it.
            SegmentPattern::One(tokens) => {
                tokens.is_empty() == segment.is_empty()
                    && wildcard(tokens, segment, Option::is_none, |token, byte| *token == Some(*byte))
            }
        })
    }

    /// Returns the text as it was given.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

/// Matches items against a pattern whose stars stand for any number of items. After a mismatch only
/// the last star takes one item more, so no item is compared twice with one place of the pattern
/// for each star.
fn wildcard<P, T>(pattern: &[P], items: &[T], is_star: impl Fn(&P) -> bool, fits: impl Fn(&P, &T) -> bool) -> bool {
    let (mut at, mut next) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while next < items.len() {
        if pattern.get(at).is_some_and(&is_star) {
            star = Some((at, next));
            at += 1;
        } else if pattern.get(at).is_some_and(|token| fits(token, &items[next])) {
            at += 1;
            next += 1;
        } else if let Some((place, taken)) = star {
            star = Some((place, taken + 1));
            at = place + 1;
            next = taken + 1;
        } else {
            return false;
        }
    }
    pattern[at..].iter().all(is_star)
}

impl FromStr for PathPattern {
    type Err = PathPatternError;

    fn from_str(text: &str) -> Result<Self, PathPatternError> {
        let rest = text.strip_prefix('/').ok_or(PathPatternError::Start)?;
        if text.len() > MAX_PATTERN_LENGTH {
            return Err(PathPatternError::Length);
        }
        if text.chars().any(|c| c.is_control() || matches!(c, '\\' | '?' | '#')) {
            return Err(PathPatternError::Character);
        }
        let last = rest.split('/').count() - 1;
        let segments = rest.split('/').enumerate();
        let segments =
            segments.map(|(i, segment)| SegmentPattern::parse(segment, i == last)).collect::<Result<_, _>>()?;
        Ok(Self { text: text.to_owned(), segments })
    }
}

impl SegmentPattern {
    fn parse(segment: &str, is_last: bool) -> Result<Self, PathPatternError> {
        if segment == "**" {
            return Ok(Self::Any);
        }
        if segment.contains("**") {
            return Err(PathPatternError::Stars);
        }
        // An empty last segment is the slash at the end of a path.
        if is_dot_segment(segment.as_bytes()) || segment.is_empty() && !is_last {
            return Err(PathPatternError::Segment);
        }
        let is_digit = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_hexdigit);
        let bytes = segment.as_bytes();
        let well_formed = |at: usize| is_digit(bytes.get(at + 1)) && is_digit(bytes.get(at + 2));
        if segment.match_indices('%').any(|(at, _)| !well_formed(at)) {
            return Err(PathPatternError::Escape);
        }
        let mut tokens = Vec::new();
        for (i, literal) in segment.split('*').enumerate() {
            if i > 0 {
                tokens.push(None);
            }
            tokens.extend(decoded_once(literal.as_bytes()).into_iter().map(Some));
        }
        Ok(Self::One(tokens))
    }
}

impl fmt::Display for PathPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Serialize for PathPattern {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for PathPattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::policy::path::CanonicalPath;

    fn matches(pattern: &str, path: &str) -> bool {
        let pattern: PathPattern = pattern.parse().unwrap_or_else(|error| panic!("{pattern}: {error}"));
        pattern.matches(CanonicalPath::parse(path).unwrap().segments())
    }

    #[test]
    fn stars_match_within_and_across_segments() {
        for (pattern, path) in [
            ("/", "/"),
            ("/a", "/a"),
            ("/repos/*/issues", "/repos/x/issues"),
            ("/repos/*/issues", "/repos/a%2Fb/issues"),
            ("/repos/a*c", "/repos/abbc"),
            ("/repos/a*c", "/repos/ac"),
            ("/**", "/"),
            ("/**", "/a/b/c"),
            ("/repos/**", "/repos"),
            ("/repos/**", "/repos/"),
            ("/repos/**", "/repos/a/b"),
            ("/**/issues", "/issues"),
            ("/**/issues", "/a/b/issues"),
            ("/a/**/b/**/c", "/a/x/b/b/y/c"),
            ("/a b/%C3%A9", "/a%20b/%c3%a9"),
            ("/é", "/%C3%A9"),
            ("/a/%2A", "/a/*"),
            ("/a%2Fb", "/a%2fb"),
            ("/a/", "/a/"),
            ("/a/*", "/a/;x"),
        ] {
            assert!(matches(pattern, path), "{pattern} {path}");
        }
        for (pattern, path) in [
            ("/", "/a"),
            ("/a", "/a/"),
            ("/a", "/A"),
            ("/a/", "/a"),
            ("/a/b", "/a%2Fb"),
            ("/a/**", "/a%2Fb"),
            ("/a", "/a;x"),
            ("/*", "/a/b"),
            ("/*", "/"),
            ("/a/*/b", "/a//b"),
            ("/a/b", "/a//b"),
            ("/repos/*/issues", "/repos/x/y/issues"),
            ("/repos/**/issues", "/repos/x/issuesx"),
            ("/a/%2A", "/a/x"),
            ("/a%252Fb", "/a%2Fb"),
        ] {
            assert!(!matches(pattern, path), "{pattern} {path}");
        }
    }

    #[test]
    fn malformed_pattern_is_rejected() {
        use PathPatternError as E;
        for (text, error) in [
            ("", E::Start),
            ("repos/*", E::Start),
            ("**", E::Start),
            ("/a?b", E::Character),
            ("/a\\b", E::Character),
            ("/a#", E::Character),
            ("/a\n", E::Character),
            ("/a%", E::Escape),
            ("/a%2*", E::Escape),
            ("/a%zz", E::Escape),
            ("/a**", E::Stars),
            ("/***", E::Stars),
            ("/a/../b", E::Segment),
            ("/a/%2e", E::Segment),
            ("/a//b", E::Segment),
        ] {
            assert_eq!(text.parse::<PathPattern>(), Err(error), "{text}");
        }
        assert_eq!(format!("/{}", "a".repeat(1024)).parse::<PathPattern>(), Err(E::Length));
    }

    #[test]
    fn time_is_bounded_for_many_stars() {
        let pattern = format!("/{}c", "a*".repeat(500));
        let path = format!("/{}b", "a".repeat(8_000));
        let many = format!("/{}c", "**/a*/".repeat(150));
        let deep = "/aaaa".repeat(1_600);
        // Backtracking would not end.
        assert!(!matches(&pattern, &path) && !matches(&many, &deep));
    }

    /// Builds the regular expression of a pattern.
    fn expression(pattern: &str) -> regex_lite::Regex {
        let mut text = "^".to_owned();
        for segment in pattern[1..].split('/') {
            match segment {
                "**" => text.push_str("(/[^/]+)*"),
                _ => text.extend(["/", &segment.replace('*', "[^/]*")]),
            }
        }
        regex_lite::Regex::new(&format!("{text}$")).unwrap()
    }

    proptest! {
        #[test]
        fn matches_agree_with_regular_expressions(
            pattern in prop::collection::vec(prop_oneof!["[ab*]{1,3}", Just("**".to_owned())], 1..6),
            path in prop::collection::vec("[ab]{1,4}", 1..7),
        ) {
            let pattern = format!("/{}", pattern.join("/"));
            let path = format!("/{}", path.join("/"));
            if pattern.parse::<PathPattern>().is_ok() {
                prop_assert_eq!(matches(&pattern, &path), expression(&pattern).is_match(&path), "{} {}", pattern, path);
            }
        }
    }
}
