//! Checks of `[[hosts]]`: the place of the secret, and hosts that are too wide or twice there.

use http::{HeaderName, HeaderValue};

use super::checks::Checks;
use crate::catalog::entry::{BoundHost, Place};

impl Checks {
    pub(super) fn hosts(&mut self, hosts: &[BoundHost]) {
        for (i, bound) in hosts.iter().enumerate() {
            let key = |member: &str| format!("hosts[{i}].{member}");
            self.width(&key("host"), bound);
            let is_same = |other: &BoundHost| {
                let name = |bound: &BoundHost| (bound.host.scheme(), bound.host.host(), bound.host.port());
                name(other) == name(bound) && other.paths.is_empty()
            };
            let is_reached = !hosts[..i].iter().any(is_same);
            self.unless(is_reached, key("host"), "never used, for an earlier section has this host with all its paths");
            self.place(key, bound);
        }
    }

    /// A pattern must stay within the provider's own domain.
    fn width(&mut self, key: &str, bound: &BoundHost) {
        let host = bound.host.host();
        let is_narrow = host.strip_prefix("*.").is_none_or(|name| name.contains('.'));
        self.unless(is_narrow, key, "a pattern has two labels or more after the star");
        let is_local = matches!(host.as_str(), "localhost" | "127.0.0.1" | "[::1]");
        let is_encrypted = bound.host.scheme() == "https" || is_local;
        self.unless(is_encrypted, key, "http is possible only to a loopback host; use https");
    }

    fn place(&mut self, key: impl Fn(&str) -> String, bound: &BoundHost) {
        let BoundHost { place, name, prefix, user, .. } = bound;
        let is_named = matches!(place, Some(Place::Header | Place::Query));
        let is_legal = is_named || matches!(place, Some(Place::Basic) | None);
        self.unless(is_legal, key("in"), "a secret goes into a header, the query or HTTP Basic of a further host");
        let fits = is_named == name.is_some() || !is_legal;
        self.unless(fits, key("name"), "goes with in = \"header\" and in = \"query\", and these need it");
        if let Some(name) = name {
            let is_header = *place != Some(Place::Header) || HeaderName::try_from(name).is_ok();
            let says = !name.trim().is_empty() && !name.contains(char::is_control);
            self.unless(is_header && says, key("name"), "not a name of a header or a parameter");
        }
        let is_prefix = |prefix: &String| *place == Some(Place::Header) && HeaderValue::from_str(prefix).is_ok();
        self.unless(prefix.as_ref().is_none_or(is_prefix), key("prefix"), "goes with in = \"header\"");
        let is_user =
            |user: &String| *place == Some(Place::Basic) && !user.contains(|c: char| c == ':' || c.is_control());
        self.unless(user.as_ref().is_none_or(is_user), key("user"), "goes with in = \"basic\", and has no colon");
        let has_user = *place != Some(Place::Basic) || user.is_some();
        self.unless(has_user, key("user"), "is missing: with in = \"basic\" the secret is a password");
    }
}
