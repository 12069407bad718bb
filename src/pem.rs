//! PEM (RFC 7468) as people paste it: with literal `\n` from a JSON file or an environment variable,
//! with quotes, blanks or a byte order mark around it, or all on one line.

use zeroize::Zeroizing;

use crate::secret;

const BEGIN: &str = "-----BEGIN ";
const END: &str = "-----END ";
const DASHES: &str = "-----";

/// Characters of a line.
const LINE: usize = 64;

/// Returns the text with each block in the form of RFC 7468. A block that cannot be repaired is
/// left out.
pub(crate) fn repaired(bytes: &[u8]) -> Zeroizing<String> {
    let text = secret::decode(bytes).unwrap_or_default();
    let mut repaired = Zeroizing::new(String::with_capacity(text.len() * 2 + 64));
    for (label, body) in Blocks(&text) {
        let mut lines = Zeroizing::new(String::with_capacity(body.len() * 2));
        let mut length = 0;
        let mut chars = body.chars();
        while let Some(c) = chars.next() {
            match c {
                // `\n` as two characters. Base64 has no backslash.
                '\\' => {
                    let after = chars.as_str();
                    chars = after.strip_prefix(['n', 'r', 't']).unwrap_or(after).chars();
                }
                '"' | '\'' => {}
                c if c.is_whitespace() => {}
                c => {
                    if length > 0 && length % LINE == 0 {
                        lines.push('\n');
                    }
                    lines.push(c);
                    length += 1;
                }
            }
        }
        if lines.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=' | b'\n')) {
            for part in [BEGIN, label, DASHES, "\n", &lines, "\n", END, label, DASHES, "\n"] {
                repaired.push_str(part);
            }
        }
    }
    repaired
}

/// Names what a text is in place of the key or certificate that was expected, and what to do.
pub(crate) fn describe(bytes: &[u8]) -> &'static str {
    let Some(text) = secret::decode(bytes) else { return "it is not a text: DER must be converted to PEM" };
    let text = text.trim();
    if text.contains("Proc-Type: 4,ENCRYPTED") {
        return "the key is encrypted: decrypt it with `openssl pkcs8 -topk8 -nocrypt`";
    }
    match Blocks(text).next() {
        Some(("ENCRYPTED PRIVATE KEY", _)) => "the key is encrypted: decrypt it with `openssl pkcs8 -topk8 -nocrypt`",
        Some(("RSA PRIVATE KEY" | "EC PRIVATE KEY", _)) => {
            "it is a key in an older form: convert it with `openssl pkcs8 -topk8 -nocrypt`"
        }
        Some(("OPENSSH PRIVATE KEY", _)) => "it is a key for SSH: make another with `openssl genpkey`",
        Some(("PUBLIC KEY" | "RSA PUBLIC KEY", _)) => "it is a public key",
        Some(("CERTIFICATE", _)) => "it is a certificate",
        Some(("CERTIFICATE REQUEST" | "NEW CERTIFICATE REQUEST", _)) => "it is a certificate request",
        Some(("PRIVATE KEY", _)) => "it is a private key, but it is damaged or not the one that is expected",
        Some(_) => "it has another label",
        None if text.is_empty() => "it is empty",
        None if text.starts_with('{') => "it is JSON",
        None if text.contains(BEGIN) => "its end is missing",
        None => "it has no line \"-----BEGIN …-----\"",
    }
}

/// The label and body of each block.
struct Blocks<'t>(&'t str);

impl<'t> Iterator for Blocks<'t> {
    type Item = (&'t str, &'t str);

    fn next(&mut self) -> Option<Self::Item> {
        let (_, rest) = self.0.split_once(BEGIN)?;
        let (label, rest) = rest.split_once(DASHES)?;
        let (body, rest) = rest.split_once(END)?;
        let rest = rest.strip_prefix(label)?.strip_prefix(DASHES)?;
        self.0 = rest;
        Some((label, body))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = include_str!("jose/tests/ed25519.pem");

    #[test]
    fn pasted_pem_is_repaired() {
        let one_line = KEY.trim_end();
        let indented = format!("    {}  \r\n", one_line.replace('\n', "  \r\n    "));
        for text in [
            KEY.to_owned(),
            format!("\u{feff}{KEY}"),
            one_line.replace('\n', "\\n"),
            one_line.replace('\n', "\\r\\n"),
            format!("\"{}\\n\"", one_line.replace('\n', "\\n")),
            format!("'{}'", one_line.replace('\n', "\\\\n")),
            one_line.replace('\n', " "),
            indented,
            format!("Bag Attributes\n  friendlyName: x\n{KEY}"),
        ] {
            assert_eq!(*repaired(text.as_bytes()), KEY, "{text:?}");
        }
        let utf16: Vec<u8> = format!("\u{feff}{KEY}").encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert_eq!(*repaired(&utf16), KEY);
        assert_eq!(*repaired(format!("{KEY}{KEY}").as_bytes()), format!("{KEY}{KEY}"), "a chain of certificates");
        for text in ["", "hunter2", "-----BEGIN PRIVATE KEY-----\nMC4", &KEY.replace("MC", "M%")] {
            assert_eq!(*repaired(text.as_bytes()), "", "{text}");
        }
    }

    #[test]
    fn other_texts_are_named() {
        let block = |label: &str| format!("-----BEGIN {label}-----\nMC4=\n-----END {label}-----\n");
        for (text, named) in [
            (block("ENCRYPTED PRIVATE KEY"), "encrypted"),
            (block("RSA PRIVATE KEY").replace("MC4=", "Proc-Type: 4,ENCRYPTED\n\nMC4="), "encrypted"),
            (block("EC PRIVATE KEY"), "older form"),
            (block("OPENSSH PRIVATE KEY"), "for SSH"),
            (block("PUBLIC KEY"), "a public key"),
            (block("CERTIFICATE"), "a certificate"),
            (block("PRIVATE KEY"), "damaged"),
            ("{\"private_key\": 1}".to_owned(), "JSON"),
            ("-----BEGIN PRIVATE KEY-----\nMC4=".to_owned(), "its end is missing"),
            ("MC4=".to_owned(), "no line"),
            ("\n".to_owned(), "empty"),
        ] {
            assert!(describe(text.as_bytes()).contains(named), "{text}: {}", describe(text.as_bytes()));
        }
        assert!(describe(&[0x30, 0x82]).contains("DER"));
    }
}
