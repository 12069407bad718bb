//! The rules of a provider: its entry, and how a request has to look.

use std::collections::BTreeMap;

use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, COOKIE};
use http::{HeaderMap, Method};
use percent_encoding::percent_decode_str;
use strongroom::catalog::entry::{self, AccessTokenPlace, OAuth};
use strongroom::catalog::input::{Input, InputFrom};
use strongroom::catalog::template::Template;

use super::violation::{Violation, require};

/// Query or form parameters, in the order in which they were sent.
pub type Pairs = Vec<(String, String)>;

/// The rules of one provider, with the example of each input as its value.
#[derive(Clone, Debug)]
pub struct Rules {
    pub(super) entry: OAuth,
    /// Scopes that the provider knows beside those of the entry.
    pub(super) further_scopes: Vec<String>,
}

/// A request's head.
#[derive(Clone, Copy)]
pub(super) struct RequestHead<'r> {
    pub(super) method: &'r Method,
    pub(super) path: &'r str,
    pub(super) query: &'r str,
    pub(super) headers: &'r HeaderMap,
}

/// A URL of the entry as a request to the emulator shows it: the provider's host is the first
/// segment of the path.
pub(super) struct Location {
    path: String,
    pub(super) query: Pairs,
}

/// An endpoint of the provider.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Endpoint {
    Authorize,
    Token,
    Revoke,
    Introspect,
    Identity,
}

impl Rules {
    /// Returns the rules of this entry. The provider also knows the scopes `further`.
    pub fn new(entry: &OAuth, further: &[&str]) -> Self {
        Self { entry: entry.clone(), further_scopes: further.iter().map(|scope| (*scope).to_owned()).collect() }
    }

    /// Returns the values that a caller has to give for the entry's inputs.
    pub fn caller_inputs(&self) -> BTreeMap<String, String> {
        let callers = self.entry.inputs.iter().filter(|(_, input)| input.from == InputFrom::Caller);
        callers.map(|(name, input)| (name.clone(), input.example.clone())).collect()
    }

    /// Returns the provider's value for the account of `user` at a JSON pointer of the entry.
    pub fn account_value(&self, user: &str, pointer: &str) -> String {
        let is_input = |(name, input): (&String, &Input)| {
            input.from == InputFrom::Token && pointer.strip_prefix('/') == Some(input.member.as_ref().unwrap_or(name))
        };
        if self.entry.inputs.iter().any(is_input) {
            self.member_value(&pointer[1..])
        } else {
            format!("{user} at {pointer}")
        }
    }

    /// Returns the provider's value of a callback or token response member that the entry keeps.
    pub fn member_value(&self, member: &str) -> String {
        let known = self.entry.inputs.iter().find(|(name, input)| input.member.as_ref().unwrap_or(name) == member);
        known.map_or_else(|| format!("kept {member}"), |(_, input)| input.example.clone())
    }

    /// Returns the endpoint that a request is for.
    pub(super) fn endpoint(&self, head: RequestHead<'_>, client_ids: &[String]) -> Option<Endpoint> {
        let path = percent_decode_str(head.path).decode_utf8_lossy();
        let at = |url: &Template| self.location(url, "").path == path;
        let mut exchanges = self.exchanges().into_iter();
        let is_token = exchanges.any(|exchange| *head.method == method(exchange.method) && at(exchange.url));
        let revokes = self.entry.revoke.as_ref().is_some_and(|revoke| {
            *head.method == method(revoke.method)
                && client_ids.iter().any(|id| self.location(&revoke.url, id).path == path)
        });
        match () {
            () if *head.method == Method::GET && at(&self.entry.authorize_url) => Some(Endpoint::Authorize),
            // A revocation may have the same URL; its body tells the two apart.
            () if is_token => Some(Endpoint::Token),
            () if revokes => Some(Endpoint::Revoke),
            () if self.entry.introspect.as_ref().is_some_and(|how| at(&how.url)) => Some(Endpoint::Introspect),
            () if self.identity_request().is_some_and(|how| at(&how.url)) => Some(Endpoint::Identity),
            () => None,
        }
    }

    /// Returns the identity request, if the provider has one of its own.
    pub(super) fn identity_request(&self) -> Option<&entry::Identity> {
        self.entry.identity.as_ref().filter(|how| !how.from_token_answer)
    }

    pub(super) fn location(&self, url: &Template, client_id: &str) -> Location {
        let text = without_scheme(url);
        let (path, query) = text.split_once('?').unwrap_or((text, ""));
        let fixed = percent_decode_str(path).decode_utf8_lossy();
        let fill = |text: &str| self.fill(text, client_id);
        let query = pairs(query).into_iter().map(|(name, value)| (fill(&name), fill(&value)));
        Location { path: fill(&format!("/{fixed}")), query: query.collect() }
    }

    fn fill(&self, text: &str, client_id: &str) -> String {
        let with_id = text.replace("{client_id}", client_id);
        let inputs = self.entry.inputs.iter();
        inputs.fold(with_id, |text, (name, input)| text.replace(&format!("{{{name}}}"), &in_url(input, &input.example)))
    }

    /// Returns the provider's name of a protocol parameter.
    pub(super) fn name<'n>(&'n self, standard: &'n str) -> &'n str {
        self.entry.rename.get(standard).map_or(standard, String::as_str)
    }

    /// Returns the access token of a request, presented as the provider requires, and the rest of
    /// its query.
    pub(super) fn bearer(&self, head: RequestHead<'_>, url: &Template) -> Result<(String, Pairs), Violation> {
        let mut query = pairs(head.query);
        let Some(how) = &self.entry.access_token else {
            let revocation = self.entry.revoke.as_ref().map_or("", |how| how.url.as_str());
            let scheme = match self.entry.token_type.as_deref() {
                Some(word) if !word.eq_ignore_ascii_case("bearer") && url.as_str() != revocation => word,
                _ => "Bearer",
            };
            return Ok((authorization(head.headers, scheme)?.to_owned(), query));
        };
        require(!head.headers.contains_key(AUTHORIZATION), "there is an Authorization header")?;
        let missing = || Violation(format!("there is no access token as {}", how.name));
        if how.place == AccessTokenPlace::Query {
            let at = query.iter().position(|(name, _)| *name == how.name).ok_or_else(missing)?;
            return Ok((query.remove(at).1, query));
        }
        let value = header(head.headers, &how.name).ok_or_else(missing)?;
        let token = value.strip_prefix(how.prefix.as_deref().unwrap_or("")).ok_or_else(missing)?;
        Ok((token.to_owned(), query))
    }

    /// Checks path, query and cookies of a request other than the authorization request.
    pub(super) fn check_head(
        &self,
        head: RequestHead<'_>,
        query: &Pairs,
        url: &Template,
        client_id: &str,
    ) -> Result<(), Violation> {
        let location = self.location(url, client_id);
        require(percent_decode_str(head.path).decode_utf8_lossy() == location.path, "the URL is another one")?;
        require(*query == location.query, "the query is not the one of the URL")?;
        require(!head.headers.contains_key(COOKIE), "there is a cookie")
    }
}

pub(super) fn pairs(query: &str) -> Pairs {
    url::form_urlencoded::parse(query.as_bytes()).into_owned().collect()
}

pub(super) fn without_scheme(url: &Template) -> &str {
    url.as_str().split_once("://").map_or(url.as_str(), |(_, rest)| rest)
}

/// Returns a value as it stands in a URL: a host that was given as a URL loses the rest of it.
fn in_url(input: &Input, value: &str) -> String {
    let host = value.strip_prefix("https://").map_or(value, |host| host.trim_end_matches('/'));
    if input.hosts.is_some() { host.to_ascii_lowercase() } else { value.to_owned() }
}

pub(super) fn method(of: entry::Method) -> Method {
    match of {
        entry::Method::Get => Method::GET,
        entry::Method::Post => Method::POST,
        entry::Method::Delete => Method::DELETE,
    }
}

/// Returns the only value of a header, as text.
fn header<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    let mut values = headers.get_all(name).iter();
    let first = values.next()?.to_str().ok()?;
    values.next().is_none().then_some(first)
}

/// Checks that the entry's headers are present and unchanged, and that JSON is requested unless one
/// of them requests something else.
pub(super) fn check_headers(
    headers: &HeaderMap,
    required: &BTreeMap<String, String>,
    client_id: &str,
) -> Result<(), Violation> {
    for (name, value) in required {
        let value = value.replace("{client_id}", client_id);
        require(header(headers, name) == Some(&*value), &format!("the header {name} is missing or different"))?;
    }
    let own_accept = required.keys().any(|name| name.eq_ignore_ascii_case(ACCEPT.as_str()));
    require(own_accept || header(headers, ACCEPT.as_str()) == Some("application/json"), "JSON is not requested")
}

pub(super) fn check_content_type(headers: &HeaderMap, required: &str) -> Result<(), Violation> {
    require(header(headers, CONTENT_TYPE.as_str()) == Some(required), &format!("the body must be {required}"))
}

/// Returns the credentials of the `Authorization` header under that scheme.
pub(super) fn authorization<'h>(headers: &'h HeaderMap, scheme: &str) -> Result<&'h str, Violation> {
    let sent = header(headers, AUTHORIZATION.as_str()).and_then(|text| text.split_once(' '));
    let sent = sent.filter(|(sent, _)| *sent == scheme).map(|(_, credentials)| credentials);
    sent.ok_or_else(|| Violation(format!("there is no Authorization header with {scheme}")))
}
