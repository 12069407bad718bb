//! Path patterns such as `/v1/integrations/{provider}/credentials`, and what a path puts into their places.

use percent_encoding::percent_decode_str;

/// The values of a path's places, percent-decoded, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Params(Vec<String>);

impl Params {
    /// The value of the place with that number; the route's pattern has it.
    pub(super) fn get(&self, index: usize) -> &str {
        self.0.get(index).map_or("", String::as_str)
    }
}

/// The values, where `path` fits `pattern`. `/x/` is the same as `/x`; what is no UTF-8 is replaced, and then unknown.
pub(super) fn fit(pattern: &str, path: &str) -> Option<Params> {
    let path = path.strip_suffix('/').unwrap_or(path);
    let mut segments = path.split('/');
    let mut values = Vec::new();
    for place in pattern.split('/') {
        let segment = segments.next()?;
        if place.starts_with('{') {
            if segment.is_empty() {
                return None;
            }
            values.push(percent_decode_str(segment).decode_utf8_lossy().into_owned());
        } else if place != segment {
            return None;
        }
    }
    segments.next().is_none().then_some(Params(values))
}

/// The names of a pattern's places.
pub(super) fn places(pattern: &str) -> impl Iterator<Item = &str> {
    pattern.split('/').filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_fit_their_patterns_and_no_others() {
        let values = |path| fit("/v1/{provider}/credentials/{id}", path).map(|params| params.0);
        assert_eq!(values("/v1/git%68ub/credentials/a%2Fb"), Some(vec!["github".to_owned(), "a/b".to_owned()]));
        assert_eq!(values("/v1/x/credentials/y/"), values("/v1/x/credentials/y"));
        for path in
            ["/v1/x/credentials", "/v1//credentials/y", "/v1/x/credentials/y/z", "/v1/x/credentials/y//", "v1", ""]
        {
            assert_eq!(values(path), None, "{path}");
        }
        assert_eq!(places("/v1/{provider}/credentials/{id}").collect::<Vec<_>>(), ["provider", "id"]);
    }
}
