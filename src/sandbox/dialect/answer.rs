//! What the provider answers: the token answer in its shape, and whose account it is.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::super::grants::Issued;
use super::{Dialect, Head, Violation, check_content_type, check_headers, method, require};
use crate::catalog::entry::{ExpiryUnit, Identity};
use crate::catalog::input::InputFrom;
use crate::clock::UnixTime;
use crate::secret::Secret;

/// The word of a provider that calls its tokens what it likes.
const OWN_WORD: &str = "provider-token";
/// How long a token lives that is there to be exchanged for another.
const SHORT_LIFETIME: Duration = Duration::from_secs(601);

/// Which token answer it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Given {
    /// The first answer of that many that a login needs.
    FirstOf(u8),
    /// The second one, with the long-lived token.
    LongLived,
    /// The answer to a refresh.
    Refreshed,
}

impl Dialect {
    /// How long refresh tokens live, where the answer tells it.
    pub const REFRESH_LIFETIME: Duration = Duration::from_secs(8_640_017);

    /// The token answer for a grant of `user`.
    pub(in super::super) fn token_answer(&self, issued: &Issued, user: &str, now: UnixTime, what: Given) -> Value {
        let entry = &self.entry;
        let nested = entry.token_path.as_ref().filter(|_| what != Given::LongLived);
        let mut tokens = json!({ "access_token": issued.access_token.expose() });
        if let Some(refresh_token) = &issued.refresh_token {
            tokens["refresh_token"] = refresh_token.expose().into();
        }
        tokens["token_type"] = if entry.token_type.is_some() { OWN_WORD } else { "bearer" }.into();
        tokens[&entry.scope_member] = self.told_scopes(&issued.scopes).into();
        // The first of two answers tells of a token that is soon over.
        let short = what == Given::FirstOf(2);
        let lifetime = if short { SHORT_LIFETIME } else { issued.expires_in };
        if let Some(member) = entry.refresh.as_ref().and_then(|how| how.lifetime_member.as_ref()) {
            tokens[member] = Self::REFRESH_LIFETIME.as_secs().into();
        }
        if let Some(expiry) = self.told_expiry(lifetime, now) {
            tokens[&entry.expires_in_member] = expiry;
        }
        let teller = entry.identity.as_ref().filter(|how| how.from_token_answer);
        if let Some(how) = teller.filter(|_| nested.is_none()) {
            self.tell(how, user, &mut tokens);
        }
        let beside = entry.token_metadata.iter().filter(|name| !name.starts_with('/'));
        for name in beside.chain(self.token_inputs()) {
            if !name.starts_with('/') {
                place(&mut tokens, &format!("/{name}"), self.says_in(name).into());
            }
        }
        let mut top = match nested {
            None => tokens,
            Some(path) => {
                // Whoever looks at the top finds a token too, and it is good for nothing.
                let mut top = json!({ "access_token": "of-somebody-else", "token_type": "bearer" });
                place(&mut top, path.as_str(), tokens);
                top
            }
        };
        if let Some(how) = teller {
            self.tell(how, user, &mut top);
        }
        for (name, issued) in &issued.further {
            self.tell_further(name, issued, (user, now), &mut top);
        }
        for pointer in entry.token_metadata.iter().filter(|name| name.starts_with('/')) {
            place(&mut top, pointer, self.says_in(pointer).into());
        }
        top
    }

    /// A further token in its place, and whose it is.
    fn tell_further(&self, name: &str, issued: &Issued, (user, now): (&str, UnixTime), top: &mut Value) {
        let Some(how) = self.entry.further_tokens.get(name) else { return };
        let mut tokens = json!({ "access_token": issued.access_token.expose() });
        if let Some(refresh_token) = &issued.refresh_token {
            tokens["refresh_token"] = refresh_token.expose().into();
        }
        tokens["token_type"] = if self.entry.token_type.is_some() { OWN_WORD } else { "bearer" }.into();
        tokens[&self.entry.scope_member] = self.told_scopes(&issued.scopes).into();
        if let Some(member) = self.entry.refresh.as_ref().and_then(|how| how.lifetime_member.as_ref()) {
            tokens[member] = Self::REFRESH_LIFETIME.as_secs().into();
        }
        if let Some(expiry) = self.told_expiry(issued.expires_in, now) {
            tokens[&self.entry.expires_in_member] = expiry;
        }
        place(top, how.path.as_str(), tokens);
        if let Some(pointer) = &how.account {
            place(top, pointer.as_str(), self.says_of(user, pointer.as_str()).into());
        }
    }

    fn token_inputs(&self) -> impl Iterator<Item = &String> {
        let of_token = self.entry.inputs.iter().filter(|(_, input)| input.from == InputFrom::Token);
        of_token.map(|(name, input)| input.member.as_ref().unwrap_or(name))
    }

    /// Granted scopes in the provider's writing: its separator, and its prefix where the client may have left it out.
    fn told_scopes(&self, scopes: &[String]) -> String {
        let entry = &self.entry;
        let separator = entry.answer_scope_separator.as_ref().unwrap_or(&entry.scope_separator).as_str();
        let prefix = entry.scope_prefix.as_deref().unwrap_or("");
        let told = scopes.iter().map(|scope| match scope.strip_prefix(prefix) {
            Some(short) if !prefix.is_empty() => short.to_owned(),
            _ => format!("{prefix}{scope}"),
        });
        told.collect::<Vec<_>>().join(separator)
    }

    /// When the token ends, in the provider's words; nothing where the entry has to know by itself.
    fn told_expiry(&self, lifetime: Duration, now: UnixTime) -> Option<Value> {
        let entry = &self.entry;
        let standard = entry.expires_in_member == "expires_in" && entry.expires_in_unit == ExpiryUnit::Seconds;
        if (entry.expires_in.is_some() && standard) || entry.introspect.is_some() {
            return None;
        }
        let seconds = i64::try_from(lifetime.as_secs()).ok()?;
        Some(match entry.expires_in_unit {
            ExpiryUnit::Seconds => seconds.into(),
            ExpiryUnit::Milliseconds => (seconds * 1000).into(),
            ExpiryUnit::UnixSeconds => (now.0 + seconds).into(),
            ExpiryUnit::UnixMilliseconds => ((now.0 + seconds) * 1000).into(),
            ExpiryUnit::Date => now.plus(lifetime).to_string().into(),
        })
    }

    /// The access token of a request that asks whose account it is, where the request keeps what the entry says.
    pub(in super::super) fn read_identity_request(
        &self,
        head: Head<'_>,
        body: &[u8],
        client_id: impl Fn(&str) -> Option<String>,
    ) -> Result<Secret, Violation> {
        let how = self.asked_for_identity().ok_or_else(|| Violation("nobody is told here".to_owned()))?;
        require(*head.method == method(how.method), "the method is another")?;
        let (token, query) = self.presented(head, &how.url)?;
        let client_id = client_id(token.expose()).ok_or_else(|| Violation("the token is not good".to_owned()))?;
        self.check_head(head, &query, &how.url, &client_id)?;
        check_headers(head.headers, &how.headers, &client_id)?;
        match &how.body {
            None => require(body.is_empty(), "there is a body")?,
            Some(wanted) => {
                let own_type = how.headers.keys().any(|name| name.eq_ignore_ascii_case("content-type"));
                if !own_type {
                    check_content_type(head.headers, "application/json")?;
                }
                require(same_json(wanted.as_bytes(), body), "the body is another")?;
            }
        }
        Ok(token)
    }

    /// Who `user` is, where the entry looks for it.
    pub(in super::super) fn identity_answer(&self, user: &str) -> Value {
        let mut answer = Value::Null;
        if let Some(how) = self.asked_for_identity() {
            self.tell(how, user, &mut answer);
        }
        answer
    }

    fn tell(&self, how: &Identity, user: &str, into: &mut Value) {
        for pointer in [&how.username, &how.title, &how.account].into_iter().flatten() {
            place(into, pointer.as_str(), self.says_of(user, pointer.as_str()).into());
        }
    }
}

fn same_json(one: &[u8], other: &[u8]) -> bool {
    let value = |text| serde_json::from_slice::<Value>(text).ok();
    value(one).is_some() && value(one) == value(other)
}

/// Puts a value where a JSON pointer (RFC 6901) finds it; what is there already stays, and tables become one.
fn place(into: &mut Value, pointer: &str, value: Value) {
    let Some((segment, rest)) = pointer.strip_prefix('/').map(|path| path.split_once('/').unwrap_or((path, ""))) else {
        match (into, value) {
            (Value::Object(there), Value::Object(more)) => there.extend(more),
            (there, value) if there.is_null() => *there = value,
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
            place(&mut list[index], &rest, value);
        }
        return;
    }
    if into.is_null() {
        *into = Value::Object(Map::new());
    }
    if let Value::Object(members) = into {
        place(members.entry(name).or_insert(Value::Null), &rest, value);
    }
}
