//! Responses of the token endpoint (RFC 6749 §5): read strictly, in every form that honest servers
//! are known to use.

use std::collections::BTreeMap;
use std::time::Duration;

use http::{StatusCode, header};
use serde_json::{Map, Value};
use url::form_urlencoded;

use super::grant::Grant;
use super::lifetime::{lifetime, seconds, sent_at};
use crate::catalog::entry::OAuth;
use crate::catalog::value::Lifetime;
use crate::egress::EgressResponse;
use crate::json;
use crate::oauth::account::Account;
use crate::oauth::client_auth::dpop;
use crate::oauth::message::error::{ErrorResponse, InvalidResponse, OAuthError, client_error, error_members, refusal};
use crate::oauth::message::retry_after::RetryAfter;
use crate::oauth::message::sanitize::{Sanitizer, contains_token};
use crate::oauth::message::scope;
use crate::secret::Secret;

/// Maximum length of a token, in bytes.
const MAX_TOKEN: usize = 64 * 1024;

/// Reads the response to a token request for the scopes `requested`.
pub(in crate::oauth) fn read(
    response: &EgressResponse,
    entry: &OAuth,
    requested: &[String],
    sanitizer: &Sanitizer,
) -> Result<Grant, OAuthError> {
    let members = read_members(response, sanitizer)?;
    // Some providers report a dead grant with a 200 and a code of their own.
    let says_it_is_over = client_error(&members, sanitizer).filter(|refused| refused.ends_grant(entry));
    let no_token = || says_it_is_over.clone().map_or(InvalidResponse::NoAccessToken.into(), OAuthError::Refused);
    let top = Value::Object(members);
    let tokens = match &entry.token_path {
        Some(path) => path.find(&top),
        None => Some(&top),
    };
    let tokens = tokens.and_then(Value::as_object).ok_or_else(no_token)?;
    if let Some(refused) = refusal(tokens, sanitizer) {
        return Err(OAuthError::Refused(refused));
    }
    let reader = GrantReader { entry, top: &top, date: sent_at(response) };
    let mut grant = reader.grant(tokens, requested).map_err(|invalid| match invalid {
        InvalidResponse::NoAccessToken => no_token(),
        other => other.into(),
    })?;
    grant.further = reader.further()?;
    let tokens: Vec<&Secret> = grant.tokens().chain(grant.further.values().flat_map(Grant::tokens)).collect();
    let mut scopes = grant.scopes.iter().chain(grant.further.values().flat_map(|further| &further.scopes));
    if scopes.any(|scope| tokens.iter().any(|token| contains_token(scope, token))) {
        return Err(InvalidResponse::Malformed("scope").into());
    }
    Ok(grant)
}

/// Returns the members of a successful response; one whose status or body reports a failure is an
/// error.
pub(in crate::oauth) fn read_members(
    response: &EgressResponse,
    sanitizer: &Sanitizer,
) -> Result<Map<String, Value>, OAuthError> {
    let status = response.status;
    let content_type = response.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("");
    let members = parse_members(content_type, &response.body);
    // An error may also be the first object of a list. Tokens are not read there.
    let listed = if members.is_err() { error_members(&response.body) } else { None };
    let explained = members.as_ref().ok().or(listed.as_ref());
    let failed = || OAuthError::Status {
        status: status.as_u16(),
        retry_after: RetryAfter::read(&response.headers),
        page: explained.is_none() && !response.body.is_empty(),
    };
    let is_temporary =
        matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY);
    if is_temporary || !(status.is_success() || status.is_client_error()) {
        return Err(failed());
    }
    if !status.is_success() {
        let refused = explained.and_then(|members| client_error(members, sanitizer));
        let with_status = |refused| OAuthError::Refused(ErrorResponse { status: Some(status), ..refused });
        return Err(refused.map_or_else(failed, with_status));
    }
    match explained.and_then(|members| refusal(members, sanitizer)) {
        Some(refused) => Err(OAuthError::Refused(refused)),
        None => Ok(members?),
    }
}

/// Reads the token member `name`: visible ASCII, so that a header can carry it. An empty one counts
/// as absent.
pub(super) fn token(members: &Map<String, Value>, name: &'static str) -> Result<Option<Secret>, InvalidResponse> {
    match members.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if text.is_empty() => Ok(None),
        Some(Value::String(text)) if text.len() <= MAX_TOKEN && text.bytes().all(|c| c.is_ascii_graphic()) => {
            Ok(Some(Secret::new(text.as_str())))
        }
        Some(_) => Err(InvalidResponse::Malformed(name)),
    }
}

/// Reads grants from one response.
struct GrantReader<'a> {
    entry: &'a OAuth,
    /// The whole response; the tokens may be nested in it.
    top: &'a Value,
    /// Time at which the response was sent, in Unix seconds.
    date: Option<f64>,
}

impl GrantReader<'_> {
    fn grant(&self, tokens: &Map<String, Value>, requested: &[String]) -> Result<Grant, InvalidResponse> {
        let entry = self.entry;
        let access_token = token(tokens, "access_token")?.ok_or(InvalidResponse::NoAccessToken)?;
        let refresh_token = token(tokens, "refresh_token")?;
        // A malformed list counts as absent: fresh tokens are worth more than it.
        let told = scope::granted(tokens.get(&entry.scope_member), entry, requested).unwrap_or_default();
        let scopes = told.unwrap_or_else(|| requested.to_vec());
        // A malformed ID token is ignored here: most entries have no use for it.
        let id_token = tokens.get("id_token").and_then(Value::as_str).filter(|text| text.len() <= MAX_TOKEN);
        let identity = entry.identity.as_ref().filter(|identity| identity.from_token_answer);
        Ok(Grant {
            missing_scopes: scope::missing(requested, &scopes, entry, refresh_token.is_some(), id_token.is_some()),
            token_type: self.token_type(tokens)?,
            expires_in: lifetime(tokens.get(&entry.expires_in_member), entry.expires_in_unit, self.date)
                .or(entry.expires_in.and_then(Lifetime::duration)),
            refresh_expires_in: self.refresh_lifetime(tokens),
            metadata: self.metadata(tokens),
            identity: identity.map(|how| Account::read(how, self.top)),
            access_token,
            refresh_token,
            id_token: id_token.map(Secret::new),
            scopes,
            further: BTreeMap::new(),
        })
    }

    /// Reads the further grants. Their requested scopes are known to the exchange alone.
    fn further(&self) -> Result<BTreeMap<String, Grant>, InvalidResponse> {
        let mut found = BTreeMap::new();
        for (name, how) in &self.entry.further_tokens {
            let Some(tokens) = how.path.find(self.top).and_then(Value::as_object) else { continue };
            if token(tokens, "access_token")?.is_none() {
                continue;
            }
            let mut grant = self.grant(tokens, &[])?;
            let identity = how.account.as_ref().map(|pointer| Account::of_account(pointer, self.top));
            grant.identity = identity.map(|identity| identity.without_tokens(grant.tokens()));
            found.insert(name.clone(), grant);
        }
        Ok(found)
    }

    /// Returns the token type: the entry's, or else the response's if it is `bearer` in any case.
    fn token_type(&self, tokens: &Map<String, Value>) -> Result<String, InvalidResponse> {
        let sent = tokens.get("token_type").and_then(Value::as_str);
        let is = |word: &str, scheme: &str| word.eq_ignore_ascii_case(scheme);
        if self.entry.dpop {
            // A token that is not bound to the key is not the one that was requested (RFC 9449 §5).
            let is_bound = sent.is_some_and(|word| is(word, dpop::SCHEME));
            return is_bound.then(|| dpop::SCHEME.to_owned()).ok_or(InvalidResponse::TokenType);
        }
        let word = match &self.entry.token_type {
            Some(word) => word.as_str(),
            None => sent.filter(|word| is(word, "bearer")).ok_or(InvalidResponse::TokenType)?,
        };
        Ok(if is(word, "bearer") { "Bearer".to_owned() } else { word.to_owned() })
    }

    /// Returns the refresh token's lifetime, from the response or else the entry.
    fn refresh_lifetime(&self, tokens: &Map<String, Value>) -> Option<Duration> {
        let how = self.entry.refresh.as_ref()?;
        let sent = how.lifetime_member.as_ref().and_then(|name| tokens.get(name));
        seconds(sent).or(how.lifetime.and_then(Lifetime::duration))
    }

    /// Returns the members that the entry keeps: by name beside the tokens or at the top, or by
    /// JSON pointer from the top.
    fn metadata(&self, tokens: &Map<String, Value>) -> BTreeMap<String, Value> {
        let find = |name: &str| {
            if name.starts_with('/') { self.top.pointer(name) } else { tokens.get(name).or_else(|| self.top.get(name)) }
        };
        let kept = self.entry.token_metadata.iter().filter_map(|name| Some((name.clone(), find(name)?.clone())));
        kept.filter(|(_, value)| !value.is_null()).collect()
    }
}

/// Parses a JSON object or a form; a member with two values becomes a list. The content type decides, except that a body that begins with a
/// brace is always JSON: some servers send it as `text/html`.
fn parse_members(content_type: &str, body: &[u8]) -> Result<Map<String, Value>, InvalidResponse> {
    let essence = content_type.split(';').next().unwrap_or("").trim().to_ascii_lowercase();
    let text = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body).trim_ascii();
    if text.starts_with(b"{") || essence.ends_with("/json") || essence.ends_with("+json") {
        return json::parse_object_tolerantly(text).ok_or(InvalidResponse::Form);
    }
    if essence != "application/x-www-form-urlencoded" && !begins_like_a_form(text) {
        return Err(InvalidResponse::Form);
    }
    let mut members = Map::new();
    for (name, value) in form_urlencoded::parse(text) {
        let value = Value::String(value.into_owned());
        let value = match members.remove(name.as_ref()) {
            Some(first) if first != value => Value::Array(vec![Value::Array(vec![first, value])]),
            _ => value,
        };
        members.insert(name.into_owned(), value);
    }
    Ok(members)
}

/// Returns true if the text begins with `name=`. Some servers send forms as `text/plain` or
/// `text/html`, and no page begins like that.
fn begins_like_a_form(text: &[u8]) -> bool {
    let name = text.iter().take_while(|c| c.is_ascii_lowercase() || **c == b'_').count();
    name > 0 && text.get(name) == Some(&b'=')
}
