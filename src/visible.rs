//! Characters with which a text would control a terminal or a page, or change how it shows the text
//! around them. Messages, lists and logs lose them.

use std::borrow::Cow;
use std::fmt::Write as _;

/// Replaces control characters and drops format characters in a text that is shown within a line.
pub(crate) fn plain(text: &str) -> String {
    shown(text, |_| false)
}

/// Like [`plain`], for a whole message: line ends and tabs stay.
pub(crate) fn printable(text: &str) -> String {
    shown(text, |c| c == '\n' || c == '\t')
}

/// Returns the characters of `text` without control and format characters.
pub(crate) fn visible(text: &str) -> impl Iterator<Item = char> + '_ {
    text.chars().filter(|c| !c.is_control() && !is_format(*c))
}

/// Escapes such characters in JSON, where they can only occur inside a text. Every reader gets the
/// same value.
pub(crate) fn escaped_json(json: &str) -> Cow<'_, str> {
    let is_hidden = |c: char| !c.is_ascii() && (c.is_control() || is_format(c)) || c == '\u{7f}';
    if !json.contains(is_hidden) {
        return Cow::Borrowed(json);
    }
    let mut escaped = String::with_capacity(json.len() + 16);
    for c in json.chars() {
        if is_hidden(c) {
            for unit in c.encode_utf16(&mut [0; 2]) {
                write!(escaped, "\\u{unit:04x}").expect("writing to a string cannot fail");
            }
        } else {
            escaped.push(c);
        }
    }
    Cow::Owned(escaped)
}

fn shown(text: &str, stays: impl Fn(char) -> bool) -> String {
    let visible = text.chars().filter(|c| !is_format(*c));
    visible.map(|c| if c.is_control() && !stays(c) { '\u{fffd}' } else { c }).collect()
}

/// Returns true for Unicode's format characters (general category Cf) and line separators: they
/// are invisible, and reverse or join the text around them.
fn is_format(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}' | '\u{70f}' | '\u{890}'..='\u{891}' | '\u{8e2}'
        | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
        | '\u{fff9}'..='\u{fffb}' | '\u{110bd}' | '\u{110cd}' | '\u{13430}'..='\u{1343f}' | '\u{1bca0}'..='\u{1bca3}'
        | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOSTILE: &str =
        "a\u{1b}[2J\u{9b}b\u{7f}\u{202e}c\u{2066}\u{200b}\u{200f}\u{feff}\u{61c}\u{2028}\u{ad}\u{e0041}d";

    #[test]
    fn characters_that_change_a_terminal_are_not_shown() {
        assert_eq!(plain(HOSTILE), "a\u{fffd}[2J\u{fffd}b\u{fffd}cd");
        assert_eq!(printable(&format!("{HOSTILE}\n\tx\r")), "a\u{fffd}[2J\u{fffd}b\u{fffd}cd\n\tx\u{fffd}");
        assert_eq!(plain("a\nb"), "a\u{fffd}b", "a text cannot begin a line of its own");
        assert_eq!(plain("Zoë 東京 ☂️"), "Zoë 東京 ☂️");
        assert_eq!(visible(HOSTILE).collect::<String>(), "a[2Jbcd");
    }

    #[test]
    fn json_keeps_its_value_and_shows_no_such_character() {
        let json = serde_json::to_string(&[HOSTILE, "Zoë\n"]).unwrap();
        let escaped = escaped_json(&json);
        assert_eq!(serde_json::from_str::<[String; 2]>(&escaped).unwrap(), [HOSTILE, "Zoë\n"]);
        assert_eq!(plain(&escaped), escaped);
        assert!(escaped.contains("\\u202e") && escaped.contains("\\udb40\\udc41") && escaped.contains('ë'));
        assert_eq!(escaped_json("[\"Zoë\"]"), "[\"Zoë\"]");
    }
}
