//! The known name that a mistyped one was most likely meant to be.

/// The least similarity of two names (Jaro-Winkler, 0 to 1) of which one may be the other,
/// mistyped.
const MIN_SIMILARITY: f64 = 0.75;

/// Returns the name among `known` that is most similar to `written`, if one is similar enough.
pub fn nearest<'k>(written: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    let rated = known.into_iter().map(|name| (strsim::jaro_winkler(written, name), name));
    let similar = rated.filter(|(similarity, _)| *similarity > MIN_SIMILARITY);
    // Of several that are equally similar, the first.
    similar.reduce(|best, next| if next.0 > best.0 { next } else { best }).map(|(_, name)| name)
}

/// Returns the end of a message about a mistyped name; empty if no known name is near.
pub fn did_you_mean(near: Option<&str>) -> String {
    near.map(|near| format!("; did you mean '{near}'?")).unwrap_or_default()
}
