//! Checks of `[oauth]`: scopes, parameters, headers, identity and revocation.

use std::collections::BTreeMap;

use http::HeaderName;

use super::checks::Checks;
use crate::catalog::entry::value::{Endpoint, Lifetime};
use crate::catalog::entry::values::RESERVED;
use crate::catalog::entry::{
    AssertionAudience, Body, GrantType, Identity, Method, OAuth, Revoke, RevokeAuth, TokenAuth, is_protected_param,
};
use crate::config::document::join;

/// The placeholder for our client's id, in the values of headers and in `revoke.url`.
const CLIENT_ID: &str = "{client_id}";

impl Checks {
    pub(super) fn oauth(&mut self, oauth: &OAuth) {
        self.scopes("oauth.default_scopes", &oauth.default_scopes, oauth);
        self.scopes("oauth.always_scopes", &oauth.always_scopes, oauth);
        let contradiction = oauth.fixed_scopes && !oauth.default_scopes.is_empty();
        self.unless(!contradiction, "oauth.default_scopes", "never used, for fixed_scopes sends always_scopes alone");
        self.issuer(oauth);
        let pairs = oauth.authorize_url.url().into_iter().flat_map(url::Url::query_pairs);
        for (name, _) in pairs.filter(|(name, value)| name != "request" || value.contains('.')) {
            self.param("oauth.authorize_url", &name);
        }
        self.params("oauth.authorize_params", &oauth.authorize_params);
        self.params("oauth.token_params", &oauth.token_params);
        self.params("oauth.refresh_params", &oauth.refresh_params);
        self.renames(&oauth.rename);
        self.urls(oauth);
        self.headers("oauth.token_headers", &oauth.token_headers);
        self.assertion(oauth);
        self.tokens(oauth);
        self.unless(
            oauth.token_body != Body::None,
            "oauth.token_body",
            "a token request has a body: \"form\" or \"json\"",
        );
        if let Some(word) = &oauth.token_type {
            let good = HeaderName::try_from(word).is_ok();
            self.unless(good, "oauth.token_type", "not a scheme of the Authorization header; most often \"bearer\"");
        }
        self.lifetime("oauth.expires_in", oauth.expires_in);
        self.lifetime("oauth.refresh.lifetime", oauth.refresh.as_ref().and_then(|refresh| refresh.lifetime));
        let (refresh, long_lived) = (oauth.refresh.as_ref(), oauth.long_lived.as_ref());
        self.texts([
            ("oauth.scope_member", Some(&oauth.scope_member)),
            ("oauth.scope_prefix", oauth.scope_prefix.as_ref()),
            ("oauth.code_param", oauth.code_param.as_ref()),
            ("oauth.refresh.grant_type", refresh.and_then(|how| how.grant_type.as_ref())),
            ("oauth.refresh.lifetime_member", refresh.and_then(|how| how.lifetime_member.as_ref())),
            ("oauth.long_lived.grant_type", long_lived.map(|how| &how.grant_type)),
            ("oauth.long_lived.token_param", long_lived.map(|how| &how.token_param)),
            ("oauth.access_token.name", oauth.access_token.as_ref().map(|how| &how.name)),
        ]);
        let by_jwt = oauth.grants.contains(&GrantType::JwtBearer);
        self.unless(
            by_jwt || oauth.jwt_bearer.is_none(),
            "oauth.jwt_bearer",
            "never used; add \"jwt_bearer\" to grants",
        );
        let repeated = oauth.grants.iter().enumerate().any(|(i, grant)| oauth.grants[..i].contains(grant));
        self.unless(!repeated && !oauth.grants.is_empty(), "oauth.grants", "each grant once, and at least one");
        self.metadata(oauth);
        if let Some(identity) = &oauth.identity {
            self.identity(identity);
            let known = !identity.from_id_token || oauth.issuer.is_some();
            self.unless(
                known,
                "oauth.identity.from_id_token",
                "needs oauth.issuer, whose keys the token is checked with",
            );
        }
        let plain = !oauth.dpop || oauth.token_type.is_none();
        self.unless(plain, "oauth.token_type", "with dpop the tokens are DPoP tokens; leave it out");
        let found = !oauth.par || oauth.par_url.is_some() || oauth.issuer.is_some();
        self.unless(found, "oauth.par", "say where: par_url, or oauth.issuer, whose metadata say it");
        self.unless(!oauth.discover || oauth.issuer.is_some(), "oauth.discover", "needs oauth.issuer");
        if let Some(revoke) = &oauth.revoke {
            self.revoke(revoke);
        }
    }

    /// Checks the names of what is kept with the credential.
    fn metadata(&mut self, oauth: &OAuth) {
        for (i, name) in oauth.token_metadata.iter().enumerate() {
            let key = format!("oauth.token_metadata[{i}]");
            self.text(&key, name);
            self.unless(
                !RESERVED.contains(&name.as_str()),
                key,
                "the credential keeps something of our own under this name",
            );
        }
        for (i, name) in oauth.callback_metadata.iter().enumerate() {
            let key = format!("oauth.callback_metadata[{i}]");
            self.text(&key, name);
            let ours = ["code", "state", "iss", "error", "error_description"].contains(&name.as_str());
            self.unless(!ours, key, "this parameter belongs to the flow and is not kept");
        }
    }

    fn issuer(&mut self, oauth: &OAuth) {
        let known = oauth.issuer.is_some() || !oauth.announces_iss;
        self.unless(known, "oauth.announces_iss", "needs oauth.issuer, with which iss is compared (RFC 9207)");
        let Some(issuer) = &oauth.issuer else { return };
        match Endpoint::parse(issuer) {
            Ok(url) => {
                let good = url.url().query().is_none();
                self.unless(good, "oauth.issuer", "an issuer has no query (RFC 8414 §2)");
            }
            Err(message) => self.unless(false, "oauth.issuer", message),
        }
    }

    /// Checks that the audience of client assertions is known (RFC 7523 §3).
    fn assertion(&mut self, oauth: &OAuth) {
        let addressed = !oauth.token_auth.is_assertion()
            || oauth.issuer.is_some()
            || oauth.token_auth_audience == AssertionAudience::TokenUrl;
        let message = "the assertion is for the issuer: give oauth.issuer, or token_auth_audience = \"token_url\"";
        self.unless(addressed, "oauth.token_auth", message);
        let signs = oauth.token_auth_alg.is_none() || oauth.token_auth == TokenAuth::PrivateKeyJwt;
        self.unless(signs, "oauth.token_auth_alg", "goes with token_auth = \"private_key_jwt\"");
    }

    fn params(&mut self, key: &str, params: &BTreeMap<String, String>) {
        for name in params.keys() {
            self.param(&join(key, name), name);
        }
    }

    fn param(&mut self, key: &str, name: &str) {
        self.unless(!name.is_empty(), key, "a parameter has a name");
        self.unless(name != "scope", key, "scopes are given as default_scopes or always_scopes");
        let message = format!("the parameter '{name}' is set by the protocol itself");
        self.unless(!is_protected_param(name), key, message);
    }

    fn lifetime(&mut self, key: &str, lifetime: Option<Lifetime>) {
        let nothing = lifetime.and_then(Lifetime::duration).is_some_and(|span| span.is_zero());
        self.unless(!nothing, key, "nothing lives for no time; leave it out where it is not known, or write \"never\"");
    }

    /// A parameter keeps its place and its meaning; only its name is another. What carries the
    /// flow's security is found again under its own name when it comes back, so `state` keeps it.
    fn renames(&mut self, rename: &BTreeMap<String, String>) {
        for (name, other) in rename {
            let key = join("oauth.rename", name);
            let known = name != "state" && (is_protected_param(name) || name == "scope" || name == "token");
            self.unless(known, &key, "not a parameter that can have another name");
            let legal = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'_' | b'-');
            self.unless(!other.is_empty() && other.bytes().all(legal), &key, "not a parameter's name");
            let taken = is_protected_param(other)
                || other == "scope"
                || rename.values().filter(|there| *there == other).count() > 1;
            self.unless(!taken, &key, format!("'{other}' is another parameter's name"));
        }
    }

    fn identity(&mut self, identity: &Identity) {
        let reads = identity.from_id_token
            || identity.username.is_some()
            || identity.title.is_some()
            || identity.account.is_some();
        self.unless(reads, "oauth.identity", "nothing of the answer is read; give username, title or account");
        self.headers("oauth.identity.headers", &identity.headers);
        self.placeholders("oauth.identity.headers", identity.headers.values());
        if let Some(body) = &identity.body {
            let sent = identity.method != Method::Get && !identity.from_token_answer;
            self.unless(sent, "oauth.identity.body", "is not sent; a body goes with method = \"POST\"");
            let json = serde_json::from_str::<serde::de::IgnoredAny>(body).is_ok();
            self.unless(json, "oauth.identity.body", "not JSON");
        }
    }

    fn revoke(&mut self, revoke: &Revoke) {
        self.headers("oauth.revoke.headers", &revoke.headers);
        self.unless(!revoke.tokens.is_empty(), "oauth.revoke.tokens", "no token is sent, so none is revoked");
        self.unless(!revoke.token_param.is_empty(), "oauth.revoke.token_param", "a parameter has a name");
        let placed = !revoke.token_param.replace("{kind}", "").contains(['{', '}']);
        self.unless(placed, "oauth.revoke.token_param", "unknown placeholder; there is {kind} alone");
        for (i, status) in revoke.gone_statuses.iter().enumerate() {
            let message = "only a refusal can say that a token is dead already: a status from 400 to 499";
            self.unless((400..500).contains(status), format!("oauth.revoke.gone_statuses[{i}]"), message);
        }
        for name in revoke.params.keys() {
            let ours = [revoke.token_param.as_str(), "token", "token_type_hint", "client_id", "client_secret"];
            let message = "this parameter is set by the revocation itself";
            self.unless(!ours.contains(&name.as_str()), join("oauth.revoke.params", name), message);
        }
        let carried = revoke.body != Body::None || revoke.auth == RevokeAuth::Bearer;
        self.unless(carried, "oauth.revoke.body", "without a body nothing carries the token, unless auth = \"bearer\"");
        let possible = revoke.method != Method::Get || revoke.body == Body::None;
        self.unless(possible, "oauth.revoke.method", "a GET has no body to carry the token, and a URL must not");
    }

    fn placeholders<T: AsRef<str>>(&mut self, key: &str, texts: impl IntoIterator<Item = T>) {
        for text in texts {
            let rest = text.as_ref().replace(CLIENT_ID, "");
            let good = !rest.contains(['{', '}']);
            self.unless(good, key, format!("unknown placeholder; there is {CLIENT_ID} alone"));
        }
    }
}
