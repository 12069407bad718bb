//! Properties of what callers and browsers send: queries, URLs, patterns, bodies.

use std::collections::BTreeMap;

use url::form_urlencoded;

use crate::catalog::entry::OAuth;
use crate::config::{CallbackOrigin, CallbackOrigins, LocalhostPorts};
use crate::oauth::callback::read_error;
use crate::policy::HostPattern;
use crate::property::is_fit_to_be_shown;

/// Reads the query of a callback: its error, and values for the entry's URLs.
pub fn callback_query(query: &str) {
    let parameters: BTreeMap<String, String> = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    if let Some(denied) = read_error(&parameters) {
        let shown = denied.to_string();
        assert!(!shown.is_empty() && shown.chars().count() <= 620 && !shown.contains(char::is_control), "{shown:?}");
    }
    let entry: OAuth = toml::from_str(
        r#"authorize_url = "https://a.example/a"
           token_url = "https://{accounts}/{realm}/token"
           callback_metadata = ["realm"]
           inputs.accounts = { from = "callback", member = "accounts-server", hosts = ["a.example", "*.b.example"], example = "a.example" }
           inputs.realm = { from = "callback", pattern = "(?s).*", example = "r" }"#,
    )
    .unwrap();
    let Ok(values) = entry.callbacks_values(&parameters) else { return };
    let Ok(filled) = entry.with_values(&values) else { return };
    let url = filled.token_url.url().expect("every value is there");
    let host = url.host_str().unwrap();
    assert!(host == "a.example" || host.strip_suffix(".b.example").is_some_and(|label| !label.contains('.')), "{url}");
    assert_eq!(url.path_segments().unwrap().count(), 2, "{url}");
    let mut metadata = BTreeMap::new();
    entry.keep_values(&mut metadata, values, Some(&parameters));
    let again = entry.for_credential(&metadata).expect("what was taken is taken again");
    assert_eq!(again.token_url.url(), Some(url));
}

/// Checks a callback URL: an allowed one has a configured origin for every URL parser.
pub fn callback_url(text: &str) {
    let origins = ["https://app.example", "http://localhost:3000", "com.acme.app://callback"];
    let origins = origins.iter().map(|origin| CallbackOrigin::parse_entry(origin).unwrap()).collect();
    let Ok(url) = CallbackOrigins::new(origins, LocalhostPorts::Any).check(text) else { return };
    assert_eq!(url.as_str(), text, "as it was given");
    let url = url::Url::parse(text).unwrap();
    assert!(url.username().is_empty() && url.password().is_none() && url.fragment().is_none(), "{text:?}");
    let is_ours = match (url.scheme(), url.host_str()) {
        ("https", Some("app.example")) | ("com.acme.app", Some("callback")) => url.port().is_none(),
        ("http", Some("localhost")) => true,
        _ => false,
    };
    assert!(is_ours, "{text:?}");
    assert!(!text.contains(|c: char| c == '\\' || c.is_control() || c.is_whitespace()), "{text:?}");
}

/// Parses a host pattern: its text form is the input and parses to an equal pattern.
pub fn host_pattern(text: &str) {
    let Ok(pattern) = text.parse::<HostPattern>() else { return };
    assert_eq!(pattern.to_string(), text);
    assert!(!text.is_empty() && !text.contains(|c: char| c.is_ascii_control()), "{text:?}");
    assert_eq!(text.parse::<HostPattern>().as_ref(), Ok(&pattern));
}

/// Parses request bodies: every fault has a location, and none repeats the input.
pub fn request_body(bytes: &[u8]) {
    for faults in crate::http::parsers::bodies(bytes) {
        for fault in faults.as_array().unwrap() {
            assert!(fault["loc"][0] == "body" && fault["type"].is_string(), "{fault}");
            is_fit_to_be_shown(fault["msg"].as_str().unwrap());
        }
    }
}
