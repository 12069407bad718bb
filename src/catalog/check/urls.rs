//! Checks of the URLs and of their inputs.

use std::collections::BTreeMap;

use super::checks::Checks;
use crate::catalog::entry::OAuth;
use crate::catalog::entry::input::{self, Input, InputFrom};
use crate::catalog::entry::template::{Position, Template};
use crate::config::document::join;

impl Checks {
    pub(super) fn urls(&mut self, oauth: &OAuth) {
        use InputFrom::{Callback, Caller, Token};
        let urls = [
            ("authorize_url", Some(&oauth.authorize_url), Caller),
            ("token_url", Some(&oauth.token_url), Callback),
            ("device_authorization_url", oauth.device_authorization_url.as_ref(), Caller),
            ("par_url", oauth.par_url.as_ref(), Caller),
            ("refresh_url", oauth.refresh_url.as_ref(), Token),
            ("api_base_url", oauth.api_base_url.as_ref(), Token),
            ("long_lived.url", oauth.long_lived.as_ref().map(|how| &how.url), Callback),
            ("introspect.url", oauth.introspect.as_ref().map(|how| &how.url), Callback),
            ("identity.url", oauth.identity.as_ref().map(|identity| &identity.url), Token),
            ("revoke.url", oauth.revoke.as_ref().map(|revoke| &revoke.url), Token),
        ];
        self.inputs("oauth", &oauth.inputs, &urls);
        for (name, input) in oauth.inputs.iter().filter(|(_, input)| input.from == Token) {
            let member = input.member.as_ref().unwrap_or(name);
            let key = join("oauth.inputs", name);
            self.unless(
                oauth.token_metadata.contains(member),
                key,
                format!("'{member}' of the token answer is not kept; name it in token_metadata"),
            );
        }
    }

    /// Checks that each placeholder has an input and each input a placeholder, that a value is
    /// known before its URL is needed, and that a value which chooses the host has a list of hosts.
    pub(super) fn inputs(
        &mut self,
        section: &str,
        inputs: &BTreeMap<String, Input>,
        urls: &[(&str, Option<&Template>, InputFrom)],
    ) {
        for (name, input) in inputs {
            self.input(&format!("{section}.inputs.{name}"), input);
            let used =
                urls.iter().any(|(_, url, _)| url.is_some_and(|url| url.names().any(|(there, _)| there == name)));
            self.unless(used, format!("{section}.inputs.{name}"), "no URL has this input in it");
        }
        for (key, url, latest) in urls {
            let key = format!("{section}.{key}");
            for (name, position) in url.iter().flat_map(|url| url.names()) {
                if key == "oauth.revoke.url" && name == "client_id" {
                    self.unless(position == Position::Beyond, &key, "a placeholder cannot be part of the host");
                    continue;
                }
                let Some(input) = inputs.get(name) else {
                    self.unless(
                        false,
                        &key,
                        format!("'{{{name}}}' is no input; describe it in [{section}.inputs.{name}]"),
                    );
                    continue;
                };
                let known = input.from <= *latest;
                self.unless(known, &key, format!("the value of '{{{name}}}' is not known yet when this URL is needed"));
                let listed = position != Position::Host || input.hosts.is_some();
                self.unless(
                    listed,
                    &key,
                    format!("'{{{name}}}' is the whole host; {section}.inputs.{name} needs hosts"),
                );
            }
        }
    }

    fn input(&mut self, key: &str, input: &Input) {
        let described = input.pattern.is_some() || input.hosts.is_some();
        self.unless(described, key, "say what it can be: a pattern, or a list of hosts");
        let hosts = input.hosts.as_deref().unwrap_or_default();
        for (i, host) in hosts.iter().enumerate() {
            let name = host.strip_prefix("*.").unwrap_or(host);
            let labels = name.split('.').count() > 1
                && name.split('.').all(|label| input::label(label).as_deref() == Some(label));
            self.unless(labels, format!("{key}.hosts[{i}]"), "not a host; a name in lower case, or \"*.\" and a name");
        }
        // Where the operator has yet to name the hosts, no example can be among them.
        let open = input.hosts.as_ref().is_some_and(Vec::is_empty);
        self.unless(
            open || input.taken(&input.example).is_some(),
            format!("{key}.example"),
            "the example is not a good value itself",
        );
        let good = input.default.as_ref().is_none_or(|value| input.taken(value).is_some());
        self.unless(good, format!("{key}.default"), "the default is not a good value itself");
    }
}
