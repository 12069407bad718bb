//! Removal of characters with which a text would control the terminal, or change how it shows the
//! text around them.

/// Replaces control characters and drops format characters in a text that is shown within a line.
pub(super) fn plain(text: &str) -> String {
    shown(text, |_| false)
}

/// Like [`plain`], for a whole message: line ends and tabs stay.
pub(super) fn printable(text: &str) -> String {
    shown(text, |c| c == '\n' || c == '\t')
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
        | '\u{1d173}'..='\u{1d17a}' | '\u{e0001}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_that_change_a_terminal_are_not_shown() {
        let hostile = "a\u{1b}[2J\u{9b}b\u{7f}\u{202e}c\u{2066}\u{200b}\u{200f}\u{feff}\u{61c}\u{2028}\u{ad}\u{e0041}d";
        assert_eq!(plain(hostile), "a\u{fffd}[2J\u{fffd}b\u{fffd}cd");
        assert_eq!(printable(&format!("{hostile}\n\tx\r")), "a\u{fffd}[2J\u{fffd}b\u{fffd}cd\n\tx\u{fffd}");
        assert_eq!(plain("a\nb"), "a\u{fffd}b", "a text cannot begin a line of its own");
        assert_eq!(plain("Zoë 東京 ☂️"), "Zoë 東京 ☂️");
    }
}
