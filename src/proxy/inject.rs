//! Injection: a secret, set in exactly the places of a request that the provider's entry says.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{AUTHORIZATION, HOST, HeaderName};
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use zeroize::Zeroizing;

use super::json_member;
use super::mask::MaskedForms;
use super::refusal::InjectError;
use super::strip::{AuthSlots, strip_headers, strip_query};
use crate::catalog::entry::{AccessToken, AccessTokenPlace, ApiKeyPlacement, BoundHost, Place, UserPassword};
use crate::policy::{Destination, RequestTarget};
use crate::secret::Secret;

/// The characters of a query that are not escaped: the unreserved ones of RFC 3986.
const QUERY: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// The same for a segment of a path. A colon is legal there, and Telegram's tokens contain one.
const SEGMENT: &AsciiSet = &QUERY.remove(b':');

/// Secrets of one credential with their places in a request.
///
/// It has no `Debug`, because it contains secrets.
#[derive(Clone, Default)]
pub struct Injection {
    headers: Vec<(HeaderName, HeaderValue)>,
    query: Vec<(String, Secret)>,
    members: Vec<(String, Secret)>,
    /// Prefix and secret, right after the path of the base URL.
    path: Option<(String, Secret)>,
    /// Headers of the entry, set where the caller sends none.
    defaults: Vec<(HeaderName, HeaderValue)>,
    /// Values to be masked in the answer, and pairs `user:secret` whose base64 form is.
    masked: (Vec<Secret>, Vec<Secret>),
}

impl Injection {
    /// Places an API key as its entry says.
    pub fn of_api_key(placement: &ApiKeyPlacement, key: &Secret) -> Result<Self, InjectError> {
        let mut injection = Self::default();
        let prefix = placement.prefix.as_deref().unwrap_or("");
        match placement.place.ok_or(InjectError::Unplaced)? {
            Place::Basic => {
                let (user, password) = basic_halves(placement, key)?;
                injection.add_basic(&user, &password)?;
                // The name of a pair is often an e-mail address, which answers contain for good
                // reasons.
                let is_user_secret = placement.user.is_none() && placement.secrets.is_empty();
                injection.masked.0.push(if is_user_secret { user } else { password });
            }
            Place::Path => {
                let prefix = placement.prefix.clone().unwrap_or_else(|| "/".to_owned());
                injection.path = Some((prefix, key.clone()));
                injection.masked.0.push(key.clone());
            }
            place => {
                for (i, (name, secret)) in named_parts(placement, key)?.into_iter().enumerate() {
                    injection.add(place, name, if i == 0 { prefix } else { "" }, secret)?;
                }
            }
        }
        injection.add_defaults(&placement.headers)?;
        Ok(injection)
    }

    /// Places an access token: by default in `Authorization`, after its type (RFC 6750 §2.1).
    pub fn of_access_token(how: Option<&AccessToken>, token_type: &str, token: &Secret) -> Result<Self, InjectError> {
        let mut injection = Self::default();
        match how {
            None => injection.add(Place::Header, AUTHORIZATION.as_str(), &format!("{token_type} "), token.clone())?,
            Some(how) => {
                let place = match how.place {
                    AccessTokenPlace::Header => Place::Header,
                    AccessTokenPlace::Query => Place::Query,
                };
                injection.add(place, &how.name, how.prefix.as_deref().unwrap_or(""), token.clone())?;
            }
        }
        Ok(injection)
    }

    /// Places a user name and a password: HTTP Basic (RFC 7617).
    pub fn of_user_password(entry: &UserPassword, user: &Secret, password: &Secret) -> Result<Self, InjectError> {
        let mut injection = Self::default();
        injection.add_basic(user, password)?;
        injection.masked.0.push(password.clone());
        injection.add_defaults(&entry.headers)?;
        Ok(injection)
    }

    /// Places the headers of a host-scoped credential.
    pub fn of_headers(headers: &BTreeMap<String, Secret>) -> Result<Self, InjectError> {
        let mut injection = Self::default();
        for (name, value) in headers {
            injection.add(Place::Header, name, "", value.clone())?;
        }
        Ok(injection)
    }

    /// Places a key or a token as a section `[[hosts]]` says; `None` if it is placed there as at
    /// the base URL.
    pub fn at_host(host: &BoundHost, secret: &Secret) -> Option<Result<Self, InjectError>> {
        let place = host.place?;
        let mut injection = Self::default();
        let name = host.name.as_deref().unwrap_or_default();
        let added = match place {
            Place::Basic => {
                injection.masked.0.push(secret.clone());
                injection.add_basic(&Secret::new(host.user.as_deref().unwrap_or_default()), secret)
            }
            place => injection.add(place, name, host.prefix.as_deref().unwrap_or(""), secret.clone()),
        };
        Some(added.map(|()| injection))
    }

    /// Adds a header that was computed for this request, such as a DPoP proof (RFC 9449).
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// Returns the forms of the injected values, to be masked in the answer.
    pub fn masked_forms(&self) -> MaskedForms {
        MaskedForms::new(&self.masked.0, &self.masked.1)
    }

    /// Returns true if the body must be held, because it carries a secret.
    pub fn needs_body(&self) -> bool {
        !self.members.is_empty()
    }

    fn add(&mut self, place: Place, name: &str, prefix: &str, secret: Secret) -> Result<(), InjectError> {
        let prefixed = Secret::new(format!("{prefix}{}", secret.expose()));
        match place {
            Place::Header => {
                let name = HeaderName::try_from(name).map_err(|_| InjectError::Unplaced)?;
                self.headers.push((name, sensitive(prefixed.expose())?));
            }
            Place::Query => self.query.push((name.to_owned(), prefixed)),
            Place::Body => self.members.push((name.to_owned(), prefixed)),
            Place::Basic | Place::Path => return Err(InjectError::Unplaced),
        }
        self.masked.0.push(secret);
        Ok(())
    }

    fn add_basic(&mut self, user: &Secret, password: &Secret) -> Result<(), InjectError> {
        let has_control = |half: &Secret| half.expose().chars().any(char::is_control);
        // A colon in the user name would end it early (RFC 7617 §2).
        if user.expose().contains(':') || has_control(user) || has_control(password) {
            return Err(InjectError::Value);
        }
        let pair = Secret::new(format!("{}:{}", user.expose(), password.expose()));
        let encoded = Zeroizing::new(STANDARD.encode(pair.expose()));
        let value = Zeroizing::new(format!("Basic {}", *encoded));
        self.headers.push((AUTHORIZATION, sensitive(&value)?));
        self.masked.1.push(pair);
        Ok(())
    }

    fn add_defaults(&mut self, headers: &BTreeMap<String, String>) -> Result<(), InjectError> {
        for (name, value) in headers {
            let name = HeaderName::try_from(name).map_err(|_| InjectError::Unplaced)?;
            self.defaults.push((name, HeaderValue::from_str(value).map_err(|_| InjectError::Unplaced)?));
        }
        Ok(())
    }
}

/// The head of a request as it is sent to the origin.
pub struct OutboundHead {
    /// Path and query. They contain the secret if the entry says so.
    pub target: PathAndQuery,
    /// The headers.
    pub headers: HeaderMap,
    /// True if the caller asks for a WebSocket; its `Connection` and `Upgrade` are removed.
    pub is_websocket: bool,
}

impl Injection {
    /// Builds the head that is sent: without the caller's authentication, with each secret once.
    /// `base_path` is the path of the base URL, after which a secret in the path stands.
    pub fn head(
        &self,
        slots: &AuthSlots,
        destination: &Destination,
        base_path: &str,
        target: &RequestTarget,
        mut headers: HeaderMap,
    ) -> Result<OutboundHead, InjectError> {
        let is_websocket = strip_headers(&mut headers, slots);
        for (name, value) in &self.defaults {
            headers.entry(name).or_insert_with(|| value.clone());
        }
        for (name, value) in &self.headers {
            headers.insert(name, value.clone());
        }
        headers.insert(HOST, HeaderValue::from_str(&destination.authority()).map_err(|_| InjectError::Value)?);
        let mut text = self.path(base_path, target.path.as_str())?;
        let query = target.query.as_deref().and_then(|query| strip_query(query, slots));
        if let Some(query) = self.query(query.as_deref()) {
            text.push('?');
            text.push_str(&query);
        }
        let target = PathAndQuery::try_from(text.as_str()).map_err(|_| InjectError::Value)?;
        Ok(OutboundHead { target, headers, is_websocket })
    }

    fn path(&self, base_path: &str, path: &str) -> Result<Zeroizing<String>, InjectError> {
        let Some((prefix, secret)) = &self.path else { return Ok(Zeroizing::new(path.to_owned())) };
        let base = base_path.trim_end_matches('/');
        let rest = path.strip_prefix(base).filter(|rest| rest.is_empty() || rest.starts_with('/'));
        let rest = rest.ok_or(InjectError::Path)?;
        // A slash alone is the end of a base URL and not a part of the path after the secret.
        let rest = if rest == "/" { "" } else { rest };
        let secret = Zeroizing::new(utf8_percent_encode(secret.expose(), SEGMENT).to_string());
        Ok(Zeroizing::new(format!("{base}{prefix}{}{rest}", *secret)))
    }

    /// Appends the secrets to a query.
    fn query(&self, query: Option<&str>) -> Option<Zeroizing<String>> {
        if self.query.is_empty() {
            return query.map(|query| Zeroizing::new(query.to_owned()));
        }
        let kept = query.filter(|query| !query.is_empty()).map(|query| Zeroizing::new(query.to_owned()));
        let pairs = self.query.iter().map(|(name, secret)| pair(name, secret));
        Some(joined(&kept.into_iter().chain(pairs).collect::<Vec<_>>()))
    }
}

fn pair(name: &str, secret: &Secret) -> Zeroizing<String> {
    let (name, value) = (utf8_percent_encode(name, QUERY), utf8_percent_encode(secret.expose(), QUERY));
    Zeroizing::new(format!("{name}={value}"))
}

/// Joins pairs of a query or a form.
fn joined(pairs: &[Zeroizing<String>]) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::with_capacity(pairs.iter().map(|pair| pair.len() + 1).sum()));
    for (i, pair) in pairs.iter().enumerate() {
        text.push_str(if i == 0 { "" } else { "&" });
        text.push_str(pair);
    }
    text
}

impl Injection {
    /// Sets the secrets in a body and changes no other byte of it. The caller sends the new length.
    pub fn body(&self, slots: &AuthSlots, headers: &HeaderMap, body: &[u8]) -> Result<Zeroizing<Vec<u8>>, InjectError> {
        let kind = headers.get(http::header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        match kind.as_str() {
            "application/x-www-form-urlencoded" => self.form(slots, body),
            _ if kind == "application/json" || kind.starts_with("application/") && kind.ends_with("+json") => {
                json_member::set(body, &self.members)
            }
            _ => Err(InjectError::Body),
        }
    }

    fn form(&self, slots: &AuthSlots, body: &[u8]) -> Result<Zeroizing<Vec<u8>>, InjectError> {
        let text = std::str::from_utf8(body).map_err(|_| InjectError::Body)?;
        let (mut form, mut missing) = (Vec::new(), self.members.iter().collect::<Vec<_>>());
        for sent in text.split('&').filter(|_| !text.is_empty()) {
            if !AuthSlots::is_parameter(&slots.members, sent) {
                form.push(Zeroizing::new(sent.to_owned()));
            } else if let Some(at) =
                missing.iter().position(|(name, _)| AuthSlots::is_parameter(std::slice::from_ref(name), sent))
            {
                // The first one gives way to the secret, and others of the name go.
                let (name, secret) = missing.remove(at);
                form.push(pair(name, secret));
            }
        }
        form.extend(missing.into_iter().map(|(name, secret)| pair(name, secret)));
        Ok(Zeroizing::new(joined(&form).as_bytes().to_vec()))
    }
}

/// Returns the two halves of HTTP Basic.
fn basic_halves(placement: &ApiKeyPlacement, key: &Secret) -> Result<(Secret, Secret), InjectError> {
    let text = |text: &Option<String>| Secret::new(text.as_deref().unwrap_or_default());
    if placement.user.is_some() {
        return Ok((text(&placement.user), key.clone()));
    }
    if placement.secrets.is_empty() {
        return Ok((key.clone(), text(&placement.password)));
    }
    let (user, password) = key.expose().split_once(':').ok_or(InjectError::Parts)?;
    let suffix = placement.user_suffix.as_deref().unwrap_or_default();
    Ok((Secret::new(format!("{user}{suffix}")), Secret::new(password)))
}

/// Returns the secrets of a key with their names. The last one may contain colons.
fn named_parts<'p>(placement: &'p ApiKeyPlacement, key: &Secret) -> Result<Vec<(&'p str, Secret)>, InjectError> {
    if placement.secrets.is_empty() {
        let name = placement.name.as_deref().ok_or(InjectError::Unplaced)?;
        return Ok(vec![(name, key.clone())]);
    }
    let parts: Vec<_> = key.expose().splitn(placement.secrets.len(), ':').collect();
    if parts.len() < placement.secrets.len() || parts.iter().any(|part| part.is_empty()) {
        return Err(InjectError::Parts);
    }
    Ok(placement.secrets.iter().map(String::as_str).zip(parts.into_iter().map(Secret::new)).collect())
}

fn sensitive(text: &str) -> Result<HeaderValue, InjectError> {
    let mut value = HeaderValue::from_str(text).map_err(|_| InjectError::Value)?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
#[path = "inject_tests.rs"]
mod tests;
