//! A provider's own words, made fit to be shown: no control characters, not endless, and nothing of ours in them.

use url::form_urlencoded::byte_serialize;
use zeroize::Zeroizing;

use crate::secret::Secret;

/// The longest `error` that is passed on, in characters.
const ERROR: usize = 100;
/// The longest `error_description` that is passed on, in characters.
const DESCRIPTION: usize = 500;

/// Knows the secrets of one request, and takes them out of what comes back.
#[derive(Default)]
pub(in crate::oauth) struct Cleaner {
    hidden: Vec<Zeroizing<String>>,
}

impl Cleaner {
    /// From now on `secret` is masked, as it is and as it stands in a form.
    pub(in crate::oauth) fn hide(&mut self, secret: &str) {
        for form in [visible(secret).collect(), byte_serialize(secret.as_bytes()).collect()] {
            let form: String = form;
            if !form.is_empty() && !self.hidden.iter().any(|there| **there == form) {
                self.hidden.push(Zeroizing::new(form));
            }
        }
        // The longest first: one secret may be the beginning of another.
        self.hidden.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    }

    /// An error code, cleaned; `error` where nothing is left of it.
    pub(in crate::oauth) fn error(&self, text: &str) -> String {
        Some(self.clean(text, ERROR)).filter(|text| !text.is_empty()).unwrap_or_else(|| "error".to_owned())
    }

    /// A description, cleaned; `None` where nothing is left of it.
    pub(in crate::oauth) fn description(&self, text: &str) -> Option<String> {
        Some(self.clean(text, DESCRIPTION)).filter(|text| !text.is_empty())
    }

    /// Masks before it cuts, so that no half of a secret is left at the end.
    fn clean(&self, text: &str, limit: usize) -> String {
        let mut clean: String = visible(text).collect();
        for secret in &self.hidden {
            clean = clean.replace(secret.as_str(), "[masked]");
        }
        let clean = clean.trim();
        match clean.char_indices().nth(limit) {
            Some((end, _)) => format!("{}…", &clean[..end]),
            None => clean.to_owned(),
        }
    }
}

/// A token that is shorter may well be an innocent word, or a part of one.
const UNMISTAKABLE: usize = 16;

/// Whether `text` gives the token away: a hostile provider may well call an account or a scope by it.
pub(in crate::oauth) fn gives_away(text: &str, token: &Secret) -> bool {
    let token = token.expose();
    token.len() >= UNMISTAKABLE && text.contains(token)
}

/// The characters that show: no control characters, and none that hides or turns around the text beside it.
pub(in crate::oauth) fn visible(text: &str) -> impl Iterator<Item = char> + '_ {
    text.chars().filter(|c| {
        !c.is_control()
            && !matches!(*c, '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bar_10_no_secret_of_ours_comes_back_in_the_providers_words() {
        let mut cleaner = Cleaner::default();
        cleaner.hide("s3cr3t");
        cleaner.hide("s3cr3t/with more");
        let said = "code s3cr3t, s3c\u{0}r3t, s3cr3t%2Fwith+more and s3cr3t/with more";
        assert_eq!(cleaner.description(said).unwrap(), "code [masked], [masked], [masked] and [masked]");
        let at_the_end = format!("{}s3cr3t", "x".repeat(497));
        assert!(!cleaner.description(&at_the_end).unwrap().contains("s3c"), "no half of it where the text is cut");
    }

    #[test]
    fn bar_4_a_description_has_no_control_characters_and_an_end() {
        let cleaner = Cleaner::default();
        assert_eq!(cleaner.description("a\r\nSet-Cookie: x\u{1b}[31m\u{202e}b\u{0}").unwrap(), "aSet-Cookie: x[31mb");
        assert_eq!(cleaner.description(&"é".repeat(10_000)).unwrap().chars().count(), DESCRIPTION + 1);
        assert_eq!(cleaner.error(&"e".repeat(10_000)).chars().count(), ERROR + 1);
        assert_eq!(cleaner.description(" \u{0}\n "), None);
        assert_eq!(cleaner.error("\u{0}"), "error");
    }
}
