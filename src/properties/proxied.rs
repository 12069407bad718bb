//! Properties of requests that are sent with a credential: paths, destinations, masking.

use std::sync::Arc;

use crate::policy::{CanonicalPath, Destination, PathPattern, RequestTarget, Scheme};
use crate::proxy::{MaskStream, MaskedForms};
use crate::secret::Secret;

/// Parses a path: its canonical form parses to itself, and no reading of it has a dot segment.
/// After the first line end follows a pattern, which must match in bounded time.
pub fn canonical_path(text: &str) {
    let (path, pattern) = text.split_once('\n').unwrap_or((text, "/**"));
    let Ok(target) = RequestTarget::parse(path) else { return };
    let again = CanonicalPath::parse(target.path.as_str()).unwrap();
    assert!(again == target.path && !again.is_rewritten() && again.readings() == target.path.readings());
    for segment in target.path.readings().iter().flatten() {
        assert!(segment != b"." && segment != b"..", "{path:?}");
    }
    assert!(
        target
            .to_text()
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && byte != b'#' && byte != b'\\' || target.query.is_some())
    );
    if let Ok(pattern) = pattern.parse::<PathPattern>() {
        let _ = target.path.readings().iter().any(|segments| pattern.matches(segments));
        assert_eq!(pattern.to_string().parse::<PathPattern>(), Ok(pattern));
    }
}

/// Parses a target of CONNECT, an authority and an absolute URI: an accepted one has one reading.
pub fn destination(text: &str) {
    if let Ok(destination) = Destination::parse_connect(text) {
        let written = format!("{}:{}", destination.host(), destination.port());
        assert!(text.starts_with('[') || written.eq_ignore_ascii_case(text), "{text:?}");
        assert_eq!(Destination::parse_connect(&written).as_ref(), Ok(&destination));
        assert!(destination.is_authority(&destination.authority()));
        // The URL parser of other programs agrees.
        let url = url::Url::parse(&destination.to_string()).unwrap();
        assert_eq!(Destination::of_url(&url), Some(destination));
    }
    let _ = Destination::parse_authority(Scheme::Http, text);
    if let Ok((destination, path)) = Destination::parse_absolute(text) {
        assert!(!destination.host().contains(|c: char| c == '@' || c.is_whitespace() || c.is_control()), "{text:?}");
        assert!(path.starts_with(['/', '\\', '#']), "{text:?}");
    }
}

/// Masks a stream: the first byte is the length of the secret, the second that of the pieces. The
/// result does not depend on the pieces and contains no form of the secret.
pub fn mask(bytes: &[u8]) {
    let [length, step, rest @ ..] = bytes else { return };
    let length = usize::from(*length).min(rest.len());
    let (secret, text) = rest.split_at(length);
    let Ok(secret) = std::str::from_utf8(secret) else { return };
    let forms = Arc::new(MaskedForms::new(&[Secret::new(secret)], &[]));
    let mut whole = text.to_vec();
    forms.mask(&mut whole);
    assert_eq!(whole.len(), text.len());
    let mut stream = MaskStream::new(forms);
    let mut streamed = Vec::new();
    for piece in text.chunks(usize::from(*step).max(1)) {
        streamed.extend(stream.push(piece));
    }
    streamed.extend(stream.finish());
    assert_eq!(streamed, whole);
    let is_masked = secret.len() >= 8 && !secret.contains(['\r', '\n', '*']);
    assert!(!is_masked || !whole.windows(secret.len()).any(|window| window == secret.as_bytes()));
}
