//! Mistakes of a client about a provider: every quirk of an entry changed, one at a time, if the provider can
//! tell the difference.

use strongroom::catalog::Provider;
use strongroom::catalog::entry::{ExpiryUnit, Identity, LongLived, Method, OAuth, RefreshWith, Revoke};
use toml::{Table, Value};

use super::trial::{asked, withheld};

/// One change of an entry's `[oauth]`.
pub struct Mutation {
    /// The kind of change: the key that it is about.
    pub class: &'static str,
    /// The changed quirk.
    pub detail: String,
    /// The `[oauth]` that it changes.
    before: Table,
    path: Vec<String>,
    value: Option<Value>,
}

impl Mutation {
    /// The changed `[oauth]`, over whose unchanged one the test lays `over`.
    pub fn changed(&self, over: impl FnOnce(&mut Table)) -> Table {
        let mut oauth = self.before.clone();
        over(&mut oauth);
        let (last, above) = self.path.split_last().expect("a path names a key");
        let mut table = &mut oauth;
        for name in above {
            let below = table.entry(name).or_insert_with(|| Table::new().into());
            table = below.as_table_mut().expect("what is above a key is a table");
        }
        match &self.value {
            Some(Value::String(added))
                if ["url", "identity.url", "revoke.url", "long_lived.url", "introspect.url", "refresh_url"]
                    .contains(&self.class) =>
            {
                let there = table[last].as_str().unwrap_or_default().to_owned();
                table.insert(last.clone(), format!("{there}{added}").into());
            }
            Some(value) => drop(table.insert(last.clone(), value.clone())),
            None => drop(table.remove(last)),
        }
        oauth
    }
}

/// All that can be changed and seen in this provider's entry.
pub fn of(provider: &Provider) -> Vec<Mutation> {
    let entry = provider.entry.oauth.as_ref().expect("a provider with OAuth");
    let before = Table::try_from(entry).expect("an entry is TOML");
    let mut all = All { before, found: Vec::new() };
    all.request(entry);
    all.parameters(entry);
    all.answer(entry);
    all.refresh(entry);
    if let Some(long_lived) = &entry.long_lived {
        all.second_exchange(long_lived);
    }
    if let Some(identity) = &entry.identity {
        all.identity(identity);
    }
    if let Some(revoke) = &entry.revoke {
        all.revoke(revoke, entry);
    }
    all.found
}

struct All {
    before: Table,
    found: Vec<Mutation>,
}

impl All {
    fn put(&mut self, class: &'static str, path: &[&str], value: Option<Value>) {
        let said = value.as_ref().map_or_else(|| "none".to_owned(), Value::to_string);
        let path: Vec<String> = path.iter().map(|name| (*name).to_owned()).collect();
        let detail = format!("{} = {said}", path.join("."));
        self.found.push(Mutation { class, detail, before: self.before.clone(), path, value });
    }

    fn set(&mut self, class: &'static str, path: &[&str], value: impl Into<Value>) {
        self.put(class, path, Some(value.into()));
    }

    fn unset(&mut self, class: &'static str, path: &[&str]) {
        self.put(class, path, None);
    }

    /// All the words for a key but the one that stands there.
    fn other_words(&mut self, class: &'static str, path: &[&str], words: &[&str]) {
        let mut there = Value::from(self.before.clone());
        for name in path {
            there = there.get(name).cloned().unwrap_or(Value::Boolean(false));
        }
        for word in words.iter().filter(|word| there.as_str() != Some(word)) {
            self.set(class, path, *word);
        }
    }

    fn unset_each<'k>(&mut self, class: &'static str, path: &[&str], keys: impl Iterator<Item = &'k String>) {
        for key in keys {
            self.unset(class, &[path, &[key.as_str()]].concat());
        }
    }

    fn request(&mut self, entry: &OAuth) {
        let scopes = asked(entry);
        if scopes.len() > 1 {
            let all = [&scopes, &entry.default_scopes].map(Clone::clone).concat();
            let possible =
                |separator: &&str| !all.iter().any(|scope| scope.contains(separator.trim()) && *separator != " ");
            let separators: Vec<&str> = [" ", ",", "+", ", ", ";"].into_iter().filter(possible).collect();
            self.other_words("scope_separator", &["scope_separator"], &separators);
        }
        self.other_words("token_auth", &["token_auth"], &["basic", "basic_raw", "basic_with_id", "post", "none"]);
        self.set("pkce", &["pkce"], !entry.pkce);
        self.other_words("token_body", &["token_body"], &["form", "json"]);
        if !entry.always_scopes.is_empty() {
            self.set("always_scopes", &["always_scopes"], entry.always_scopes[1..].to_vec());
        }
        if entry.fixed_scopes {
            self.set("fixed_scopes", &["fixed_scopes"], false);
        }
        if entry.announces_iss {
            self.set("issuer", &["issuer"], "https://another.example");
        }
        for key in ["authorize_url", "token_url"] {
            self.set("url", &[key], "/elsewhere");
        }
    }

    fn parameters(&mut self, entry: &OAuth) {
        self.unset_each("authorize_params", &["authorize_params"], entry.authorize_params.keys());
        for name in entry.authorize_params.keys() {
            self.set("authorize_params", &["authorize_params", name], "another");
        }
        self.set("authorize_params", &["authorize_params", "unexpected"], "there");
        self.unset_each("token_params", &["token_params"], entry.token_params.keys());
        self.set("token_params", &["token_params", "unexpected"], "there");
        // JSON is asked for anyway.
        let own = entry.token_headers.iter().filter(|(_, value)| *value != "application/json");
        self.unset_each("token_headers", &["token_headers"], own.map(|(name, _)| name));
        for name in entry.rename.keys() {
            let seen = match name.as_str() {
                "scope" => !asked(entry).is_empty(),
                "code_verifier" | "code_challenge" => entry.pkce,
                "client_secret" => self.before["token_auth"].as_str() == Some("post"),
                "token" => entry.revoke.as_ref().is_some_and(|revoke| revoke.token_param == "token"),
                _ => true,
            };
            if seen {
                self.unset("rename", &["rename", name]);
            }
        }
        self.set("rename", &["rename", "client_id"], "another_id");
    }

    fn answer(&mut self, entry: &OAuth) {
        match &entry.token_path {
            Some(_) => self.unset("token_path", &["token_path"]),
            None => self.set("token_path", &["token_path"], "/nested"),
        }
        if entry.token_type.is_some() {
            self.unset("token_type", &["token_type"]);
        }
        if withheld(entry).is_some() && entry.callback_scope.is_some() {
            self.unset("callback_scope", &["callback_scope"]);
            self.set("callback_scope", &["callback_scope"], "another");
        } else if withheld(entry).is_some() {
            self.set("scope_member", &["scope_member"], "another");
            if entry.scope_prefix.is_some() {
                self.unset("scope_prefix", &["scope_prefix"]);
            }
        }
        if entry.expires_in.is_some() {
            self.set("expires_in", &["expires_in"], "17m");
        } else if entry.introspect.is_none() {
            self.set("expires_in_member", &["expires_in_member"], "another");
        }
        if entry.expires_in_unit != ExpiryUnit::Seconds {
            self.unset("expires_in_unit", &["expires_in_unit"]);
        } else if entry.expires_in.is_none() && entry.introspect.is_none() {
            self.set("expires_in_unit", &["expires_in_unit"], "milliseconds");
        }
        for (name, further) in &entry.further_tokens {
            self.unset("further_tokens", &["further_tokens", name]);
            self.set("further_tokens", &["further_tokens", name, "path"], "/no/where");
            if further.scope_param.is_some() {
                self.set("further_tokens", &["further_tokens", name, "scope_param"], "another");
            }
            if further.account.is_some() {
                self.set("further_tokens", &["further_tokens", name, "account"], "/no/where");
            }
        }
        if entry.code_param.is_some() {
            self.unset("code_param", &["code_param"]);
        }
        if entry.introspect.is_some() {
            self.unset("introspect", &["introspect"]);
            self.set("introspect.url", &["introspect", "url"], "/elsewhere");
            self.other_words(
                "introspect.auth",
                &["introspect", "auth"],
                &["basic", "basic_raw", "basic_with_id", "post", "none"],
            );
        }
        if entry.refresh.as_ref().is_some_and(|how| how.lifetime_member.is_some()) {
            self.unset("refresh.lifetime_member", &["refresh", "lifetime_member"]);
        }
        if entry.access_token.is_some() && entry.identity.as_ref().is_some_and(|how| !how.from_token_answer) {
            self.unset("access_token", &["access_token"]);
            self.set("access_token.name", &["access_token", "name"], "another");
        }
        let needed =
            |name: &String| entry.inputs.iter().any(|(input, how)| how.member.as_ref().unwrap_or(input) == name);
        for (i, _) in entry.token_metadata.iter().enumerate().filter(|(_, name)| !needed(name)) {
            let mut fewer = entry.token_metadata.clone();
            fewer.remove(i);
            self.set("token_metadata", &["token_metadata"], fewer);
        }
        if !entry.callback_metadata.is_empty() {
            self.unset("callback_metadata", &["callback_metadata"]);
        }
    }

    fn second_exchange(&mut self, how: &LongLived) {
        self.unset("long_lived", &["long_lived"]);
        self.set("long_lived.url", &["long_lived", "url"], "/elsewhere");
        self.set("long_lived.token_param", &["long_lived", "token_param"], "another");
        self.set("long_lived.grant_type", &["long_lived", "grant_type"], "another");
        let other = if how.method == Method::Get { "POST" } else { "GET" };
        self.set("long_lived.method", &["long_lived", "method"], other);
        let mut ways = vec!["basic", "basic_raw", "basic_with_id", "post", "none"];
        // Where nothing is said, it is as at the token endpoint.
        ways.retain(|way| how.auth.is_some() || self.before["token_auth"].as_str() != Some(*way));
        self.other_words("long_lived.auth", &["long_lived", "auth"], &ways);
    }

    fn refresh(&mut self, entry: &OAuth) {
        if entry.refresh_url.is_some() {
            self.set("refresh_url", &["refresh_url"], "/elsewhere");
            self.unset("refresh_url", &["refresh_url"]);
        }
        self.unset_each("refresh_params", &["refresh_params"], entry.refresh_params.keys());
        self.set("refresh_params", &["refresh_params", "unexpected"], "there");
        self.set("refresh.grant_type", &["refresh", "grant_type"], "another");
        let refresh = entry.refresh.clone().unwrap_or_default();
        let other = if refresh.method == Method::Get { "POST" } else { "GET" };
        self.set("refresh.method", &["refresh", "method"], other);
        self.set("refresh.redirect_uri", &["refresh", "redirect_uri"], !refresh.redirect_uri);
        if !refresh.rotates {
            let of_access = refresh.with == RefreshWith::AccessToken;
            let other = if of_access { "refresh_token" } else { "access_token" };
            self.set("refresh.with", &["refresh", "with"], other);
        }
        for (class, key, words) in [
            ("refresh.refused_errors", "refused_errors", refresh.refused_errors.len()),
            ("refresh.refused_messages", "refused_messages", refresh.refused_messages.len()),
            ("refresh.refused_statuses", "refused_statuses", refresh.refused_statuses.len()),
        ] {
            if words > 0 {
                self.unset(class, &["refresh", key]);
            }
        }
        let mut ways = vec!["basic", "basic_raw", "basic_with_id", "post", "none"];
        ways.retain(|way| refresh.auth.is_some() || self.before["token_auth"].as_str() != Some(*way));
        self.other_words("refresh.auth", &["refresh", "auth"], &ways);
    }

    fn identity(&mut self, identity: &Identity) {
        self.unset("identity", &["identity"]);
        let pointers = [("username", &identity.username), ("title", &identity.title), ("account", &identity.account)];
        for (key, pointer) in pointers {
            if pointer.is_some() {
                self.set("identity.pointers", &["identity", key], "/no/where");
            }
        }
        if identity.from_token_answer {
            return;
        }
        self.set("identity.url", &["identity", "url"], "/elsewhere");
        if identity.body.is_none() {
            self.set("identity.from_token_answer", &["identity", "from_token_answer"], true);
            self.other_words("identity.method", &["identity", "method"], &["GET", "POST"]);
        } else {
            self.set("identity.body", &["identity", "body"], "{\"another\":1}");
            self.unset("identity.body", &["identity", "body"]);
        }
        let own = identity.headers.iter().filter(|(_, value)| *value != "application/json");
        self.unset_each("identity.headers", &["identity", "headers"], own.map(|(name, _)| name));
    }

    fn revoke(&mut self, revoke: &Revoke, entry: &OAuth) {
        self.unset("revoke", &["revoke"]);
        self.set("revoke.url", &["revoke", "url"], "/elsewhere");
        let word = |table: &Table, key: &str| table[key].as_str().unwrap_or_default().to_owned();
        let (section, token_auth) = (self.before["revoke"].as_table().cloned(), word(&self.before, "token_auth"));
        let section = section.unwrap_or_default();
        let body = word(&section, "body");
        // "client" and the way that it stands for are one and the same on the wire.
        let way = |auth: &str| if auth == "client" { token_auth.clone() } else { auth.to_owned() };
        let there = way(&word(&section, "auth"));
        for auth in ["client", "basic", "post", "none", "bearer"] {
            let same = way(auth) == there || (there == "none" && auth == "client" && token_auth == "none");
            if !same && (body != "none" || auth == "bearer") {
                self.set("revoke.auth", &["revoke", "auth"], auth);
            }
        }
        if word(&section, "method") != "GET" {
            let other = if body == "form" { "json" } else { "form" };
            self.set("revoke.body", &["revoke", "body"], other);
            self.other_words("revoke.method", &["revoke", "method"], &["POST", "DELETE"]);
        }
        if body != "none" {
            self.set("revoke.token_param", &["revoke", "token_param"], "another");
            self.set("revoke.hint", &["revoke", "hint"], !revoke.hint);
        }
        let of_access = entry.refresh.as_ref().is_some_and(|how| how.with == RefreshWith::AccessToken);
        for tokens in [&["refresh"][..], &["access"], &["refresh", "access"], &["access", "refresh"]] {
            // Where the access token as bearer is all that is sent, it is so for either.
            let shown = |token: &&str| if body == "none" { "access".to_owned() } else { (*token).to_owned() };
            let sent = |tokens: &[&str]| -> Vec<String> {
                let there = tokens.iter().filter(|token| !of_access || **token == "access");
                there.take(if revoke.first_only { 1 } else { tokens.len() }).map(shown).collect()
            };
            let there: Vec<String> = section["tokens"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(|t| Some(t.as_str()?.to_owned()))
                .collect();
            let there: Vec<&str> = there.iter().map(String::as_str).collect();
            if sent(tokens) != sent(&there) {
                self.set("revoke.tokens", &["revoke", "tokens"], tokens.to_vec());
            }
        }
        if revoke.tokens.len() > 1 && !of_access {
            self.set("revoke.first_only", &["revoke", "first_only"], !revoke.first_only);
        }
        self.unset_each("revoke.params", &["revoke", "params"], revoke.params.keys());
        self.unset_each("revoke.headers", &["revoke", "headers"], revoke.headers.keys());
    }
}
