//! Parameters of a path, taken out by the pattern of its route.

use percent_encoding::percent_decode_str;

/// Parameters that a pattern can have.
const MAX_PATH_PARAMS: usize = 2;

/// Percent-decoded values of the parameters of a path, in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct PathParams([String; MAX_PATH_PARAMS]);

impl PathParams {
    /// Takes the parameters of `pattern` out of a `path` that matches it.
    ///
    /// Bytes that are not UTF-8 are replaced: the result then names nothing that exists.
    pub(crate) fn of(pattern: &str, path: &str) -> Self {
        let pairs = pattern.split('/').zip(path.split('/'));
        let segments = pairs.filter(|(name, _)| name.starts_with('{')).map(|(_, segment)| segment);
        let mut params = Self::default();
        for (value, segment) in params.0.iter_mut().zip(segments) {
            *value = percent_decode_str(segment).decode_utf8_lossy().into_owned();
        }
        params
    }

    /// Returns the parameter with that number, or an empty text if the pattern has fewer.
    pub(crate) fn get(&self, index: usize) -> &str {
        self.0.get(index).map_or("", String::as_str)
    }
}

/// Names of the parameters of a pattern.
pub(crate) fn names(pattern: &str) -> impl Iterator<Item = &str> {
    pattern.split('/').filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::routes;

    #[test]
    fn parameters_are_percent_decoded() {
        let values = |path| PathParams::of("/v1/{provider}/credentials/{id}", path).0;
        assert_eq!(values("/v1/git%68ub/credentials/a%2Fb"), ["github".to_owned(), "a/b".to_owned()]);
        assert_eq!(values("/v1/x/credentials/y/"), values("/v1/x/credentials/y"));
        assert_eq!(values("/v1/%ff/credentials/y")[0], "\u{fffd}");
    }

    #[test]
    fn pattern_names_its_parameters() {
        assert_eq!(names("/v1/{provider}/credentials/{id}").collect::<Vec<_>>(), ["provider", "id"]);
        for route in routes::table() {
            assert!(names(route.pattern).count() <= MAX_PATH_PARAMS, "{}", route.pattern);
        }
    }
}
