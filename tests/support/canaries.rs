//! Canaries: random values in the place of secrets, and a search for them in every encoding.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use strongroom::random::Random;

/// Returns a new canary. It has characters that JSON, base64 and URLs write in another way.
pub fn canary(name: &str) -> String {
    format!("c4nary-{name}\"+/{}", Random.base64url::<12>())
}

/// Returns those of the secrets that are in the bytes, in any encoding.
pub fn found(bytes: &[u8], secrets: &[&str]) -> Vec<String> {
    Search::new(secrets).found(bytes)
}

/// A search for secrets, made once for much data.
pub struct Search {
    secrets: Vec<String>,
    /// Each form of each secret, by its first two bytes: memory is searched in one pass.
    forms: Vec<Vec<(usize, Vec<u8>)>>,
}

impl Search {
    pub fn new<T: AsRef<str>>(secrets: &[T]) -> Self {
        let secrets: Vec<String> = secrets.iter().map(|secret| secret.as_ref().to_owned()).collect();
        let mut forms = vec![Vec::new(); 1 << 16];
        for (number, secret) in secrets.iter().enumerate() {
            for form in encodings(secret) {
                forms[beginning(form.as_bytes())].push((number, form.into_bytes()));
            }
        }
        Self { secrets, forms }
    }

    pub fn found(&self, bytes: &[u8]) -> Vec<String> {
        let mut is_found = vec![false; self.secrets.len()];
        for at in 0..bytes.len().saturating_sub(1) {
            for (number, form) in &self.forms[beginning(&bytes[at..])] {
                is_found[*number] |= bytes[at..].starts_with(form);
            }
        }
        self.secrets.iter().zip(is_found).filter(|(_, is_found)| *is_found).map(|(secret, _)| secret.clone()).collect()
    }
}

fn beginning(bytes: &[u8]) -> usize {
    usize::from(bytes[0]) << 8 | usize::from(bytes[1])
}

/// Plain, as in JSON, percent-encoded (where a URL needs it, and throughout) and hex, both in both cases, and base64
/// and base64url at each of the three places that it can have in an encoded text.
pub fn encodings(secret: &str) -> Vec<String> {
    let each = |show: fn(u8) -> String| secret.bytes().map(show).collect::<Vec<_>>().concat();
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let percent = |show: fn(u8) -> String| {
        let shown = secret.bytes().map(|byte| if is_plain(byte) { char::from(byte).to_string() } else { show(byte) });
        shown.collect::<Vec<_>>().concat()
    };
    let lower: fn(u8) -> String = |byte| format!("%{byte:02x}");
    let upper: fn(u8) -> String = |byte| format!("%{byte:02X}");
    let json = serde_json::Value::from(secret).to_string();
    let mut forms = vec![
        secret.to_owned(),
        json[1..json.len() - 1].to_owned(),
        percent(lower),
        percent(upper),
        each(lower),
        each(upper),
        each(|byte| format!("{byte:02x}")),
        each(|byte| format!("{byte:02X}")),
    ];
    for before in 0..3 {
        // The characters that hold bits of the secret alone.
        let (first, last) = ((before * 8_usize).div_ceil(6), (before + secret.len()) * 8 / 6);
        let whole = [&vec![0; before], secret.as_bytes()].concat();
        forms.push(STANDARD_NO_PAD.encode(&whole)[first..last].to_owned());
        forms.push(URL_SAFE_NO_PAD.encode(&whole)[first..last].to_owned());
    }
    forms
}
