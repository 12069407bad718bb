//! The token endpoint's answer (RFC 6749 §5): read strictly, but in every form that honest servers are known to use.

use std::collections::BTreeMap;
use std::time::Duration;

use http::{StatusCode, header};
use serde_json::{Map, Value};
use url::form_urlencoded;

use super::endpoint::TokenError;
use super::grant::Grant;
use crate::catalog::entry::{ExpiryUnit, OAuth};
use crate::catalog::value::Lifetime;
use crate::egress::Answer;
use crate::json;
use crate::oauth::client_auth::dpop;
use crate::oauth::message::retry_after::RetryAfter;
use crate::oauth::message::sanitize::{Cleaner, gives_away};
use crate::oauth::message::scope;
use crate::oauth::openid::userinfo::Identity;
use crate::secret::Secret;

/// The longest token that is taken, in bytes.
const LONGEST_TOKEN: usize = 64 * 1024;

/// The longest lifetime that is believed, in seconds: a hundred years.
const LONGEST_LIFE: f64 = 100.0 * 365.0 * 86_400.0;

/// Why an answer is not a token answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unintelligible {
    /// Neither JSON nor form-encoded, a member twice, or JSON that is no object.
    #[error("it is neither a JSON object nor form-encoded, or says something twice")]
    Form,
    /// There is no access token in it.
    #[error("there is no access token in it")]
    NoAccessToken,
    /// A member of the wrong type, or with characters that it cannot have, or too long.
    #[error("its member '{0}' is malformed")]
    Malformed(&'static str),
    /// `token_type` is missing or unknown, and the entry does not say how the token is used (RFC 6749 §7.1).
    #[error("it does not say how the token is used, or says it in a way that is not known (token_type)")]
    TokenType,
}

/// Reads the answer to a token request for the scopes `requested`.
pub(in crate::oauth) fn read(
    answer: &Answer,
    entry: &OAuth,
    requested: &[String],
    cleaner: &Cleaner,
) -> Result<Grant, TokenError> {
    let top = Value::Object(members_of(answer, cleaner)?);
    let tokens = match &entry.token_path {
        Some(path) => path.find(&top),
        None => Some(&top),
    };
    if let Some(object) = tokens.and_then(Value::as_object)
        && let Some(refused) = refusal(object, cleaner)
    {
        return Err(refused);
    }
    let tokens = tokens.and_then(Value::as_object).ok_or(Unintelligible::NoAccessToken)?;
    let mut grant = grant(&top, tokens, entry, requested, sent_at(answer))?;
    grant.further = further(&top, entry, sent_at(answer))?;
    let given: Vec<&Secret> = grant.tokens().chain(grant.further.values().flat_map(Grant::tokens)).collect();
    let mut scopes = grant.scopes.iter().chain(grant.further.values().flat_map(|further| &further.scopes));
    if scopes.any(|scope| given.iter().any(|token| gives_away(scope, token))) {
        return Err(Unintelligible::Malformed("scope").into());
    }
    Ok(grant)
}

/// The further grants that are in the answer. What was requested for them the exchange knows, and no refresh asks.
fn further(top: &Value, entry: &OAuth, date: Option<f64>) -> Result<BTreeMap<String, Grant>, Unintelligible> {
    let mut found = BTreeMap::new();
    for (name, how) in &entry.further_tokens {
        let Some(tokens) = how.path.find(top).and_then(Value::as_object) else { continue };
        if token(tokens, "access_token")?.is_none() {
            continue;
        }
        let mut grant = grant(top, tokens, entry, &[], date)?;
        grant.identity = how.account.as_ref().map(|pointer| Identity::of_account(pointer, top).without_tokens(&grant));
        found.insert(name.clone(), grant);
    }
    Ok(found)
}

/// The members of an answer that succeeded: neither its status nor what it says is a failure.
pub(in crate::oauth) fn members_of(answer: &Answer, cleaner: &Cleaner) -> Result<Map<String, Value>, TokenError> {
    let content_type = answer.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("");
    let status = answer.status;
    let passing = matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT);
    if passing || !(status.is_success() || status.is_client_error()) {
        return Err(failed(answer));
    }
    let members = members(content_type, &answer.body);
    if !status.is_success() {
        let refused = members.ok().and_then(|members| client_error(&members, cleaner));
        return Err(refused.unwrap_or_else(|| failed(answer)));
    }
    let members = members?;
    match refusal(&members, cleaner) {
        Some(refused) => Err(refused),
        None => Ok(members),
    }
}

fn failed(answer: &Answer) -> TokenError {
    TokenError::Status { status: answer.status.as_u16(), retry_after: RetryAfter::read(&answer.headers) }
}

fn grant(
    top: &Value,
    tokens: &Map<String, Value>,
    entry: &OAuth,
    requested: &[String],
    date: Option<f64>,
) -> Result<Grant, Unintelligible> {
    let access_token = token(tokens, "access_token")?.ok_or(Unintelligible::NoAccessToken)?;
    let refresh_token = token(tokens, "refresh_token")?;
    let scopes = scope::granted(tokens.get(&entry.scope_member), entry)
        .map_err(|()| Unintelligible::Malformed("scope"))?
        .unwrap_or_else(|| requested.to_vec());
    let id_token = id_token(tokens);
    Ok(Grant {
        missing_scopes: scope::missing(requested, &scopes, entry, refresh_token.is_some(), id_token.is_some()),
        token_type: token_type(tokens, entry)?,
        expires_in: lifetime(tokens.get(&entry.expires_in_member), entry.expires_in_unit, date)
            .or(entry.expires_in.and_then(Lifetime::duration)),
        refresh_expires_in: refresh_lifetime(tokens, entry, date),
        metadata: metadata(top, tokens, entry),
        identity: entry
            .identity
            .as_ref()
            .filter(|identity| identity.from_token_answer)
            .map(|how| Identity::read(how, top)),
        access_token,
        refresh_token,
        id_token,
        scopes,
        further: BTreeMap::new(),
    })
}

/// The ID token, whatever is in it: most entries have no use for one.
fn id_token(members: &Map<String, Value>) -> Option<Secret> {
    members.get("id_token").and_then(Value::as_str).filter(|text| text.len() <= LONGEST_TOKEN).map(Secret::new)
}

/// The members of the answer, whether JSON or a form. The content type decides, but a body that begins with a brace is
/// JSON whatever it is called: some servers send JSON as `text/html`.
fn members(content_type: &str, body: &[u8]) -> Result<Map<String, Value>, Unintelligible> {
    let essence = content_type.split(';').next().unwrap_or("").trim().to_ascii_lowercase();
    let text = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body).trim_ascii();
    let is_json = text.starts_with(b"{") || essence.ends_with("/json") || essence.ends_with("+json");
    if is_json {
        return match json::parse(text) {
            Some(Value::Object(members)) => Ok(members),
            _ => Err(Unintelligible::Form),
        };
    }
    let is_form = essence == "application/x-www-form-urlencoded" || begins_like_a_form(text);
    if !is_form {
        return Err(Unintelligible::Form);
    }
    let mut members = Map::new();
    for (name, value) in form_urlencoded::parse(text) {
        if members.insert(name.into_owned(), Value::String(value.into_owned())).is_some() {
            return Err(Unintelligible::Form);
        }
    }
    Ok(members)
}

/// `name=`, as in `access_token=…&…`: what a form sent as `text/plain` or `text/html` begins with, and no page does.
fn begins_like_a_form(text: &[u8]) -> bool {
    let name = text.iter().take_while(|c| c.is_ascii_lowercase() || **c == b'_').count();
    name > 0 && text.get(name) == Some(&b'=')
}

/// A failure, whatever the status it came with: an `error` that says something, or `ok: false`.
fn refusal(members: &Map<String, Value>, cleaner: &Cleaner) -> Option<TokenError> {
    Some(refused(&error_code(members)?, description(members), cleaner))
}

/// A 4xx that explains itself, if only in the server's own words: a `message`, with a `code` or a `status` beside it.
fn client_error(members: &Map<String, Value>, cleaner: &Cleaner) -> Option<TokenError> {
    refusal(members, cleaner).or_else(|| {
        let description = description(members)?;
        let code = ["code", "status"].iter().find_map(|name| code(members.get(*name)?));
        Some(refused(&code.unwrap_or_else(|| "refused".to_owned()), Some(description), cleaner))
    })
}

fn refused(error: &str, description: Option<&str>, cleaner: &Cleaner) -> TokenError {
    TokenError::Refused {
        error: cleaner.error(error),
        description: description.and_then(|text| cleaner.description(text)),
    }
}

fn description(members: &Map<String, Value>) -> Option<&str> {
    let said = ["error_description", "error_message", "message"].iter().find_map(|name| members.get(*name)?.as_str());
    said.or_else(|| members.get("error")?.get("message")?.as_str())
}

/// A code, as text or as a number.
fn code(value: &Value) -> Option<String> {
    match value {
        Value::String(code) if !code.is_empty() => Some(code.clone()),
        Value::Number(code) => Some(code.to_string()),
        _ => None,
    }
}

/// What the answer says went wrong; `None` where it says nothing of the kind.
pub(in crate::oauth) fn error_code(members: &Map<String, Value>) -> Option<String> {
    let not_ok = members.get("ok") == Some(&Value::Bool(false));
    match members.get("error") {
        None | Some(Value::Null | Value::Bool(false)) => not_ok.then(|| "the answer is not ok".to_owned()),
        Some(Value::String(code)) if code.is_empty() => not_ok.then(|| "the answer is not ok".to_owned()),
        Some(Value::String(code)) => Some(code.clone()),
        Some(Value::Number(code)) => (code.as_i64() != Some(0)).then(|| code.to_string()),
        Some(Value::Object(error)) => {
            let named = ["code", "type", "status"].iter().find_map(|name| code(error.get(*name)?));
            Some(named.unwrap_or_else(|| "error".to_owned()))
        }
        Some(_) => Some("error".to_owned()),
    }
}

/// A token: a string of visible ASCII, so that it can stand in a header. An empty one is none.
pub(in crate::oauth) fn token(
    members: &Map<String, Value>,
    name: &'static str,
) -> Result<Option<Secret>, Unintelligible> {
    match members.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if text.is_empty() => Ok(None),
        Some(Value::String(text)) if text.len() <= LONGEST_TOKEN && text.bytes().all(|c| c.is_ascii_graphic()) => {
            Ok(Some(Secret::new(text.as_str())))
        }
        Some(_) => Err(Unintelligible::Malformed(name)),
    }
}

/// How the token is used: what the entry says, else what the answer says if that is `bearer` in any case.
fn token_type(members: &Map<String, Value>, entry: &OAuth) -> Result<String, Unintelligible> {
    let answered = members.get("token_type").and_then(Value::as_str);
    if entry.dpop {
        // A token that is not bound to the key is not what was asked for (RFC 9449 §5).
        let bound = answered.is_some_and(|word| word.eq_ignore_ascii_case(dpop::SCHEME));
        return if bound { Ok(dpop::SCHEME.to_owned()) } else { Err(Unintelligible::TokenType) };
    }
    let said = match &entry.token_type {
        Some(word) => word.as_str(),
        None => answered.filter(|word| word.eq_ignore_ascii_case("bearer")).ok_or(Unintelligible::TokenType)?,
    };
    Ok(if said.eq_ignore_ascii_case("bearer") { "Bearer".to_owned() } else { said.to_owned() })
}

/// Seconds, as a number or a numeric string. Zero, negative and unreadable ones say nothing: servers send them for
/// tokens that do not end, and no server hands out a token that is over already.
///
/// An absolute time is measured against the provider's own clock, its answer's `Date`: ours may go wrong by more than
/// a token lives.
fn lifetime(member: Option<&Value>, unit: ExpiryUnit, date: Option<f64>) -> Option<Duration> {
    let number = |value: &Value| -> Option<f64> {
        match value {
            Value::Number(number) => number.as_f64(),
            Value::String(text) => text.trim().parse().ok(),
            _ => None,
        }
    };
    let seconds = match unit {
        ExpiryUnit::Seconds => number(member?)?,
        ExpiryUnit::Milliseconds => number(member?)? / 1000.0,
        ExpiryUnit::UnixSeconds => number(member?)? - date?,
        ExpiryUnit::UnixMilliseconds => number(member?)? / 1000.0 - date?,
        ExpiryUnit::Date => {
            let end: jiff::Timestamp = member?.as_str()?.trim().parse().ok()?;
            end.as_duration().as_secs_f64() - date?
        }
    };
    believed(seconds)
}

/// How long the refresh token lives: as the answer says where the entry says where, else as the entry says.
fn refresh_lifetime(tokens: &Map<String, Value>, entry: &OAuth, date: Option<f64>) -> Option<Duration> {
    let how = entry.refresh.as_ref()?;
    let told = how.lifetime_member.as_ref().and_then(|name| tokens.get(name));
    lifetime(told, ExpiryUnit::Seconds, date).or(how.lifetime.and_then(Lifetime::duration))
}

/// A lifetime in seconds that can be one.
pub(in crate::oauth) fn believed(seconds: f64) -> Option<Duration> {
    (seconds >= 1.0 && seconds.is_finite()).then(|| Duration::from_secs_f64(seconds.min(LONGEST_LIFE).trunc()))
}

/// A number of seconds, as [`lifetime`] reads it.
pub(in crate::oauth) fn seconds(member: Option<&Value>) -> Option<Duration> {
    lifetime(member, ExpiryUnit::Seconds, None)
}

/// When the provider sent the answer (RFC 9110 §6.6.1), in Unix seconds.
pub(in crate::oauth) fn sent_at(answer: &Answer) -> Option<f64> {
    let date = answer.headers.get(header::DATE)?.to_str().ok()?;
    Some(jiff::fmt::rfc2822::parse(date).ok()?.timestamp().as_duration().as_secs_f64())
}

/// The members that the entry keeps, by name beside the tokens or at the top, or by JSON pointer from the top.
fn metadata(top: &Value, tokens: &Map<String, Value>, entry: &OAuth) -> BTreeMap<String, Value> {
    let find = |name: &str| {
        if name.starts_with('/') { top.pointer(name) } else { tokens.get(name).or_else(|| top.get(name)) }
    };
    let kept = entry.token_metadata.iter().filter_map(|name| Some((name.clone(), find(name)?.clone())));
    kept.filter(|(_, value)| !value.is_null()).collect()
}
