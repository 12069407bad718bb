//! Checks of `refresh`, `long_lived`, `introspect`, `access_token` and `further_tokens`.

use http::HeaderName;

use super::checks::{Checks, OURS};
use crate::catalog::entry::{AccessTokenPlace, FurtherToken, Method, OAuth, Refresh, RefreshWith, is_protected_param};

/// Parameters of the callback that the protocol defines.
const CALLBACKS_OWN: [&str; 5] = ["state", "iss", "error", "error_description", "error_uri"];

/// Minimum length of a text that ends a grant, in characters.
const SHORTEST_MESSAGE: usize = 8;

/// Client errors that say nothing about a grant: timeout, too early, too many requests.
const TEMPORARY: [u16; 3] = [408, 425, 429];

impl Checks {
    pub(super) fn tokens(&mut self, oauth: &OAuth) {
        if let Some(name) = &oauth.code_param {
            let own = CALLBACKS_OWN.contains(&name.as_str());
            self.unless(!own, "oauth.code_param", format!("'{name}' is another parameter of the callback"));
        }
        if let Some(how) = &oauth.refresh {
            self.method("oauth.refresh.method", how.method);
            let of_access = how.with == RefreshWith::AccessToken;
            self.unless(!(of_access && how.rotates), "oauth.refresh.rotates", "there is no refresh token to rotate");
            self.refusals(how);
        }
        if let Some(how) = &oauth.long_lived {
            self.method("oauth.long_lived.method", how.method);
        }
        for (name, further) in &oauth.further_tokens {
            self.further(&format!("oauth.further_tokens.{name}"), name, further, oauth);
        }
        let told = oauth.introspect.is_none() || oauth.expires_in.is_none();
        self.unless(told, "oauth.introspect", "is never asked, for oauth.expires_in says how long a token lives");
        if let Some(how) = &oauth.access_token {
            let in_header = how.place == AccessTokenPlace::Header;
            let ours = OURS.contains(&how.name.to_ascii_lowercase().as_str());
            let good = !in_header || (HeaderName::try_from(&how.name).is_ok() && !ours);
            let message =
                "not a header that can carry it; Authorization does anyway, under the scheme in oauth.token_type";
            self.unless(good, "oauth.access_token.name", message);
            self.unless(in_header || how.prefix.is_none(), "oauth.access_token.prefix", "goes with in = \"header\"");
        }
    }

    /// Checks the refusals that end a grant. None may also be the response of an outage.
    fn refusals(&mut self, how: &Refresh) {
        for (i, code) in how.refused_errors.iter().enumerate() {
            self.text(&format!("oauth.refresh.refused_errors[{i}]"), code);
        }
        for (i, text) in how.refused_messages.iter().enumerate() {
            let key = format!("oauth.refresh.refused_messages[{i}]");
            self.text(&key, text);
            let message = "too short: an ordinary sentence could contain it; at least 8 characters";
            self.unless(text.trim().chars().count() >= SHORTEST_MESSAGE, key, message);
        }
        for (i, status) in how.refused_statuses.iter().enumerate() {
            let good = (400..=499).contains(status) && !TEMPORARY.contains(status);
            let message = "not a status that can end a grant: 4xx, but not 408, 425 or 429";
            self.unless(good, format!("oauth.refresh.refused_statuses[{i}]"), message);
        }
    }

    fn further(&mut self, key: &str, name: &str, further: &FurtherToken, oauth: &OAuth) {
        let legal = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, b'_' | b'-');
        let named = (1..=32).contains(&name.len()) && name.bytes().all(legal);
        self.unless(named, key, "not a name for a token; up to 32 characters from a–z 0–9 _ -");
        let first = oauth.token_path.as_ref().map_or("", |path| path.as_str());
        self.unless(further.path.as_str() != first, format!("{key}.path"), "the first token is there already");
        self.scopes(&format!("{key}.default_scopes"), &further.default_scopes, oauth);
        if let Some(param) = &further.scope_param {
            let taken = is_protected_param(param)
                || param == "scope"
                || oauth.authorize_params.contains_key(param)
                || oauth.rename.values().any(|other| other == param)
                || oauth.further_tokens.values().filter(|other| other.scope_param.as_ref() == Some(param)).count() > 1;
            self.text(&format!("{key}.scope_param"), param);
            self.unless(!taken, format!("{key}.scope_param"), format!("'{param}' is another parameter's name"));
        }
        let asked = further.default_scopes.is_empty() || further.scope_param.is_some();
        self.unless(asked, format!("{key}.default_scopes"), "nothing asks for them; name the parameter in scope_param");
        let alone = oauth.long_lived.is_none();
        self.unless(
            alone,
            key,
            "a second exchange (oauth.long_lived) is of one token, and would leave this one behind",
        );
    }

    fn method(&mut self, key: &str, method: Method) {
        self.unless(method != Method::Delete, key, "a token is asked for with GET or POST");
    }
}
