//! Path patterns such as `/v1/integrations/{provider}/credentials`, and what a path puts into their places.

use percent_encoding::percent_decode_str;

/// Places that a pattern can have.
const MOST: usize = 2;

/// The values of a path's places, percent-decoded, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Params([String; MOST]);

impl Params {
    /// What `path`, which fits `pattern`, puts into its places; what is no UTF-8 is replaced, and then unknown.
    pub(crate) fn of(pattern: &str, path: &str) -> Self {
        let pairs = pattern.split('/').zip(path.split('/'));
        let placed = pairs.filter(|(place, _)| place.starts_with('{')).map(|(_, segment)| segment);
        let mut params = Self::default();
        for (value, segment) in params.0.iter_mut().zip(placed) {
            *value = percent_decode_str(segment).decode_utf8_lossy().into_owned();
        }
        params
    }

    /// The value of the place with that number; the route's pattern has it.
    pub(crate) fn get(&self, index: usize) -> &str {
        self.0.get(index).map_or("", String::as_str)
    }
}

/// `/x/` is the same as `/x`.
pub(crate) fn without_slash(path: &str) -> &str {
    path.strip_suffix('/').unwrap_or(path)
}

/// How many segments a pattern or a path has.
pub(crate) fn length(path: &str) -> usize {
    path.bytes().filter(|byte| *byte == b'/').count()
}

/// Whether `path`, which has as many segments, fits `pattern`.
pub(crate) fn fits(pattern: &str, path: &str) -> bool {
    // Half of all patterns have no places.
    if pattern == path {
        return true;
    }
    let mut pairs = pattern.split('/').zip(path.split('/'));
    pairs.all(|(place, segment)| if place.starts_with('{') { !segment.is_empty() } else { place == segment })
}

/// The names of a pattern's places.
pub(crate) fn places(pattern: &str) -> impl Iterator<Item = &str> {
    pattern.split('/').filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::routes;

    #[test]
    fn paths_fit_their_patterns_and_no_others() {
        let pattern = "/v1/{provider}/credentials/{id}";
        let values = |path| {
            let path = without_slash(path);
            (length(path) == length(pattern) && fits(pattern, path)).then(|| Params::of(pattern, path).0)
        };
        assert_eq!(values("/v1/git%68ub/credentials/a%2Fb"), Some(["github".to_owned(), "a/b".to_owned()]));
        assert_eq!(values("/v1/x/credentials/y/"), values("/v1/x/credentials/y"));
        for path in
            ["/v1/x/credentials", "/v1//credentials/y", "/v1/x/credentials/y/z", "/v1/x/credentials/y//", "v1", ""]
        {
            assert_eq!(values(path), None, "{path}");
        }
        assert_eq!(places(pattern).collect::<Vec<_>>(), ["provider", "id"]);
    }

    #[test]
    fn every_routes_places_find_room() {
        for route in routes::table() {
            assert!(places(route.pattern).count() <= MOST, "{}", route.pattern);
        }
    }
}
