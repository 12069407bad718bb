//! Checks of `[api_key]` and `[user_password]`.

use http::{HeaderName, HeaderValue};

use super::checks::Checks;
use crate::catalog::entry::input::InputFrom;
use crate::catalog::entry::{ApiKeyPlacement, Place, UserPassword};

impl Checks {
    pub(super) fn api_key(&mut self, api_key: &ApiKeyPlacement) {
        self.inputs("api_key", &api_key.inputs, &[("base_url", api_key.base_url.as_ref(), InputFrom::Caller)]);
        self.headers("api_key.headers", &api_key.headers);
        let doubled = |name: &&String| api_key.headers.keys().any(|fixed| fixed.eq_ignore_ascii_case(name));
        let carries = api_key.place == Some(Place::Header);
        let free = !carries || !api_key.names().any(|(_, name)| doubled(&name));
        self.unless(free, "api_key.headers", "the key itself goes into this header");
        self.secrets(api_key);
        self.basic(api_key);
        for (key, name) in api_key.names() {
            self.text(&key, name);
            let header = !carries || HeaderName::try_from(name).is_ok();
            self.unless(header, key, "not a header's name (RFC 9110 §5.1)");
        }
    }

    pub(super) fn user_password(&mut self, password: &UserPassword) {
        let urls = [("base_url", password.base_url.as_ref(), InputFrom::Caller)];
        self.inputs("user_password", &password.inputs, &urls);
        self.headers("user_password.headers", &password.headers);
    }

    /// Checks the names: one secret has one name, several have one each, and HTTP Basic has none.
    fn secrets(&mut self, api_key: &ApiKeyPlacement) {
        let ApiKeyPlacement { place, name, prefix, secrets, .. } = api_key;
        let named = matches!(place, Some(Place::Header | Place::Query | Place::Body));
        let has_name = name.is_some() || secrets.len() > 1;
        self.unless(!named || has_name, "api_key.in", "say under which name: name, or secrets for several");
        self.unless(named || name.is_none(), "api_key.name", "goes with in = \"header\", \"query\" or \"body\"");
        self.unless(
            name.is_none() || secrets.is_empty(),
            "api_key.secrets",
            "each secret has a name of its own; leave name out",
        );
        let prefixed = named || *place == Some(Place::Path);
        self.unless(prefix.is_none() || prefixed, "api_key.prefix", "nothing stands before a key there");
        let sendable = prefix.as_ref().is_none_or(|prefix| HeaderValue::from_str(prefix).is_ok());
        self.unless(sendable, "api_key.prefix", "not part of a header's value (RFC 9110 §5.5)");
        let many = match place {
            Some(Place::Basic) => matches!(secrets.len(), 0 | 2),
            Some(Place::Path) | None => secrets.is_empty(),
            Some(_) => secrets.len() != 1,
        };
        self.unless(
            many,
            "api_key.secrets",
            "two or more names in a header, the query or the body; user name and password with in = \"basic\"",
        );
        let distinct = (0..secrets.len()).all(|i| !secrets[..i].contains(&secrets[i]));
        self.unless(distinct, "api_key.secrets", "two secrets cannot have one name");
    }

    /// Checks the two halves of HTTP Basic (RFC 7617): one is the key and the other is fixed, or
    /// both are secrets.
    fn basic(&mut self, api_key: &ApiKeyPlacement) {
        let ApiKeyPlacement { place, user, user_suffix, password, secrets, .. } = api_key;
        let basic = *place == Some(Place::Basic);
        let halves = [("user", user), ("password", password), ("user_suffix", user_suffix)];
        for (key, half) in halves.into_iter().filter_map(|(key, half)| Some((key, half.as_ref()?))) {
            let key = format!("api_key.{key}");
            self.unless(basic, &key, "goes with in = \"basic\"");
            let legal = !half.chars().any(char::is_control) && (key == "api_key.password" || !half.contains(':'));
            self.unless(legal, key, "a control character, or a colon in the user name (RFC 7617 §2)");
        }
        let one = [user.is_some(), password.is_some(), !secrets.is_empty()].into_iter().filter(|said| *said).count();
        self.unless(!basic || one <= 1, "api_key.in", "say one of user, password and secrets: the key is the rest");
        let grows = user_suffix.is_none() || !secrets.is_empty();
        self.unless(!basic || grows, "api_key.user_suffix", "goes with two secrets, after the first");
    }
}
