//! Responses in the provider's form: tokens and the account.

use std::time::Duration;

use serde_json::{Map, Value, json};
use strongroom::catalog::entry::{ExpiryUnit, Identity};
use strongroom::catalog::input::InputFrom;

use super::Provider;
use super::grants::Issued;
use super::parameters::is_same_json;
use super::rules::{RequestHead, Rules, check_content_type, check_headers, method};
use super::token::ResponseKind;
use super::violation::{Violation, require};

/// Token type of a provider whose entry fixes it, so that the client must ignore the response's.
const OWN_WORD: &str = "provider-token";
/// Lifetime of a token that is exchanged for a long-lived one.
const SHORT_LIFETIME: Duration = Duration::from_secs(601);

impl Provider {
    /// Returns the token response.
    pub(super) fn token_response(&self, issued: &Issued, kind: ResponseKind) -> Value {
        let (rules, entry) = (&self.rules, &self.rules.entry);
        let nested = entry.token_path.as_ref().filter(|_| kind != ResponseKind::LongLived);
        // The first of two responses has a token that soon expires.
        let is_short = kind == ResponseKind::Code { second: true };
        let mut tokens = self.tokens(issued, if is_short { SHORT_LIFETIME } else { self.lifetime });
        let account = entry.identity.as_ref().filter(|how| how.from_token_answer);
        if let Some(how) = account.filter(|_| nested.is_none()) {
            rules.put_account(how, &issued.user, &mut tokens);
        }
        let inputs = entry.inputs.iter().filter(|(_, input)| input.from == InputFrom::Token);
        let inputs = inputs.map(|(name, input)| input.member.as_ref().unwrap_or(name));
        for name in entry.token_metadata.iter().chain(inputs).filter(|name| !name.starts_with('/')) {
            put(&mut tokens, &format!("/{name}"), rules.member_value(name).into());
        }
        let mut top = match nested {
            None => tokens,
            Some(path) => {
                // A client that looks at the top finds a token that is worth nothing.
                let mut top = json!({ "access_token": "of-another-user", "token_type": "bearer" });
                put(&mut top, path.as_str(), tokens);
                top
            }
        };
        if let Some(how) = account {
            rules.put_account(how, &issued.user, &mut top);
        }
        for (name, further) in &issued.further {
            let Some(how) = entry.further_tokens.get(name) else { continue };
            put(&mut top, how.path.as_str(), self.tokens(further, self.lifetime));
            if let Some(pointer) = &how.account {
                put(&mut top, pointer.as_str(), rules.account_value(&issued.user, pointer.as_str()).into());
            }
        }
        for pointer in entry.token_metadata.iter().filter(|name| name.starts_with('/')) {
            put(&mut top, pointer, rules.member_value(pointer).into());
        }
        top
    }

    /// Returns the token members of one grant.
    fn tokens(&self, issued: &Issued, lifetime: Duration) -> Value {
        let entry = &self.rules.entry;
        let mut tokens = json!({ "access_token": issued.access_token });
        if let Some(refresh_token) = &issued.refresh_token {
            tokens["refresh_token"] = refresh_token.as_str().into();
        }
        tokens["token_type"] = if entry.token_type.is_some() { OWN_WORD } else { "bearer" }.into();
        // Such a provider names the granted scopes in the callback alone.
        if entry.callback_scope.is_none() {
            tokens[&entry.scope_member] = self.rules.written_scopes(&issued.scopes).into();
        }
        if let Some(member) = entry.refresh.as_ref().and_then(|how| how.lifetime_member.as_ref()) {
            tokens[member] = Rules::REFRESH_LIFETIME.as_secs().into();
        }
        if let Some(expiry) = self.expiry(lifetime) {
            tokens[&entry.expires_in_member] = expiry;
        }
        tokens
    }

    /// Returns the expiry in the provider's form; `None` if the response leaves it out.
    fn expiry(&self, lifetime: Duration) -> Option<Value> {
        let entry = &self.rules.entry;
        let standard = entry.expires_in_member == "expires_in" && entry.expires_in_unit == ExpiryUnit::Seconds;
        if (entry.expires_in.is_some() && standard) || entry.introspect.is_some() {
            return None;
        }
        let seconds = i64::try_from(lifetime.as_secs()).expect("a short time");
        Some(match entry.expires_in_unit {
            ExpiryUnit::Seconds => seconds.into(),
            ExpiryUnit::Milliseconds => (seconds * 1000).into(),
            ExpiryUnit::UnixSeconds => (self.now.0 + seconds).into(),
            ExpiryUnit::UnixMilliseconds => ((self.now.0 + seconds) * 1000).into(),
            ExpiryUnit::Date => self.now.plus(lifetime).to_string().into(),
        })
    }

    /// Responds to the identity request.
    pub(super) fn identify(&self, head: RequestHead<'_>, body: &[u8]) -> Result<Value, Violation> {
        let how = self.rules.identity_request().ok_or_else(|| Violation("there is no identity here".to_owned()))?;
        require(*head.method == method(how.method), "the method is another one")?;
        let (token, query) = self.rules.bearer(head, &how.url)?;
        let grants = self.grants();
        let grant = grants.by_access_token(&token).ok_or_else(|| Violation("the token is not valid".to_owned()))?;
        self.rules.check_head(head, &query, &how.url, &grant.client_id)?;
        check_headers(head.headers, &how.headers, &grant.client_id)?;
        match &how.body {
            None => require(body.is_empty(), "there is a body")?,
            Some(expected) => {
                let own_type = how.headers.keys().any(|name| name.eq_ignore_ascii_case("content-type"));
                if !own_type {
                    check_content_type(head.headers, "application/json")?;
                }
                require(is_same_json(expected.as_bytes(), body), "the body is another one")?;
            }
        }
        let mut response = Value::Null;
        self.rules.put_account(how, &grant.user, &mut response);
        Ok(response)
    }
}

impl Rules {
    /// Lifetime of refresh tokens, if the token response has it.
    pub const REFRESH_LIFETIME: Duration = Duration::from_secs(8_640_017);

    /// Returns scopes in the provider's form: its separator, and its prefix unless the client sent
    /// it.
    pub(super) fn written_scopes(&self, scopes: &[String]) -> String {
        let entry = &self.entry;
        let separator = entry.answer_scope_separator.as_ref().unwrap_or(&entry.scope_separator).as_str();
        let prefix = entry.scope_prefix.as_deref().unwrap_or("");
        let written = scopes.iter().map(|scope| match scope.strip_prefix(prefix) {
            Some(short) if !prefix.is_empty() => short.to_owned(),
            _ => format!("{prefix}{scope}"),
        });
        written.collect::<Vec<_>>().join(separator)
    }

    fn put_account(&self, how: &Identity, user: &str, into: &mut Value) {
        for pointer in [&how.username, &how.title, &how.account].into_iter().flatten() {
            put(into, pointer.as_str(), self.account_value(user, pointer.as_str()).into());
        }
    }
}

/// Puts a value where a JSON pointer (RFC 6901) finds it. Existing values stay; objects are merged.
fn put(into: &mut Value, pointer: &str, value: Value) {
    let Some((segment, rest)) = pointer.strip_prefix('/').map(|path| path.split_once('/').unwrap_or((path, ""))) else {
        match (into, value) {
            (Value::Object(existing), Value::Object(more)) => existing.extend(more),
            (existing, value) if existing.is_null() => *existing = value,
            _ => {}
        }
        return;
    };
    let rest = if rest.is_empty() { String::new() } else { format!("/{rest}") };
    let name = segment.replace("~1", "/").replace("~0", "~");
    if let (Ok(index), Value::Null | Value::Array(_)) = (name.parse::<usize>(), &*into) {
        if into.is_null() {
            *into = Value::Array(Vec::new());
        }
        if let Value::Array(list) = into {
            list.resize(list.len().max(index + 1), Value::Null);
            put(&mut list[index], &rest, value);
        }
        return;
    }
    if into.is_null() {
        *into = Value::Object(Map::new());
    }
    if let Value::Object(members) = into {
        put(members.entry(name).or_insert(Value::Null), &rest, value);
    }
}
