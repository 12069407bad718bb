//! What an entry may not say of its tokens after the exchange: contradictions in `refresh`, `long_lived`, `introspect` and
//! `access_token`.

use http::HeaderName;

use super::check::{Checks, OURS};
use super::entry::{AccessTokenPlace, Method, OAuth, RefreshWith};

/// Parameters of the callback that are the protocol's own.
const CALLBACKS_OWN: [&str; 5] = ["state", "iss", "error", "error_description", "error_uri"];

impl Checks {
    pub(super) fn tokens(&mut self, oauth: &OAuth) {
        if let Some(name) = &oauth.code_param {
            self.text("oauth.code_param", name);
            let own = CALLBACKS_OWN.contains(&name.as_str());
            self.unless(!own, "oauth.code_param", format!("'{name}' is another parameter of the callback"));
        }
        if let Some(how) = &oauth.refresh {
            self.method("oauth.refresh.method", how.method);
            let of_access = how.with == RefreshWith::AccessToken;
            self.unless(!(of_access && how.rotates), "oauth.refresh.rotates", "there is no refresh token to rotate");
            for (key, text) in [("grant_type", &how.grant_type), ("lifetime_member", &how.lifetime_member)] {
                if let Some(text) = text {
                    self.text(&format!("oauth.refresh.{key}"), text);
                }
            }
        }
        if let Some(how) = &oauth.long_lived {
            self.method("oauth.long_lived.method", how.method);
            self.text("oauth.long_lived.grant_type", &how.grant_type);
            self.text("oauth.long_lived.token_param", &how.token_param);
        }
        let told = oauth.introspect.is_none() || oauth.expires_in.is_none();
        self.unless(told, "oauth.introspect", "is never asked, for oauth.expires_in says how long a token lives");
        if let Some(how) = &oauth.access_token {
            self.text("oauth.access_token.name", &how.name);
            let in_header = how.place == AccessTokenPlace::Header;
            let ours = OURS.contains(&how.name.to_ascii_lowercase().as_str());
            let good = !in_header || (HeaderName::try_from(&how.name).is_ok() && !ours);
            let message =
                "not a header that can carry it; Authorization does anyway, under the scheme in oauth.token_type";
            self.unless(good, "oauth.access_token.name", message);
            self.unless(in_header || how.prefix.is_none(), "oauth.access_token.prefix", "goes with in = \"header\"");
        }
    }

    fn method(&mut self, key: &str, method: Method) {
        self.unless(method != Method::Delete, key, "a token is asked for with GET or POST");
    }
}
