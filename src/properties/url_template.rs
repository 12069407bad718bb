//! Properties of URL templates and of the untrusted values in them.

use url::Url;

use crate::catalog::input::{Input, InputFrom};
use crate::catalog::template::{Position, Template};

const LABEL: &str = "https://{v}.acme.example/oauth/token";
const HOST: &str = "https://{v}/token";
const BEYOND: &str = "https://acme.example/{v}/token?x={v}&y=1";

/// Fills a template: the first line is the template, the rest a value.
pub fn url_template(text: &str) {
    let (template, value) = text.split_once('\n').unwrap_or((text, text));
    if let Some(url) = filled(LABEL, value) {
        let host = url.host_str().unwrap();
        let label = host.strip_suffix(".acme.example").unwrap_or_else(|| panic!("{value:?}: {url}"));
        assert!(!label.is_empty() && !label.contains('.'), "{value:?}: {url}");
        is_bare(&url, "/oauth/token", None);
    }
    if let Some(url) = filled(HOST, value) {
        let host = url.host_str().unwrap();
        let listed = host == "a.example"
            || host.strip_suffix(".b.example").is_some_and(|label| !label.is_empty() && !label.contains('.'));
        assert!(listed, "{value:?}: {url}");
        is_bare(&url, "/token", None);
    }
    if let Some(url) = filled(BEYOND, value) {
        assert_eq!(url.host_str(), Some("acme.example"), "{value:?}");
        let segments: Vec<&str> = url.path_segments().unwrap().collect();
        assert_eq!((segments.len(), segments[1]), (2, "token"), "{value:?}: {url}");
        let pairs: Vec<(String, String)> = url.query_pairs().into_owned().collect();
        assert_eq!(pairs, [("x".to_owned(), value.to_owned()), ("y".to_owned(), "1".to_owned())]);
        is_bare(&url, url.path(), url.query());
    }
    any_template(template, value);
}

/// Asserts that a value stays in its part of the URL, for any template.
fn any_template(template: &str, value: &str) {
    let Ok(parsed) = Template::parse(template) else { return };
    let positions: Vec<Position> = parsed.names().map(|(_, position)| position).collect();
    // The operator's list must contain host names, which is checked at startup.
    let input = input();
    let stand_in = |text: &str| parsed.fill(|_| Some((&input, text))).ok().and_then(|filled| filled.url().cloned());
    let Some(plain) = stand_in("a.example").or_else(|| stand_in("x")) else { return };
    let Some(url) = stand_in(value) else { return };
    assert_eq!((url.scheme(), url.port()), (plain.scheme(), plain.port()), "{template:?} {value:?}");
    assert!(
        url.username().is_empty() && url.password().is_none() && url.fragment().is_none(),
        "{template:?} {value:?}"
    );
    if positions.iter().all(|position| *position == Position::Beyond) {
        assert_eq!(url.host(), plain.host(), "{template:?} {value:?}");
    }
    let segments = |url: &Url| url.path_segments().map(Iterator::count);
    assert_eq!(segments(&url), segments(&plain), "{template:?} {value:?}");
    assert_eq!(url.query_pairs().count(), plain.query_pairs().count(), "{template:?} {value:?}");
}

fn filled(template: &str, value: &str) -> Option<Url> {
    let input = input();
    Template::parse(template).unwrap().fill(|_| Some((&input, value))).ok()?.url().cloned()
}

fn input() -> Input {
    let hosts = Some(vec!["a.example".to_owned(), "*.b.example".to_owned()]);
    Input { from: InputFrom::Callback, member: None, pattern: None, hosts, default: None, example: String::new() }
}

fn is_bare(url: &Url, path: &str, query: Option<&str>) {
    assert_eq!((url.scheme(), url.port(), url.path(), url.query(), url.fragment()), ("https", None, path, query, None));
    assert!(url.username().is_empty() && url.password().is_none());
}
