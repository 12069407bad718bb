//! Masking of injected secrets in what an origin returns.
//!
//! An origin may echo the secret, for example in an error message. Each form in which a secret is
//! usually written is replaced by stars of the same length, so that lengths stay true. This is a
//! safety net: an origin that encodes the secret in another way can still reveal it.

use std::fmt::Write as _;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use http::{HeaderMap, HeaderValue};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use zeroize::Zeroizing;

use crate::secret::Secret;

/// The shortest secret that is masked, in bytes. Shorter ones would also occur by chance.
const MIN_LENGTH: usize = 8;

const STAR: u8 = b'*';

/// RFC 3986: everything but the unreserved characters.
const URI: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// JavaScript's `encodeURIComponent`.
const COMPONENT: &AsciiSet = &URI.remove(b'!').remove(b'\'').remove(b'(').remove(b')').remove(b'*');
/// `application/x-www-form-urlencoded`.
const FORM: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'*');

/// The forms of injected secrets: as they are, JSON-escaped, percent-encoded and in base64.
///
/// It has no `Debug`, because it contains secrets.
pub struct MaskedForms {
    forms: Vec<Zeroizing<Vec<u8>>>,
    /// True for the bytes with which a form begins.
    begins: [bool; 256],
    longest: usize,
}

impl MaskedForms {
    /// Collects the forms of secrets, and the base64 form of pairs `user:secret`. Secrets shorter
    /// than 8 bytes are not masked.
    pub fn new(secrets: &[Secret], pairs: &[Secret]) -> Self {
        let mut all = Vec::new();
        let is_long = |secret: &&Secret| secret.expose().len() >= MIN_LENGTH;
        for secret in secrets.iter().filter(is_long) {
            add_forms(&mut all, secret.expose());
        }
        for pair in pairs.iter().filter(is_long) {
            add_base64(&mut all, pair.expose());
        }
        let mut begins = [false; 256];
        for form in &all {
            begins[usize::from(form[0])] = true;
        }
        let longest = all.iter().map(|form| form.len()).max().unwrap_or(0);
        Self { forms: all, begins, longest }
    }

    /// Returns true if nothing is masked.
    pub fn is_empty(&self) -> bool {
        self.forms.is_empty()
    }

    /// Masks a whole text in place.
    pub fn mask(&self, text: &mut [u8]) {
        let original = Zeroizing::new(text.to_vec());
        self.mask_until(&original, text, 0);
    }

    /// Masks the values of headers or trailers.
    pub fn mask_headers(&self, headers: &mut HeaderMap) {
        for value in headers.values_mut() {
            let mut bytes = Zeroizing::new(value.as_bytes().to_vec());
            self.mask(&mut bytes);
            if bytes.as_slice() != value.as_bytes() {
                // Stars instead of legal bytes are legal.
                *value = HeaderValue::from_bytes(&bytes).unwrap_or_else(|_| HeaderValue::from_static("***"));
            }
        }
    }

    /// Masks `output`, which is the beginning of `text`. The first `masked` bytes belong to a form
    /// that began before. Returns the end of the last form, which may be after `output`.
    fn mask_until(&self, text: &[u8], output: &mut [u8], masked: usize) -> usize {
        let mut end = masked;
        for at in 0..output.len() {
            if self.begins[usize::from(text[at])] {
                let found = self.forms.iter().filter(|form| text[at..].starts_with(form));
                end = end.max(at + found.map(|form| form.len()).max().unwrap_or(0));
            }
            if at < end {
                output[at] = STAR;
            }
        }
        end
    }
}

/// Masks a body that arrives in pieces.
///
/// It holds back a fixed number of bytes, one less than the longest form, and releases everything
/// up to a line end. So the time at which a byte is released does not depend on the secret, and an
/// event of an event stream is not delayed.
pub struct MaskStream {
    forms: Arc<MaskedForms>,
    held: Zeroizing<Vec<u8>>,
    /// The first held bytes that belong to a form which is already released in part.
    masked: usize,
}

impl MaskStream {
    /// Begins a body.
    pub fn new(forms: Arc<MaskedForms>) -> Self {
        Self { forms, held: Zeroizing::new(Vec::new()), masked: 0 }
    }

    /// Takes the next piece and returns the bytes that are released.
    pub fn push(&mut self, piece: &[u8]) -> Vec<u8> {
        crate::secret::append(&mut self.held, piece);
        let length = self.held.len();
        let held_back = self.forms.longest.saturating_sub(1);
        // No form contains a line end, so every form before it is complete.
        let line_end = self.held.iter().rposition(|byte| is_line_end(*byte)).map_or(0, |at| at + 1);
        self.release(line_end.max(length.saturating_sub(held_back)))
    }

    /// Returns the rest at the end of the body.
    pub fn finish(&mut self) -> Vec<u8> {
        self.release(self.held.len())
    }

    fn release(&mut self, length: usize) -> Vec<u8> {
        let mut output = self.held[..length].to_vec();
        let end = self.forms.mask_until(&self.held, &mut output, self.masked);
        self.masked = end.saturating_sub(length);
        self.held.drain(..length);
        output
    }
}

fn is_line_end(byte: u8) -> bool {
    matches!(byte, b'\n' | b'\r')
}

fn add_forms(forms: &mut Vec<Zeroizing<Vec<u8>>>, secret: &str) {
    add(forms, secret);
    for (escapes_slash, escapes_html) in [(false, false), (true, false), (false, true)] {
        add(forms, &json_escaped(secret, escapes_slash, escapes_html));
    }
    for set in [URI, COMPONENT, FORM] {
        let upper = Zeroizing::new(utf8_percent_encode(secret, set).to_string());
        add(forms, &lower_case_escapes(&upper));
        // A form has `+` for a space.
        add(forms, &Zeroizing::new(upper.replace("%20", "+")));
        add(forms, &upper);
    }
    add_base64(forms, secret);
}

/// Adds base64 without padding, so that it is found with and without.
fn add_base64(forms: &mut Vec<Zeroizing<Vec<u8>>>, text: &str) {
    add(forms, &Zeroizing::new(STANDARD_NO_PAD.encode(text)));
    add(forms, &Zeroizing::new(URL_SAFE_NO_PAD.encode(text)));
}

/// Adds each line of the text.
fn add(forms: &mut Vec<Zeroizing<Vec<u8>>>, text: &str) {
    for line in text.split(['\r', '\n']).filter(|line| line.len() >= MIN_LENGTH) {
        if !forms.iter().any(|form| form.as_slice() == line.as_bytes()) {
            forms.push(Zeroizing::new(line.as_bytes().to_vec()));
        }
    }
}

/// Escapes a text as the content of a JSON string. Writers differ in slashes, and some escape what
/// is special in HTML, and everything that is not ASCII.
fn json_escaped(text: &str, escapes_slash: bool, escapes_html: bool) -> Zeroizing<String> {
    let mut escaped = Zeroizing::new(String::with_capacity(text.len() * 6));
    for c in text.chars() {
        match c {
            '"' => escaped.push_str("\\\""),
            '\\' => escaped.push_str("\\\\"),
            '\n' => escaped.push_str("\\n"),
            '\r' => escaped.push_str("\\r"),
            '\t' => escaped.push_str("\\t"),
            '/' if escapes_slash => escaped.push_str("\\/"),
            '<' | '>' | '&' | '\'' if escapes_html => push_unit(&mut escaped, u16::try_from(u32::from(c)).unwrap_or(0)),
            c if c.is_control() || (escapes_slash || escapes_html) && !c.is_ascii() => {
                c.encode_utf16(&mut [0; 2]).iter().for_each(|unit| push_unit(&mut escaped, *unit));
            }
            c => escaped.push(c),
        }
    }
    escaped
}

fn push_unit(escaped: &mut String, unit: u16) {
    // Writing to a string does not fail.
    let _ = write!(escaped, "\\u{unit:04x}");
}

fn lower_case_escapes(text: &str) -> Zeroizing<String> {
    let mut escape = 0;
    let lower = text.chars().map(|c| {
        escape = if c == '%' { 3 } else { i32::max(escape - 1, 0) };
        if escape > 0 { c.to_ascii_lowercase() } else { c }
    });
    Zeroizing::new(lower.collect())
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::{STANDARD, URL_SAFE};
    use proptest::prelude::*;

    use super::*;

    /// A secret with a character for each of the escapes.
    const SECRET: &str = "s3cr3t/\"&+ \u{e9}=x";

    fn forms() -> Arc<MaskedForms> {
        Arc::new(MaskedForms::new(&[Secret::new(SECRET)], &[Secret::new(format!("user:{SECRET}"))]))
    }

    fn masked(text: &str) -> String {
        let mut bytes = text.as_bytes().to_vec();
        forms().mask(&mut bytes);
        assert_eq!(bytes.len(), text.len());
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// The ways in which servers write the secret.
    fn echoes() -> Vec<String> {
        let form: String = url::form_urlencoded::byte_serialize(SECRET.as_bytes()).collect();
        let json = serde_json::to_string(SECRET).unwrap().trim_matches('"').to_owned();
        vec![
            SECRET.to_owned(),
            json.clone() + "",
            "s3cr3t\\/\\\"&+ \\u00e9=x".to_owned(),
            "s3cr3t/\\\"\\u0026+ \\u00e9=x".to_owned(),
            form,
            "s3cr3t%2F%22%26%2B%20%C3%A9%3Dx".to_owned(),
            "s3cr3t%2f%22%26%2b%20%c3%a9%3dx".to_owned(),
            STANDARD.encode(SECRET).trim_end_matches('=').to_owned(),
            URL_SAFE.encode(SECRET).trim_end_matches('=').to_owned(),
            STANDARD.encode(format!("user:{SECRET}")).trim_end_matches('=').to_owned(),
        ]
    }

    #[test]
    fn every_form_becomes_stars_of_its_length() {
        for echo in echoes() {
            let text = format!("a{echo}b");
            assert_eq!(masked(&text), format!("a{}b", "*".repeat(echo.len())), "{echo}");
        }
        assert_eq!(masked("nothing to hide, s3cr3t/\"&+ \u{e9}="), "nothing to hide, s3cr3t/\"&+ \u{e9}=");
    }

    #[test]
    fn short_secret_is_not_masked() {
        let forms = MaskedForms::new(&[Secret::new("1234567")], &[Secret::new("a:b")]);
        assert!(forms.is_empty());
        let mut stream = MaskStream::new(Arc::new(forms));
        assert_eq!(stream.push(b"1234567"), b"1234567");
    }

    /// Streams a text in pieces that end at the given places.
    fn streamed(text: &[u8], ends: &[usize]) -> Vec<u8> {
        let mut stream = MaskStream::new(forms());
        let (mut output, mut from) = (Vec::new(), 0);
        for end in ends.iter().copied().chain([text.len()]) {
            output.extend(stream.push(&text[from..end]));
            from = end;
        }
        output.extend(stream.finish());
        output
    }

    #[test]
    fn chunks_do_not_change_the_result() {
        for echo in echoes() {
            let text = format!("{{\"error\": \"{echo}\"}}\r\n{echo}\n{echo}{echo}");
            let whole = masked(&text);
            assert!(!whole.contains(&echo));
            let text = text.as_bytes();
            for first in 0..=text.len() {
                for second in (first..=text.len()).step_by(3) {
                    assert_eq!(streamed(text, &[first, second]), whole.as_bytes(), "{echo} {first} {second}");
                }
            }
            let single: Vec<usize> = (0..text.len()).collect();
            assert_eq!(streamed(text, &single), whole.as_bytes(), "{echo}");
        }
    }

    #[test]
    fn overlapping_forms_are_masked_whole() {
        let forms = Arc::new(MaskedForms::new(&[Secret::new("abcdabcd"), Secret::new("abcdefgh")], &[]));
        let mut text = b"abcdabcdabcdefgh-abcd".to_vec();
        forms.mask(&mut text);
        assert_eq!(text, b"****************-abcd");
        let mut stream = MaskStream::new(forms);
        let mut output: Vec<u8> = b"abcdabcdabcdefgh-abcd".iter().flat_map(|byte| stream.push(&[*byte])).collect();
        output.extend(stream.finish());
        assert_eq!(output, text);
    }

    #[test]
    fn line_end_releases_an_event() {
        let mut stream = MaskStream::new(forms());
        assert_eq!(stream.push(b"data: 1\n\n"), b"data: 1\n\n");
        assert_eq!(stream.push(b"data: s3"), b"");
        assert_eq!(stream.push(b"cr3t\r"), b"data: s3cr3t\r");
        let event = format!("data: {SECRET}\n\n");
        assert_eq!(stream.push(event.as_bytes()), format!("data: {}\n\n", "*".repeat(SECRET.len())).as_bytes());
        assert_eq!(stream.finish(), b"");
    }

    #[test]
    fn number_of_held_bytes_does_not_depend_on_the_secret() {
        let other = "x".repeat(SECRET.len());
        let [mut one, mut two] = [(); 2].map(|()| MaskStream::new(forms()));
        for (a, b) in SECRET.bytes().zip(other.bytes()).cycle().take(500) {
            assert_eq!(one.push(&[a]).len(), two.push(&[b]).len());
        }
        assert_eq!(one.finish().len(), forms().longest - 1);
    }

    #[test]
    fn lines_of_a_secret_are_masked() {
        let forms = Arc::new(MaskedForms::new(&[Secret::new("-----BEGIN KEY-----\nMIIEvQIBADANBg\nshort\n")], &[]));
        let mut stream = MaskStream::new(forms);
        let output = stream.push(b"-----BEGIN KEY-----\nMIIEvQIBADANBg\nshort\n");
        assert_eq!(output, format!("{}\n{}\nshort\n", "*".repeat(19), "*".repeat(14)).as_bytes());
    }

    #[test]
    fn headers_are_masked() {
        let mut headers = HeaderMap::new();
        headers.insert("www-authenticate", HeaderValue::from_static("Bearer error=\"tok3n-abcdef is bad\""));
        headers.append("x-a", HeaderValue::from_static("kept"));
        headers.append("x-a", HeaderValue::from_static("tok3n-abcdef"));
        MaskedForms::new(&[Secret::new("tok3n-abcdef")], &[]).mask_headers(&mut headers);
        let values: Vec<_> = headers.get_all("x-a").iter().collect();
        assert_eq!(values, ["kept", "************"]);
        assert_eq!(headers["www-authenticate"], "Bearer error=\"************ is bad\"");
    }

    proptest! {
        #[test]
        fn streams_equal_the_whole(
            parts in prop::collection::vec(prop_oneof![prop::sample::select(echoes()), "[a-z3/%\\\\\r\n]{0,6}"], 0..8),
            ends in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
        ) {
            let text = parts.concat().into_bytes();
            let mut ends: Vec<usize> = ends.iter().map(|end| end.index(text.len() + 1)).collect();
            ends.sort_unstable();
            let mut whole = text.clone();
            forms().mask(&mut whole);
            prop_assert_eq!(streamed(&text, &ends), whole);
        }
    }
}
