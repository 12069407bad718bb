//! The known name that a mistyped one was most likely meant to be.

/// The least similarity of two names (Jaro-Winkler, 0 to 1) of which one may be the other,
/// mistyped.
const MIN_SIMILARITY: f64 = 0.75;

/// Returns the name among `known` that is most similar to `written`, if one is similar enough.
pub fn nearest<'k>(written: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    let rated = known.into_iter().map(|name| (strsim::jaro_winkler(written, name), name));
    let similar = rated.filter(|(similarity, _)| *similarity > MIN_SIMILARITY);
    similar.max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, name)| name)
}
