//! Placeholders: the texts that `strongroom run` gives to a command in the place of a secret. They are
//! no secrets. A placeholder names its credential, and stands only where the secret goes.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderValue};
use percent_encoding::percent_decode_str;

use super::strip::{AuthSlots, strip_headers, strip_path, strip_query};
use crate::broker::CredentialBase;
use crate::catalog::Entry;
use crate::catalog::entry::Place;

/// Returns true if the placeholder is somewhere in the URL or in a header, also as a half of HTTP
/// Basic.
pub fn has_placeholder(placeholder: &str, target: &str, headers: &HeaderMap) -> bool {
    let in_url = || {
        let decoded: Vec<u8> = percent_decode_str(target).collect();
        target.contains(placeholder) || String::from_utf8_lossy(&decoded).contains(placeholder)
    };
    headers.values().any(|value| is_in_header(placeholder, value)) || in_url()
}

fn is_in_header(placeholder: &str, value: &HeaderValue) -> bool {
    let Ok(text) = value.to_str() else { return false };
    let pair = || {
        let (scheme, encoded) = text.trim().split_once(' ')?;
        let is_basic = scheme.eq_ignore_ascii_case("basic");
        is_basic.then(|| STANDARD.decode(encoded.trim()).ok()).flatten()
    };
    text.contains(placeholder) || pair().is_some_and(|pair| String::from_utf8_lossy(&pair).contains(placeholder))
}

/// Returns true if the placeholder stands where the provider takes no secret.
pub(super) fn is_misplaced(placeholder: &str, target: &str, headers: &HeaderMap, slots: &AuthSlots) -> bool {
    if !has_placeholder(placeholder, target, headers) {
        return false;
    }
    let mut others = headers.clone();
    strip_headers(&mut others, slots);
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let rest = strip_query(query, slots).unwrap_or_default();
    has_placeholder(placeholder, &format!("{path}?{rest}"), &others)
}

/// Returns the target without the placeholder in its path, if the provider takes its secret there.
/// `is_whole` is true if the target has the path of the base URL.
pub(super) fn without_placeholder(
    placeholder: &str,
    entry: &Entry,
    base: &CredentialBase,
    is_whole: bool,
    target: &str,
) -> Option<String> {
    let key = entry.api_key.as_ref().filter(|key| key.place == Some(Place::Path))?;
    let base_path = match base {
        CredentialBase::Url(url) if is_whole => url.path(),
        CredentialBase::Url(_) | CredentialBase::Hosts(_) => "",
    };
    let (path, query) = target.split_at(target.find('?').unwrap_or(target.len()));
    let is_placeholder = |segment: &str| percent_decode_str(segment).decode_utf8_lossy() == placeholder;
    let path = strip_path(path, base_path, key.prefix.as_deref().unwrap_or("/"), is_placeholder)?;
    Some(format!("{path}{query}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACEHOLDER: &str = "ghp_0123456789abcdef";

    fn headers(name: &'static str, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(http::HeaderName::from_static(name), HeaderValue::from_str(value).unwrap())])
    }

    #[test]
    fn placeholder_is_misplaced_outside_of_the_slots() {
        let slots = AuthSlots { query: vec!["key".to_owned()], ..AuthSlots::default() };
        let basic = format!("Basic {}", STANDARD.encode(format!("x:{PLACEHOLDER}")));
        let bearer = format!("Bearer {PLACEHOLDER}");
        for (target, name, value, misplaced) in [
            ("/a?key=ghp_0123456789abcdef", "authorization", &*bearer, false),
            ("/a", "authorization", &basic, false),
            ("/a", "x-other", "none", false),
            ("/a", "x-other", &basic, true),
            ("/a", "referer", &format!("https://a.example/?x={PLACEHOLDER}"), true),
            ("/a/ghp_0123456789abcdef", "authorization", &bearer, true),
            ("/a/%67hp_0123456789abcdef", "x-other", "none", true),
            ("/a?other=ghp_0123456789abcdef&key=1", "x-other", "none", true),
        ] {
            assert_eq!(is_misplaced(PLACEHOLDER, target, &headers(name, value), &slots), misplaced, "{target} {value}");
        }
    }
}
