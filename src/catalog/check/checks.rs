//! The findings of the checks, and what several of them look at.

use std::collections::BTreeMap;

use http::{HeaderName, HeaderValue};

use crate::catalog::entry::OAuth;
use crate::config::document::join;
use crate::config::{Finding, Location};

/// Headers that authenticate or that belong to the connection or to the body. An entry cannot set
/// them.
pub(super) const OURS: &[&str] = &[
    "authorization",
    "connection",
    "content-length",
    "cookie",
    "host",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// The faults so far, without their locations.
#[derive(Default)]
pub(super) struct Checks(pub(super) Vec<Finding>);

impl Checks {
    pub(super) fn unless(&mut self, good: bool, key: impl Into<String>, message: impl Into<String>) {
        if !good {
            self.0.push(Finding::new(Location::Default, key, message));
        }
    }

    /// Checks texts that an entry may have.
    pub(super) fn texts<'t>(&mut self, texts: impl IntoIterator<Item = (&'t str, Option<&'t String>)>) {
        for (key, text) in texts {
            if let Some(text) = text {
                self.text(key, text);
            }
        }
    }

    pub(super) fn text(&mut self, key: &str, text: &str) {
        let good = !text.trim().is_empty() && !text.chars().any(char::is_control);
        self.unless(good, key, "must say something, without control characters");
    }

    /// RFC 6749 §3.3: visible ASCII without quote and backslash.
    pub(super) fn scope(&mut self, key: &str, scope: &str) {
        let legal = |c: u8| c.is_ascii_graphic() && c != b'"' && c != b'\\';
        let good = !scope.is_empty() && scope.bytes().all(legal);
        let message = "not a scope: one or more visible ASCII characters, without white space (RFC 6749 §3.3)";
        self.unless(good, key, message);
    }

    /// Checks scopes that are sent with the separator between them.
    pub(super) fn scopes(&mut self, key: &str, scopes: &[String], oauth: &OAuth) {
        let separator = oauth.scope_separator.as_str().trim();
        for (i, scope) in scopes.iter().enumerate() {
            let key = format!("{key}[{i}]");
            self.scope(&key, scope);
            let whole = separator.is_empty() || !scope.contains(separator);
            self.unless(whole, &key, format!("the scope separator '{separator}' is in it; give each scope by itself"));
            self.unless(!scopes[..i].contains(scope), &key, "this scope stands there twice");
        }
    }

    pub(super) fn headers(&mut self, key: &str, headers: &BTreeMap<String, String>) {
        for (name, value) in headers {
            let key = join(key, name);
            self.unless(HeaderName::try_from(name).is_ok(), &key, "not a header's name (RFC 9110 §5.1)");
            let ours = OURS.contains(&name.to_ascii_lowercase().as_str());
            self.unless(!ours, &key, "this header is ours to send; an entry cannot set it");
            self.unless(HeaderValue::from_str(value).is_ok(), &key, "not a header's value (RFC 9110 §5.5)");
        }
    }
}
