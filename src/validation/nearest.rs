//! The known name that a mistyped one was most likely meant to be.

/// The least similarity of two names (Jaro-Winkler, 0 to 1) of which one may be the other,
/// mistyped.
const MIN_SIMILARITY: f64 = 0.75;

/// Length of the shortest name, in bytes, in which one wrong character is most likely a slip.
const MIN_SLIP: usize = 3;

/// Returns the name among `known` that is most similar to `written`, if one is similar enough.
pub fn nearest<'k>(written: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    // In a short name, two exchanged letters leave little similarity.
    let similarity = |name: &str| strsim::jaro_winkler(written, name) + if is_slip(written, name) { 1.0 } else { 0.0 };
    let rated = known.into_iter().map(|name| (similarity(name), name));
    let similar = rated.filter(|(similarity, _)| *similarity > MIN_SIMILARITY);
    // Of several that are equally similar, the first.
    similar.reduce(|best, next| if next.0 > best.0 { next } else { best }).map(|(_, name)| name)
}

/// Returns true if the names differ by letter case, or by one character that is no digit: added,
/// left out, replaced, or exchanged with the next one.
pub fn is_slip(written: &str, name: &str) -> bool {
    let digits = |name: &str| name.chars().filter(char::is_ascii_digit).collect::<String>();
    // The edit distance takes the product of both lengths.
    let is_short = written.len().max(name.len()) <= 255 && written.len().min(name.len()) >= MIN_SLIP;
    let (written, name) = (written.to_lowercase(), name.to_lowercase());
    is_short && digits(&written) == digits(&name) && strsim::damerau_levenshtein(&written, &name) <= 1
}

/// Returns the end of a message about a mistyped name; empty if no known name is near.
pub fn did_you_mean(near: Option<&str>) -> String {
    near.map(|near| format!("; did you mean '{near}'?")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_wrong_letter_is_a_slip() {
        assert_eq!(nearest("mpc", ["jumpcloud", "mcp"]), Some("mcp"));
        assert_eq!(nearest("githb", ["gitlab", "github"]), Some("github"));
        for (written, name) in [("alcie", "alice"), ("Alice", "alice"), ("alic", "alice"), ("bob@x.org", "bob@x.com")] {
            assert_eq!(is_slip(written, name), name != "bob@x.com", "{written}");
        }
        for (written, name) in [("user-1", "user-2"), ("user-1", "user-11"), ("al", "a"), ("bob", "rob2")] {
            assert!(!is_slip(written, name), "{written}");
        }
    }
}
